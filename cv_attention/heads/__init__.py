"""Heads: what reads the feature map of a backbone: a class, the steps of a text, or a memory of labelled images."""

from cv_attention.alphabet import Alphabet
from cv_attention.blocks.memory import Memory
from cv_attention.heads.bag_pooling import BagNetwork, BagPooling, ImageOfBag
from cv_attention.heads.building import build, check_recall_options
from cv_attention.heads.catalogue import HEADS, HeadEntry, text_heads
from cv_attention.heads.decoders.ctc import CTCHead
from cv_attention.heads.decoders.decoder import Decoder
from cv_attention.heads.decoders.perceiver_io import PerceiverIODecoder
from cv_attention.heads.decoders.permuted import PermutedDecoder
from cv_attention.heads.decoders.queries import QueriesDecoder
from cv_attention.heads.decoders.recurrent import GRUDecoder, LSTMDecoder, RecurrentDecoder
from cv_attention.heads.decoders.transformer import TransformerDecoder
from cv_attention.heads.few_shot.image_memory import ImageMemory, recall
from cv_attention.heads.few_shot.recollection import Recollection
from cv_attention.heads.memory.dnc import DNC
from cv_attention.heads.memory.growing_list import GrowingList
from cv_attention.heads.memory.mann import MANN
from cv_attention.heads.memory.network import RecallNetwork
from cv_attention.heads.memory.ntm import NTM
from cv_attention.heads.memory.recall import RecallHead
from cv_attention.heads.output_queries import OutputQueries
from cv_attention.heads.placing import family_of, options_of_pay_attention, placed, pooling_names
from cv_attention.heads.recognizer import Reading, StepLogits, TextRecognizer
from cv_attention.heads.several_depths import PayAttention, pay_attention, remove_pay_attention
from cv_attention.heads.text_head import Found, TextHead

__all__ = [
    "DNC", "HEADS", "MANN", "NTM", "Alphabet", "BagNetwork", "BagPooling", "CTCHead", "Decoder", "Found", "GRUDecoder",
    "GrowingList", "HeadEntry", "ImageMemory", "ImageOfBag", "LSTMDecoder", "Memory", "OutputQueries", "PayAttention",
    "PerceiverIODecoder", "PermutedDecoder", "QueriesDecoder", "Reading", "RecallHead", "RecallNetwork", "Recollection",
    "RecurrentDecoder", "StepLogits", "TextHead", "TextRecognizer", "TransformerDecoder", "build",
    "check_recall_options", "family_of", "options_of_pay_attention", "pay_attention", "placed", "pooling_names",
    "recall", "remove_pay_attention", "text_heads",
]  # fmt: skip
