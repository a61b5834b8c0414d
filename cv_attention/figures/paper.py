"""Lays out a sheet for paper with matplotlib: white, text of 8 points in embedded fonts, colour bars, a caption."""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cv_attention.drawing import COLOURS, Limits, printable
from cv_attention.extras import require
from cv_attention.figures.grid import Grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["svg", "pdf", "png", "webp"]
POINTS = 8.0  # of all text
_LINE = POINTS * 1.3 / 72  # inches
_GAP, _MARGIN = 0.05, 0.04  # inches
_BAR = 0.055  # height of a colour bar in inches
_LABEL = 1.0  # most inches for the labels of rows
_LETTER = 0.56 * POINTS / 72  # the width of a letter, about
_DIGIT = 0.64 * POINTS / 72
_SCRIPTS = (  # fonts of Linux, macOS and Windows
    *(
        "Noto Sans CJK JP",
        "Noto Sans CJK SC",
        "Noto Sans SC",
        "Noto Sans JP",
        "WenQuanYi Micro Hei",
        "Droid Sans Fallback",
    ),
    *("Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai"),
    *(
        "PingFang SC",
        "Hiragino Sans",
        "Arial Unicode MS",
        "Microsoft YaHei",
        "Yu Gothic",
        "Malgun Gothic",
        "Nirmala UI",
    ),
)
_PARAMETERS: Any = {
    "font.size": POINTS,
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "cv_attention",  # the same figure gives the same bytes
}


@dataclass(frozen=True)
class _Layout:
    """Sizes in inches, and the number of lines of each text."""

    width: float
    label: float
    cell: float
    heights: list[float]
    head: int
    bars: bool  # below each cell
    foot: bool  # below each column
    caption: list[str]

    @property
    def row_gap(self) -> float:
        return _GAP + (_BAR + _LINE if self.bars else 0)

    @property
    def height(self) -> float:
        rows = sum(self.heights) + self.row_gap * len(self.heights)
        foot = _BAR + _LINE + _GAP if self.foot else 0
        return 2 * _MARGIN + self.head * _LINE + _GAP + rows + foot + len(self.caption) * _LINE


def render(sheet: Grid, kind: Format, *, width: float, dpi: int) -> bytes:
    """Draws a sheet as the content of a file.

    Args:
        sheet: What to draw.
        kind: ``svg``, ``pdf``, ``png`` or ``webp``.
        width: Inches.
        dpi: Pixels per inch of PNG and WebP.

    Raises:
        ValueError: if the columns are too many for the width.
        MissingPackage: if matplotlib is not installed.
    """
    return written(lambda: _figure(sheet, width, dpi), kind, width=width, dpi=dpi)


def written(make: "Callable[[], Figure]", kind: Format, *, width: float, dpi: int) -> bytes:
    """Writes what `make` draws as the content of a file: white, with real text in embedded fonts.

    Args:
        make: Draws with matplotlib, at a font size of `POINTS`.
        kind: ``svg``, ``pdf``, ``png`` or ``webp``.
        width: Inches, 1 to 60.
        dpi: Pixels per inch of PNG and WebP, 30 to 2400.

    Raises:
        ValueError: if `width` or `dpi` is out of range.
        MissingPackage: if matplotlib is not installed.
    """
    require("figures", "figures for paper")
    import matplotlib

    if not 1 <= width <= 60 or not 30 <= dpi <= 2400:
        raise ValueError(f"width must be 1 to 60 inches and dpi 30 to 2400, got {width} and {dpi}")
    with matplotlib.rc_context({**_PARAMETERS, "font.family": _families()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")  # drawn as boxes
        figure = make()
        file = io.BytesIO()
        about = {"pdf": {"CreationDate": None, "Creator": "cv_attention"}, "svg": {"Date": None}}
        extra = {"metadata": about[kind]} if kind in about else {}
        figure.savefig(file, format=kind, dpi=dpi, facecolor="white", **extra)
    if kind == "svg":
        from cv_attention.figures.fonts import with_fonts

        return with_fonts(file.getvalue().decode()).encode()
    return file.getvalue()


def _families() -> list[str]:
    """Returns matplotlib's own font, and those of this machine that have other scripts, for class names."""
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _SCRIPTS if name in known)]


def _layout(sheet: Grid, width: float) -> _Layout:
    count = len(sheet.maps) + sheet.with_images
    longest = max((len(line) for label in sheet.labels for line in label.splitlines()), default=0)
    label = min(longest * _LETTER + _GAP, _LABEL, width / 4) if longest else 0.0
    cell = (width - 2 * _MARGIN - label - _GAP * (count - 1)) / count
    if cell < 0.3:
        raise ValueError(f"{count} columns do not fit into {width} inches; choose fewer, or a larger width")
    heights = [cell * image.shape[0] / image.shape[1] for image in sheet.images]
    shared = [title for title in sheet.maps if sheet.bar_of(title) is not None]
    titles = max((len(_wrapped(title, cell)) for title in sheet.maps), default=0)
    caption = _wrapped(sheet.caption, width - 2 * _MARGIN) if sheet.caption else []
    bars = any(sheet.bar_of(title) is None for title in sheet.maps)
    return _Layout(width, label, cell, heights, titles, bars, bool(shared), caption)


