"""Draws a contact sheet: a row of images for each class."""

from collections import defaultdict
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from cv_attention.data.decoding.decode import decode_image
from cv_attention.data.inspection.facts import Facts

SIDE = 96  # pixels of a picture
COLUMNS, ROWS = 10, 40
_TEXT = 18  # height of a line


def contact_sheet(facts: Sequence[Facts], bits: int | None = None) -> Image.Image:
    """Draws images of every class, spread over its list.

    Args:
        facts: What is known of each image.
        bits: Range of images of more than 8 bits.

    Returns:
        An RGB picture with at most 40 classes and 10 images of each.
    """
    classes = defaultdict(list)
    for each in facts:
        if not each.error:
            classes[each.item.label].append(each)
    shown = sorted(classes)[:ROWS]
    sheet = Image.new("RGB", (COLUMNS * (SIDE + 4) + 4, max(1, len(shown)) * (SIDE + _TEXT + 8)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, name in enumerate(shown):
        own = classes[name]
        top = row * (SIDE + _TEXT + 8) + 2
        draw.text((4, top), f"{name or 'all'} ({len(own):,})", fill="black", font=font)
        count = min(COLUMNS, len(own))
        for column in range(count):
            picture = _picture(own[column * len(own) // count], bits)
            sheet.paste(picture, (4 + column * (SIDE + 4), top + _TEXT))
    return sheet


def _picture(facts: Facts, bits: int | None) -> Image.Image:
    item = facts.item
    if item.content is not None:
        pixels = decode_image(item.content(), item.name, bits)
    else:
        assert item.read is not None
        pixels = item.read()
    return ImageOps.pad(Image.fromarray(pixels), (SIDE, SIDE), color="white")
