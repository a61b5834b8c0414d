"""Formats tables: as aligned text for terminals and pipes, as Markdown, and as HTML for notebooks."""

import html
from collections.abc import Collection, Iterator, Sequence
from typing import Any

_GAP = "  "


def text_table(
    header: Sequence[str],
    rows: Sequence[Sequence[Any] | None],
    *,
    left: int | None = None,
    width: int | None = None,
    wrap: Collection[str] = (),
) -> str:
    """Lays out `rows` below `header` in aligned columns.

    Args:
        header: Name of each column.
        rows: Cells of each row: texts, numbers, or None for one that is missing. A row that is None is a rule.
        left: How many columns are aligned to the left, before those to the right; None aligns those of numbers right.
        width: Characters in a line of the terminal: what does not fit is wrapped (by rich) or stands in a second table
            below, with the first column repeated. None never wraps, for pipes and files.
        wrap: Names of the columns whose cells may be wrapped.

    Returns:
        The table; no line ends in a newline or in spaces.

    Examples:
        >>> from cv_attention.tables import text_table
        >>> print(text_table(["block", "parameters"], [["se", 580], ["cbam", 13_000]]))
        block  parameters
        se            580
        cbam       13,000
    """
    cells = [[_text(value) for value in row] for row in (header, *rows) if row is not None]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = _right(header, rows, left)
    if width is not None and _together(widths, range(len(widths))) > width:
        return "\n\n".join(_fitted(cells, right, width, [name in wrap for name in header]))
    lines = []
    for row in (header, *rows):
        if row is None:
            lines.append(_GAP.join("-" * length for length in widths))
        else:
            lines.append(_GAP.join(_aligned([_text(value) for value in row], widths, right)).rstrip())
    return "\n".join(lines)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]], *, left: int | None = None) -> str:
    """Formats a table in Markdown, with columns aligned as by `text_table`."""
    cells = [[_text(value).replace("|", "\\|") for value in row] for row in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    right = _right(header, rows, left)
    rule = ["-" * (length - 1) + (":" if r else "-") for length, r in zip(widths, right, strict=True)]
    first, *rest = (_aligned(row, widths, right) for row in cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in (first, rule, *rest))


_PAGE = "color:inherit;font:13px system-ui,sans-serif;overflow-x:auto"
_CELL = "padding:2px 10px 2px 0;vertical-align:top;background:none;border:0;white-space:pre-wrap"
MOST_ROWS = 400  # of an HTML table, so that a notebook's output stays small


class Markup(str):
    """A text that is HTML already, and is not escaped in a cell."""


def html_table(header: Sequence[str], rows: Sequence[Sequence[Any] | None], *, left: int | None = None) -> str:
    """Formats a table as HTML without scripts or requests, for dark and light notebooks; aligned as by `text_table`.

    Args:
        header: Name of each column.
        rows: Cells of each row; a row that is None is a rule. What is `Markup` is inserted as it is.
        left: How many columns are aligned to the left, before those to the right; None aligns those of numbers right.

    Examples:
        >>> from cv_attention.tables import html_table
        >>> "<script>" in html_table(["name"], [["<script>"]])
        False
    """
    sides = ["right" if right else "left" for right in _right(header, rows, left)]
    lines, ruled = [_html_row("th", header, sides, False)], True
    for row in rows[:MOST_ROWS]:
        if row is not None:
            lines.append(_html_row("td", row, sides, ruled))
        ruled = row is None
    more = f"<div>{len(rows) - MOST_ROWS} more rows</div>" if len(rows) > MOST_ROWS else ""
    return f'<table style="border-collapse:collapse;border:0;margin:4px 0">{"".join(lines)}</table>{more}'


def html_output(*parts: str) -> str:
    """Wraps what a notebook shows of an object: tables by `html_table`, and texts, which are escaped."""
    shown = [part if isinstance(part, Markup) or part.startswith("<table ") else _paragraph(part) for part in parts]
    return f'<div style="{_PAGE}">{"".join(one for one in shown if one)}</div>'


def html_text(text: str) -> str:
    """Wraps a text of aligned columns for a notebook."""
    return f'<pre style="color:inherit;background:none;font-size:12px;overflow-x:auto">{html.escape(text)}</pre>'


def _paragraph(text: str) -> str:
    return f'<div style="margin:4px 0;white-space:pre-wrap">{html.escape(text)}</div>' if text else ""


def _html_row(tag: str, row: Sequence[Any], sides: Sequence[str], ruled: bool) -> str:
    rule = ";border-top:1px solid" if ruled else ""
    texts = [value if isinstance(value, Markup) else html.escape(_text(value)) for value in row]
    cells = [
        f'<{tag} style="text-align:{side};{_CELL}{rule}">{text}</{tag}>'
        for text, side in zip(texts, sides, strict=True)
    ]
    return f'<tr style="background:none">{"".join(cells)}</tr>'


def _right(header: Sequence[str], rows: Sequence[Sequence[Any] | None], left: int | None) -> list[bool]:
    if left is not None:
        return [column >= left for column in range(len(header))]
    kinds = zip(*(row for row in rows if row is not None), strict=True)
    numbers = [all(isinstance(value, int | float) or value is None for value in column) for column in kinds]
    return numbers or [False] * len(header)


def _aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, widths, right, strict=True)]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and value >= 10_000:
        return f"{value:,}"
    return "".join(character if character.isprintable() else " " for character in str(value))


def _fitted(cells: list[list[str]], right: list[bool], width: int, wrapped: list[bool]) -> Iterator[str]:
    """Tables of as many columns as fit, each with the first column; cells are wrapped where they may be."""
    least = [
        max(len(word) for cell in column for word in (cell.split() if wrap else [cell]) or [""])
        for column, wrap in zip(zip(*cells, strict=True), wrapped, strict=True)
    ]
    waiting = list(range(1, len(least)))
    taken: list[int] = []
    while waiting or not taken:
        taken = [0, *waiting[:1]]
        del waiting[:1]
        while waiting and _together(least, [*taken, waiting[0]]) <= width:
            taken.append(waiting.pop(0))
        cut = _together(least, taken) > width  # rather within a cell than to lose its end
        columns = [(right[i], wrapped[i] or cut) for i in taken]
        yield _by_rich([[row[i] for i in taken] for row in cells], columns, width)


def _together(widths: Sequence[int], columns: Sequence[int]) -> int:
    return sum(widths[column] + len(_GAP) for column in columns) - len(_GAP)


def _by_rich(cells: list[list[str]], columns: list[tuple[bool, bool]], width: int) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, len(_GAP), 0, 0), header_style="")
    for name, (right, wrap) in zip(cells[0], columns, strict=True):
        table.add_column(Text(name), justify="right" if right else "left", no_wrap=not wrap, overflow="fold")
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