def _figure(sheet: Grid, width: float, dpi: int) -> "Figure":
    from matplotlib.figure import Figure

    layout = _layout(sheet, width)
    figure = Figure(figsize=(width, layout.height))
    titles: list[str | None] = [*([None] if sheet.with_images else []), *sheet.maps]
    lefts = [_MARGIN + layout.label + place * (layout.cell + _GAP) for place in range(len(titles))]
    top = _MARGIN + layout.head * _LINE + _GAP
    for left, title in zip(lefts, titles, strict=True):
        if title is not None:
            lines = "\n".join(_wrapped(title, layout.cell))
            _text(figure, layout, left + layout.cell / 2, top - _GAP, lines, ha="center", va="bottom")
    for row, height in enumerate(layout.heights):
        if sheet.labels and layout.label:
            lines = [line for part in sheet.labels[row].splitlines() for line in _wrapped(part, layout.label - _GAP)]
            _text(figure, layout, _MARGIN, top + height / 2, "\n".join(lines), ha="left", va="center")
        for left, title in zip(lefts, titles, strict=True):
            axes = _axes(figure, layout, left, top, layout.cell, height)
            axes.imshow(_fine(sheet, row, title, layout.cell * dpi), interpolation="none", aspect="auto")
            limits = None if title is None or sheet.bar_of(title) is not None else sheet.limits(row, title)
            if title is not None and limits is not None:
                _bar(figure, layout, left, top + height + _GAP / 2, limits, sheet.table(title))
        top += height + layout.row_gap
    for left, title in zip(lefts, titles, strict=True) if layout.foot else ():
        if title is not None and (limits := sheet.bar_of(title)) is not None:
            _bar(figure, layout, left, top, limits, sheet.table(title))
    below = layout.height - _MARGIN
    _text(figure, layout, _MARGIN, below, "\n".join(layout.caption), ha="left", va="bottom")
    return figure


def _fine(sheet: Grid, row: int, title: str | None, pixels: float) -> np.ndarray:
    """One cell, with small images enlarged before maps are drawn over them, so that these stay smooth."""
    image = sheet.images[row]
    factor = int(min(max(pixels // image.shape[1], 1), 16))
    if factor == 1:
        return sheet.picture(row, title)
    return sheet.picture_over(image.repeat(factor, 0).repeat(factor, 1), row, title)


def _axes(figure: "Figure", layout: _Layout, left: float, top: float, width: float, height: float) -> Any:
    """Adds axes without a frame, in inches from the upper left corner."""
    bottom = layout.height - top - height
    place = (left / layout.width, bottom / layout.height, width / layout.width, height / layout.height)
    axes = figure.add_axes(place)
    axes.set_axis_off()
    return axes


def _text(figure: "Figure", layout: _Layout, left: float, top: float, text: str, **options: Any) -> None:
    place = (left / layout.width, 1 - top / layout.height)
    lines = "\n".join(map(printable, text.split("\n")))
    figure.text(*place, lines, color="black", parse_math=False, linespacing=1.2, **options)


def _bar(figure: "Figure", layout: _Layout, left: float, top: float, limits: Limits, table: str) -> None:
    axes = _axes(figure, layout, left, top, layout.cell, _BAR)
    axes.imshow(COLOURS[table][None], interpolation="none", aspect="auto")
    widest = layout.cell / _DIGIT - limits.signed  # with a sign
    low, high = limits.ends(3 if len(limits.ends()[1]) <= widest else 2)
    low, high = (end.replace("-", "\N{MINUS SIGN}") for end in (low, high))
    below = top + _BAR + 0.01
    middle = "0" if limits.signed else ""
    if (len(low) + len(high) + 1) * _DIGIT > layout.cell:  # no room for both
        low, middle, high = "", "", (f"±{high}" if limits.low == -limits.high else high)
    elif (max(len(low), len(high)) + 1.5) * _DIGIT > layout.cell / 2:
        middle = ""
    _text(figure, layout, left, below, low, ha="left", va="top")
    _text(figure, layout, left + layout.cell, below, high, ha="right", va="top")
    _text(figure, layout, left + layout.cell / 2, below, middle, ha="center", va="top")


def _wrapped(text: str, inches: float) -> list[str]:
    """Breaks a text at spaces, and names of modules behind their dots; what is longer than a line anywhere."""
    most, lines = max(int(inches / _LETTER), 3), [""]
    for piece in re.findall(r"[^\s._/-]*[._/-]*\s*", text):
        if len(lines[-1]) + len(piece.rstrip()) > most:
            lines.append("")
        while len(piece.rstrip()) > most:
            lines[-1], piece = piece[:most], piece[most:]
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines if line.strip()] or [""]
