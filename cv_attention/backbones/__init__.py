"""Backbones, and the insertion of attention blocks into any CNN."""

from cv_attention.backbones.build import build

__all__ = ["build"]
