"""Heads: what reads a backbone's feature map, one vector for a class or one for each step of a text."""

from cv_attention.heads.bag_pooling import BagNetwork, BagPooling
from cv_attention.heads.memory import Memory
from cv_attention.heads.pay_attention import PayAttention, pay_attention, remove_pay_attention
from cv_attention.heads.placing import family_of, options_of_pay_attention, placed, pooling_names

__all__ = [
    "BagNetwork", "BagPooling", "Memory", "PayAttention", "family_of", "options_of_pay_attention", "pay_attention",
    "placed", "pooling_names", "remove_pay_attention",
]  # fmt: skip
