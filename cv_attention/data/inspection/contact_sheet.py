"""Draws a contact sheet: a row of images for each class, or for tenths of the images by their first number."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from cv_attention.data.decoding.decode import decode_image
from cv_attention.data.inspection.facts import Facts

SIDE = 96  # pixels of a picture
COLUMNS, ROWS = 10, 40
TENTHS = 10  # rows of images with numbers
_TEXT = 18  # height of a line


def contact_sheet(facts: Sequence[Facts], bits: int | None = None) -> Image.Image:
    """Draws images of every class, spread over its list; an image with several classes may be in several rows.

    Args:
        facts: What is known of each image.
        bits: Range of images of more than 8 bits.

    Returns:
        An RGB picture with at most 40 classes and 10 images of each.
    """
    shown = _rows([each for each in facts if not each.error])[:ROWS]
    sheet = Image.new("RGB", (COLUMNS * (SIDE + 4) + 4, max(1, len(shown)) * (SIDE + _TEXT + 8)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (name, own) in enumerate(shown):
        top = row * (SIDE + _TEXT + 8) + 2
        draw.text((4, top), f"{name} ({len(own):,})", fill="black", font=font)
        count = min(COLUMNS, len(own))
        for column in range(count):
            picture = _picture(own[column * len(own) // count], bits)
            sheet.paste(picture, (4 + column * (SIDE + 4), top + _TEXT))
    return sheet


def _rows(facts: Sequence[Facts]) -> list[tuple[str, list[Facts]]]:
    """Returns the title and the images of each row."""
    numbered = sorted((each for each in facts if each.item.numbers), key=lambda each: each.item.numbers[0])
    if numbered:
        bounds = np.linspace(0, len(numbered), min(TENTHS, len(numbered)) + 1).astype(int)
        tenths = [numbered[start:end] for start, end in pairwise(bounds.tolist())]
        return [(f"{own[0].item.numbers[0]:g} to {own[-1].item.numbers[0]:g}", own) for own in tenths]
    without = "no class" if any(each.item.classes for each in facts) else "all"
    classes = defaultdict(list)
    for each in facts:
        for name in each.item.classes or (without,):
            classes[name].append(each)
    return sorted(classes.items(), key=lambda row: row[0])


def _picture(facts: Facts, bits: int | None) -> Image.Image:
    item = facts.item
    if item.content is not None:
        pixels = decode_image(item.content(), item.name, bits)
    else:
        assert item.read is not None
        pixels = item.read()
    return ImageOps.pad(Image.fromarray(pixels), (SIDE, SIDE), color="white")
