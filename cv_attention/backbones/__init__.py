"""Backbones, and the insertion of attention blocks into any CNN."""

from cv_attention.backbones.build import build
from cv_attention.backbones.excess import excess
from cv_attention.backbones.insertion import insert, plan, remove
from cv_attention.backbones.lost import LostBlocksWarning
from cv_attention.backbones.measuring import measure
from cv_attention.backbones.native_size import too_small
from cv_attention.backbones.outline import outline
from cv_attention.backbones.overview import Overview, overview
from cv_attention.backbones.parts import parameter_parts
from cv_attention.backbones.plan import Plan, Site

__all__ = [
    "LostBlocksWarning", "Overview", "Plan", "Site", "build", "excess", "insert", "measure", "outline", "overview",
    "parameter_parts", "plan", "remove", "too_small",
]  # fmt: skip
