"""Backbones, and the insertion of attention blocks into any CNN."""

from cv_attention.backbones.build import build
from cv_attention.backbones.excess import excess
from cv_attention.backbones.insertion import insert, plan, remove
from cv_attention.backbones.outline import outline
from cv_attention.backbones.parts import parameter_parts
from cv_attention.backbones.plan import Plan, Site

__all__ = ["Plan", "Site", "build", "excess", "insert", "outline", "parameter_parts", "plan", "remove"]
