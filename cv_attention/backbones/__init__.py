"""Builds backbones, and inserts attention blocks into any vision model."""

from cv_attention.backbones.attachment.lost import LostBlocksWarning
from cv_attention.backbones.insertion.excess import excess
from cv_attention.backbones.insertion.insertion import insert, plan, remove
from cv_attention.backbones.insertion.plans import Plan, Site
from cv_attention.backbones.inspection.measuring import measure
from cv_attention.backbones.inspection.native_size import too_small
from cv_attention.backbones.inspection.outline import outline
from cv_attention.backbones.inspection.overview import Overview, overview
from cv_attention.backbones.models.build import build
from cv_attention.backbones.models.reader import Reader, reader
from cv_attention.backbones.positions.parameters import parameter_parts
from cv_attention.backbones.published.loading import load_published
from cv_attention.backbones.widening.widen import deepen, widen, widths

__all__ = [
    "LostBlocksWarning", "Overview", "Plan", "Reader", "Site", "build", "deepen", "excess", "insert", "load_published",
    "measure", "outline", "overview", "parameter_parts", "plan", "reader", "remove", "too_small", "widen", "widths",
]  # fmt: skip
