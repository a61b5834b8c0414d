"""Figures of images and maps: a grid that a notebook shows, and that is saved as SVG, PDF, PNG or an animation."""

from cv_attention.figures.animation import animate
from cv_attention.figures.grid import Scale
from cv_attention.figures.html import map_image
from cv_attention.figures.sheet import Sheet, file_kind

__all__ = ["Scale", "Sheet", "animate", "file_kind", "map_image"]
