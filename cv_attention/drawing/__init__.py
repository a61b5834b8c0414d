"""Draws heatmaps over images: scaling, colours, blending, titles and colour bars, in one way for every place."""

from cv_attention.drawing.colours import COLOURS, DIVERGING, table_for
from cv_attention.drawing.framing import enlarged, framed, joined, printable
from cv_attention.drawing.overlays import colourise, overlay
from cv_attention.drawing.pixels import as_heat, as_pixels
from cv_attention.drawing.scaling import Limits, limits_of, normalise, positions
from cv_attention.drawing.slices import overlay_slices

__all__ = [
    "COLOURS",
    "DIVERGING",
    "Limits",
    "as_heat",
    "as_pixels",
    "colourise",
    "enlarged",
    "framed",
    "joined",
    "limits_of",
    "normalise",
    "overlay",
    "overlay_slices",
    "positions",
    "printable",
    "table_for",
]
