"""Heads: what reads a backbone's feature map, one vector for a class or one for each step of a text."""

from cv_attention.heads.memory import Memory

__all__ = ["Memory"]
