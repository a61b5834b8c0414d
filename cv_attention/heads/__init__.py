"""Heads: what reads the feature map of a backbone, one vector for a class or one for each step of a text."""

from cv_attention.alphabet import Alphabet
from cv_attention.blocks.memory import Memory
from cv_attention.heads.building import build
from cv_attention.heads.catalogue import HEADS, HeadEntry
from cv_attention.heads.ctc import CTCHead
from cv_attention.heads.decoder import Decoder
from cv_attention.heads.permuted import PermutedDecoder
from cv_attention.heads.queries import QueriesDecoder
from cv_attention.heads.recognizer import Reading, TextRecognizer
from cv_attention.heads.recurrent import GRUDecoder, LSTMDecoder, RecurrentDecoder
from cv_attention.heads.text_head import Found, TextHead
from cv_attention.heads.transformer import TransformerDecoder

__all__ = [
    "HEADS", "Alphabet", "CTCHead", "Decoder", "Found", "GRUDecoder", "HeadEntry", "LSTMDecoder", "Memory",
    "PermutedDecoder", "QueriesDecoder", "Reading", "RecurrentDecoder", "TextHead", "TextRecognizer",
    "TransformerDecoder", "build",
]  # fmt: skip
