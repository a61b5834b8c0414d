"""Draws where each character of a text was read, one heatmap below the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from cv_attention.drawing import overlay

_HEIGHT = 96  # pixels that a small image is enlarged to
_LABEL, _GAP, _SIZE = 72, 4, 18  # width of the labels, gaps and font size in pixels


def alignment_strip(
    image: NDArray[np.uint8],
    text: str,
    confidence: float,
    units: Sequence[str],
    confidences: Sequence[float],
    heats: ArrayLike,
    columns: int | None = None,
) -> NDArray[np.uint8]:
    """Draws a text as a column: the image, and below it the image under the weights of each character.

    Args:
        image: (H, W, 3) uint8 RGB; small ones are enlarged.
        text: The text that was read.
        confidence: Its probability.
        units: Its T units: characters, graphemes or words.
        confidences: The probability of each unit.
        heats: (T, h, w) raw weights of each unit, over the whole image.
        columns: How many columns of the image are shown, where the rest is padding; None for all.

    Returns:
        (height, width, 3) uint8 RGB. Characters that the font of Pillow lacks are drawn as boxes.

    Raises:
        ValueError: if there is not one heatmap and one probability for each unit.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.strips import alignment_strip
        >>> image, heats = np.zeros((48, 128, 3), np.uint8), np.eye(2).reshape(2, 1, 2)
        >>> alignment_strip(image, "42", 0.72, "42", (0.9, 0.8), heats).shape
        (324, 332, 3)
    """
    weights = np.asarray(heats, np.float32)
    if weights.ndim != 3 or not len(weights) == len(units) == len(confidences):
        raise ValueError(
            f"there must be a heatmap (h, w) and a probability for each of {len(units)} units, got heats of shape "
            f"{weights.shape} and {len(confidences)} probabilities"
        )
    scale = max(round(_HEIGHT / image.shape[0]), 1)
    height, width = image.shape[0] * scale, image.shape[1] * scale
    large = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    width = min(columns or image.shape[1], image.shape[1]) * scale
    top = _SIZE + 2 * _GAP
    canvas = Image.new("RGB", (_LABEL + width + _GAP, top + (len(units) + 1) * (height + _GAP) - 2), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(_SIZE)
    pen.text((_GAP, _GAP), f"{shown(text)}  {confidence:.2f}", "black", font)
    for row, picture in enumerate([large, *(overlay(large, heat) for heat in weights)]):
        y = top + row * (height + _GAP)
        canvas.paste(Image.fromarray(picture[:, :width]), (_LABEL, y))
        if row:
            label = f"{shown(units[row - 1])[:8]} {confidences[row - 1]:.2f}"
            pen.text((_GAP, y + (height - _SIZE) // 2), label, "black", font)
    return np.array(canvas)


def shown(text: str) -> str:
    """Returns a text on one line, with white space that can be seen.

    Args:
        text: Any text.
    """
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if plain.strip() else f"'{plain}'"
