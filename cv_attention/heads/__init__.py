"""Heads: what reads the feature map of a backbone, one vector for a class or one for each step of a text."""

from cv_attention.alphabet import Alphabet
from cv_attention.blocks.memory import Memory
from cv_attention.heads.bag_pooling import BagNetwork, BagPooling
from cv_attention.heads.building import build
from cv_attention.heads.catalogue import HEADS, HeadEntry
from cv_attention.heads.decoders.ctc import CTCHead
from cv_attention.heads.decoders.decoder import Decoder
from cv_attention.heads.decoders.perceiver_io import PerceiverIODecoder
from cv_attention.heads.decoders.permuted import PermutedDecoder
from cv_attention.heads.decoders.queries import QueriesDecoder
from cv_attention.heads.decoders.recurrent import GRUDecoder, LSTMDecoder, RecurrentDecoder
from cv_attention.heads.decoders.transformer import TransformerDecoder
from cv_attention.heads.output_queries import OutputQueries
from cv_attention.heads.pay_attention import PayAttention, pay_attention, remove_pay_attention
from cv_attention.heads.placing import family_of, options_of_pay_attention, placed, pooling_names
from cv_attention.heads.recognizer import Reading, StepLogits, TextRecognizer
from cv_attention.heads.text_head import Found, TextHead

__all__ = [
    "HEADS", "Alphabet", "BagNetwork", "BagPooling", "CTCHead", "Decoder", "Found", "GRUDecoder", "HeadEntry",
    "LSTMDecoder", "Memory", "OutputQueries", "PayAttention", "PerceiverIODecoder", "PermutedDecoder",
    "QueriesDecoder", "Reading", "RecurrentDecoder", "StepLogits", "TextHead", "TextRecognizer",
    "TransformerDecoder", "build", "family_of", "options_of_pay_attention", "pay_attention", "placed",
    "pooling_names", "remove_pay_attention",
]  # fmt: skip
