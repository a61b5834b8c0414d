"""Memories: vectors that something attends to."""

from cv_attention.blocks.memory.vectors import Memory

__all__ = ["Memory"]
