"""Lays out pictures in rows and columns, with a title above each column."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_GAP, _TITLE, _SIZE = 6, 22, 12  # pixels


def picture_grid(titles: Sequence[str], rows: Sequence[Sequence[Image.Image]], side: int = 128) -> Image.Image:
    """Draws rows of pictures below the titles of their columns.

    Args:
        titles: Title of each column; shortened in its middle if need be.
        rows: A picture for each column, in each row.
        side: Longer side of each picture in pixels.

    Returns:
        An RGB picture.

    Examples:
        >>> from PIL import Image
        >>> from cv_attention.picture_grid import picture_grid
        >>> photograph = Image.new("RGB", (64, 32))
        >>> picture_grid(["image", "Grad-CAM"], [[photograph, photograph]], side=128).size
        (274, 98)
    """
    fitted = [[_fitted(picture, side) for picture in row] for row in rows]
    heights = [max(picture.height for picture in row) for row in fitted]
    size = (len(titles) * (side + _GAP) + _GAP, _TITLE + sum(heights) + len(rows) * _GAP + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_SIZE)
    for place, title in enumerate(titles):
        draw.text((_GAP + place * (side + _GAP), 4), _shortened(title, side, font), fill="black", font=font)
    top = _TITLE
    for row, height in zip(fitted, heights, strict=True):
        for place, picture in enumerate(row):
            sheet.paste(picture, (_GAP + place * (side + _GAP), top))
        top += height + _GAP
    return sheet


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    return picture.convert("RGB").resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))


def _shortened(title: str, side: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Shortens a module's name in its middle, since its beginning and its end tell maps apart."""
    short = title = title.replace(".attention", "").removesuffix(".map")
    kept = len(title)
    while font.getlength(short) > side and kept > 4:
        kept -= 1
        short = f"{title[: kept - kept // 2]}…{title[len(title) - kept // 2 :]}"
    return short
