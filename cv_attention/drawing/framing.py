"""Puts titles and colour bars around pictures."""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cv_attention.drawing.colours import COLOURS
from cv_attention.drawing.scaling import Limits

_LEAST = 176  # pixels: narrower pictures are enlarged to have room for a line of text
_GAP = 4
_MOST_FONT, _LEAST_FONT = 40, 12


def enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeats the pixels of a small picture, so that text of its width can be read.

    Args:
        pixels: (H, W, 3) uint8 RGB.

    Returns:
        The picture at least 176 pixels wide, by a whole factor; itself if it is.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.drawing import enlarged
        >>> enlarged(np.zeros((32, 64, 3), np.uint8)).shape
        (96, 192, 3)
    """
    factor = -(-_LEAST // pixels.shape[1])
    return pixels if factor == 1 else pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def framed(
    picture: NDArray[np.uint8], title: str | None = None, limits: Limits | None = None, colours: str = "inferno"
) -> NDArray[np.uint8]:
    """Adds a title above a picture and a colour bar with its ends below it, on white.

    Args:
        picture: (H, W, 3) uint8 RGB.
        title: One line; what is too long for the width ends in "…". None leaves no room for one.
        limits: The ends of the colour bar; None draws none.
        colours: Name of its table.

    Returns:
        (H + the lines, W, 3) uint8; the picture begins below the title, and the bar spans its width.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.drawing import Limits, framed
        >>> picture = framed(np.zeros((224, 224, 3), np.uint8), "Grad-CAM", Limits(0.0, 1.0, signed=False))
        >>> picture.shape[1], bool((picture[0] == 255).all())
        (224, True)
    """
    height, width = picture.shape[:2]
    size = min(max(width // 18, _LEAST_FONT), _MOST_FONT)
    font, line = ImageFont.load_default(size), size + 2 * _GAP
    above = line if title is not None else 0
    bar = max(size // 2, 6)
    below = bar + line if limits is not None else 0
    canvas = Image.new("RGB", (width, above + height + below), "white")
    canvas.paste(Image.fromarray(np.ascontiguousarray(picture)), (0, above))
    pen = ImageDraw.Draw(canvas)
    if title is not None:
        shown = _shortened(title, lambda text: pen.textlength(text, font), width - 2 * _GAP)
        pen.text((_GAP, line // 2), shown, "black", font, anchor="lm")
    if limits is not None:
        top = above + height + _GAP // 2
        steps = np.linspace(0, 255, width).round().astype(int)
        strip = np.repeat(COLOURS[colours][steps][None], bar, axis=0)
        canvas.paste(Image.fromarray(strip), (0, top))
        low, high = limits.ends()
        middle = top + bar + line // 2 - _GAP // 2
        pen.text((_GAP, middle), low, "black", font, anchor="lm")
        pen.text((width - _GAP, middle), high, "black", font, anchor="rm")
        if limits.signed:
            pen.text((width / 2, middle), "0", "black", font, anchor="mm")
    return np.array(canvas)


def joined(pictures: Sequence[NDArray[np.uint8]], gap: int = _GAP) -> NDArray[np.uint8]:
    """Joins pictures side by side, on white, at their upper edges.

    Args:
        pictures: (H, W, 3) uint8 of any sizes.
        gap: Pixels between them.

    Returns:
        (H, W, 3) uint8.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.drawing import joined
        >>> joined([np.zeros((8, 6, 3), np.uint8), np.zeros((10, 6, 3), np.uint8)]).shape
        (10, 16, 3)
    """
    height, width = max(map(len, pictures)), sum(one.shape[1] for one in pictures) + gap * (len(pictures) - 1)
    whole, left = np.full((height, width, 3), 255, np.uint8), 0
    for one in pictures:
        whole[: len(one), left : left + one.shape[1]] = one
        left += one.shape[1] + gap
    return whole


def printable(text: str) -> str:
    """Returns a text on one line, without marks that cannot be seen; other letters that cannot be drawn become ``?``.

    Args:
        text: Any text, such as the name of a class.

    Returns:
        The text.

    Examples:
        >>> from cv_attention.drawing import printable
        >>> printable("cat" + chr(7) + chr(10) + "dog")
        'cat? dog'
    """
    line = " ".join(text.split("\n"))
    kept = (letter for letter in line if unicodedata.category(letter) != "Cf")
    return "".join(letter if letter.isprintable() else "?" for letter in kept)


def _shortened(text: str, width_of: Callable[[str], float], most: float) -> str:
    """Returns a text on one line of at most this width."""
    text = printable(text)
    if width_of(text) <= most:
        return text
    while text and width_of(text + "…") > most:
        text = text[:-1]
    return text + "…"
