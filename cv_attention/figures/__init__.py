"""Figures of images, maps and curves: a notebook shows them, and they are saved as SVG, PDF, PNG or an animation."""

from cv_attention.figures.animation import animate
from cv_attention.figures.chart import PALETTE, Chart, Line, Matrix, Plot
from cv_attention.figures.grid import Scale
from cv_attention.figures.html import map_image
from cv_attention.figures.saving import file_kind
from cv_attention.figures.sheet import Sheet

__all__ = ["PALETTE", "Chart", "Line", "Matrix", "Plot", "Scale", "Sheet", "animate", "file_kind", "map_image"]
