"""Shows a sheet in a notebook: one table without scripts or requests, on dark and light pages."""

import base64
import html
import io

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from cv_attention.drawing import COLOURS, Limits, as_heat, limits_of, overlay, printable
from cv_attention.figures.grid import Grid

_MOST = 290_000  # characters of one output
_SIDES = (256, 192, 128, 96, 64)  # pixels, tried until the whole is small enough
_LEAST_SHOWN = 96  # pixels on the screen
_STYLE = "border:0;padding:2px 4px;text-align:center;vertical-align:top;background:none"


def as_html(sheet: Grid) -> str:
    """Returns a sheet as HTML of less than 300 kB; rows beyond that are left out and counted.

    Args:
        sheet: What to show.
    """
    rows, titles = len(sheet.images), _titles(sheet)
    size, side = 0, _SIDES[0]
    for side in _SIDES:
        size = len(_row(sheet, 0, titles, side))  # the other rows are about as large
        if rows * size < 0.9 * _MOST:
            break
    else:
        rows = max(int(0.9 * _MOST / size), 1)
    while True:
        text = _table(sheet, rows, side)
        if len(text) < _MOST or rows == 1:
            return text
        rows = max(int(0.8 * rows), 1)


def _titles(sheet: Grid) -> list[str | None]:
    """The columns; None is that of the images alone."""
    return [*([None] if sheet.with_images else []), *sheet.maps]


def map_image(heat: ArrayLike, name: str, *, width: int = 96, most: int = 192) -> str:
    """Returns a map alone as an image for HTML, each of its cells as a square, with its range as a tooltip.

    Args:
        heat: (h, w) raw values.
        name: What it is, for those who cannot see it.
        width: Pixels on the screen, at least, if it is as high as wide.
        most: Pixels on the screen, at most.

    Returns:
        An ``img`` element.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.figures import map_image
        >>> map_image(np.eye(4), "layer4")[:18]
        '<img alt="layer4: '
    """
    values = as_heat(heat)
    rows, columns = values.shape
    cell = max(min(width // max(rows, columns), 24), 1)
    drawn = Image.fromarray(overlay(np.zeros((rows, columns, 3), np.uint8), values, 1))
    drawn.thumbnail((most, most))
    shown = (max(cell * drawn.width, 1), max(cell * drawn.height, 6 if rows == 1 else 1))
    low, high = limits_of(values).ends()
    about = html.escape(f"{printable(name)}: {low} to {high}", quote=True)
    return (
        f'<img alt="{about}" title="{about}" src="{_url(drawn)}" style="width:{shown[0]}px;height:{shown[1]}px;'
        'max-width:none;margin:0;image-rendering:pixelated">'
    )


def _table(sheet: Grid, rows: int, side: int) -> str:
    titles = _titles(sheet)
    head = "".join(f'<th style="{_STYLE}">{html.escape(printable(title or ""))}</th>' for title in titles)
    label = f'<th style="{_STYLE}"></th>' if sheet.labels else ""
    body = "".join(_row(sheet, row, titles, side) for row in range(rows))
    caption = html.escape(printable(sheet.caption))
    if rows < len(sheet.images):
        caption = f"{rows} of {len(sheet.images)} images. {caption}"
    below = f'<div style="padding:4px;opacity:.75">{caption}</div>' if caption else ""
    return (
        '<div style="color:inherit;font:13px system-ui,sans-serif;overflow-x:auto"><table style="border-collapse:'
        f'collapse;border:0"><thead><tr style="background:none">{label}{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{below}</div>"
    )


def _row(sheet: Grid, row: int, titles: list[str | None], side: int) -> str:
    cells = [f'<td style="{_STYLE}">{_cell(sheet, row, title, side)}</td>' for title in titles]
    if sheet.labels:
        words = "<br>".join(html.escape(printable(line)) for line in sheet.labels[row].split("\n"))
        cells.insert(0, f'<td dir="auto" style="{_STYLE};text-align:start;vertical-align:middle">{words}</td>')
    return f'<tr style="background:none">{"".join(cells)}</tr>'


def _cell(sheet: Grid, row: int, title: str | None, side: int) -> str:
    height, width = sheet.images[row].shape[:2]
    shown = max(_LEAST_SHOWN, min(width, 192))
    picture = Image.fromarray(np.ascontiguousarray(sheet.picture(row, title)))
    picture.thumbnail((side, side))
    what = f"{printable(title)} of image {row}" if title else f"image {row}"
    image = (
        f'<img alt="{html.escape(what, quote=True)}" src="{_url(picture)}" style="width:{shown}px;height:'
        f"{round(shown * height / width)}px;max-width:none;margin:0;display:block;image-rendering:"
        f'{"pixelated" if width < _LEAST_SHOWN else "auto"}">'
    )
    limits = None if title is None else sheet.limits(row, title)
    return image + (_bar(limits, sheet.table(title), shown) if title is not None and limits is not None else "")


def _bar(limits: Limits, table: str, width: int) -> str:
    steps = COLOURS[table][:: 255 // 15]
    colours = ", ".join(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in steps.tolist())
    low, high = (html.escape(end) for end in limits.ends())
    middle = "<span>0</span>" if limits.signed else ""
    return (
        f'<div style="height:6px;width:{width}px;margin-top:2px;background:linear-gradient(to right, {colours})"></div>'
        f'<div style="display:flex;justify-content:space-between;font-size:11px;width:{width}px">'
        f"<span>{low}</span>{middle}<span>{high}</span></div>"
    )


def _url(picture: Image.Image) -> str:
    file, lossless = io.BytesIO(), max(picture.size) <= 64
    picture.save(file, "WEBP", lossless=lossless, quality=85)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
