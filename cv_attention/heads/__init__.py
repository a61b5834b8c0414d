"""Heads: what reads a backbone's feature map, one vector for a class or one for each step of a text."""

from cv_attention.heads.memory import Memory
from cv_attention.heads.placing import family_of, placed, pooling_names

__all__ = ["Memory", "family_of", "placed", "pooling_names"]
