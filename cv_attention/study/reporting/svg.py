"""Writes plain SVG with real text."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

INK, SOFT, GRID, BAND = "#1b1f24", "#59636e", "#d8dee4", "#eef1f4"


def padded(low: float, high: float) -> tuple[float, float]:
    """Returns the ends of an axis, with some room."""
    room = (high - low or 1.0) * 0.06
    return low - room, high + room


def ticks(low: float, high: float) -> list[float]:
    """Returns about six round numbers."""
    rough = (high - low) / 6
    size = 10 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)  # an end of 0.6 is three steps of 0.2
    return [round(number * step, 12) for number in range(first, last + 1)]


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    colour: str = INK,
    size: int = 13,
    bold: bool = False,
    halo: bool = False,
) -> str:
    """Returns a text; `anchor` is ``start``, ``middle`` or ``end``, and a halo sets it off from lines behind it."""
    style = ' font-weight="600"' if bold else ""
    style += ' stroke="#fff" stroke-width="3" paint-order="stroke"' if halo else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}"{style}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """Returns a line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def document(width: int, height: float, body: Sequence[str], title: str) -> str:
    """Returns a whole SVG with a white ground; `title` is what screen readers read."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
        f'height="{height:.0f}" font-family="system-ui, sans-serif" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join(
        [head, f"<title>{escape(title)}</title>", '<rect width="100%" height="100%" fill="#fff"/>', *body, "</svg>", ""]
    )
