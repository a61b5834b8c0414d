"""Draws an image next to the labelled images that decided what it is taken for."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cv_attention.strips import shown

_SIDE, _GAP, _FONT, _BAR = 128, 8, 15, 6  # pixels
_MOST = 20  # labelled images in a picture


class Reason(NamedTuple):
    """Holds a labelled image that contributed to an answer.

    Attributes:
        picture: uint8 (h, w, 3), at most 128 pixels wide and high.
        label: Its class.
        weight: What it contributed, in [0, 1].
        name: Its file name.
    """

    picture: np.ndarray
    label: str
    weight: float
    name: str


def because(picture: np.ndarray, label: str, confidence: float, reasons: Sequence[Reason]) -> np.ndarray:
    """Draws an image, what it is taken for, and the labelled images with the largest weights, at most 20.

    A bar below each labelled image is as long as its weight; it is green where its class is the answer, else grey.

    Args:
        picture: The image, uint8 (h, w, 3), at most 128 pixels wide and high.
        label: Its class.
        confidence: The probability of that class.
        reasons: The labelled images, the largest weight first.

    Returns:
        uint8 (height, width, 3).
    """
    reasons = reasons[:_MOST]
    wide = _SIDE + _GAP
    height = _SIDE + 2 * _GAP + _BAR + 2 * (_FONT + 4)
    canvas = Image.new("RGB", (_GAP + wide * (1 + len(reasons)) + 2 * _GAP, height), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(_FONT)
    below = 2 * _GAP + _SIDE + _BAR
    _paste(canvas, picture, _GAP)
    pen.text((_GAP, below), _fitted(pen, shown(label), font), "black", font)
    pen.text((_GAP, below + _FONT + 3), f"{confidence:.2f}", "black", font)
    start = 3 * _GAP + wide
    pen.line((start - 2 * _GAP, _GAP, start - 2 * _GAP, height - _GAP), "lightgrey", 1)
    for place, reason in enumerate(reasons):
        x = start + place * wide
        _paste(canvas, reason.picture, x)
        colour = "#2e7d32" if reason.label == label else "#9e9e9e"
        length = round(reason.weight * _SIDE)
        pen.rectangle((x, _GAP + _SIDE + 4, x + _SIDE - 1, _GAP + _SIDE + 4 + _BAR), outline="lightgrey")
        if length:
            pen.rectangle((x, _GAP + _SIDE + 4, x + length - 1, _GAP + _SIDE + 4 + _BAR), fill=colour)
        pen.text((x, below), _fitted(pen, f"{reason.weight:.2f}  {shown(reason.label)}", font), "black", font)
        pen.text((x, below + _FONT + 3), _fitted(pen, shown(reason.name), font), "grey", font)
    return np.array(canvas)


def _paste(canvas: Image.Image, picture: np.ndarray, x: int) -> None:
    height, width = picture.shape[:2]
    canvas.paste(Image.fromarray(picture), (x + (_SIDE - width) // 2, _GAP + (_SIDE - height) // 2))


def _fitted(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Cuts a text that is wider than a picture."""
    text = text[:100]
    if pen.textlength(text, font) <= _SIDE:
        return text
    while text and pen.textlength(f"{text}…", font) > _SIDE:
        text = text[:-1]
    return f"{text}…"
