"""Formats rows as an aligned table, for the terminal or in Markdown."""

from collections.abc import Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], *, markdown: bool = False) -> str:
    """Lays out `rows` below `header`; numbers and None (a missing number) are right-aligned."""
    texts = [[_text(value, markdown) for value in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    right = [all(isinstance(row[i], (int, float)) or row[i] is None for row in rows) for i in range(len(header))]
    lines = [
        [text.rjust(width) if r else text.ljust(width) for text, width, r in zip(row, widths, right, strict=True)]
        for row in texts
    ]
    if markdown:
        rule = ["-" * (width - 1) + ":" if r else "-" * width for width, r in zip(widths, right, strict=True)]
        return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _text(value: Any, markdown: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and value >= 10_000:
        return f"{value:,}"
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return text.replace("|", "\\|") if markdown else text
