"""Reads what a table says of each image: its class, several classes, or numbers."""

import math
from collections.abc import Sequence

import numpy as np

from cv_attention.config import Data
from cv_attention.data.labels import separated
from cv_attention.data.sources.folder import EXTENSIONS
from cv_attention.data.tables.sheets import Sheet
from cv_attention.suggest import suggest

_LABELS = ("label", "class", "class_name", "category", "target", "species")
SEVERAL = ("labels", "classes", "tags", *_LABELS)
NUMBERS = ("target", "value", "label", "score")
_SEVERAL_HINT = "; with data.targets multi an image may have several classes, or none"
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no", "")
Cells = tuple[str, ...]


def cells(sheet: Sheet, config: Data) -> tuple[list[str], list[Cells]]:
    """Returns the columns that say what an image shows, and of each row the texts in them.

    With ``data.targets`` ``multi`` these are the classes of each row; with a column for each class, those that it has.

    Raises:
        ValueError: if a column is missing, or a row has none of the values that it should have; names the line.
    """
    wanted, option = config.table.label, "data.table.label"
    if config.targets == "single":
        if isinstance(wanted, list):
            raise ValueError(f"{option} lists several columns, but data.targets is single; set multi or numbers")
        name = column(sheet, wanted, option, _LABELS)
        listed = any(config.table.separator in text for text in sheet.columns[name])
        return [name], _filled(sheet, [name], _SEVERAL_HINT if listed else "")
    if config.targets == "numbers":
        names = [column(sheet, name, option, NUMBERS) for name in _listed(wanted)]
        return names, _filled(sheet, names)
    names = [column(sheet, name, option, SEVERAL) for name in _listed(wanted)]
    if isinstance(wanted, list):
        return names, _marked(sheet, names)
    return names, separated(sheet.columns[names[0]], config.table.separator)


def columns_of(config: Data) -> list[str]:
    """Returns the columns or arrays that ``data.table.label`` names: none for the usual ones.

    Raises:
        ValueError: if it lists several where an image has one class, or one of them twice.
    """
    if config.targets == "single":
        wanted = single_column(config)
        return [] if wanted is None else [wanted]
    return [name for name in _listed(config.table.label) if name is not None]


def single_column(config: Data) -> str | None:
    """Returns ``data.table.label``, for data sets that have one column, array or field of classes.

    Raises:
        ValueError: if it lists several.
    """
    wanted = config.table.label
    if isinstance(wanted, list):
        raise ValueError(f"data.table.label lists several columns, but data.name {config.name} has one: {wanted}")
    return wanted


def column(sheet: Sheet, wanted: str | None, option: str, usual: Sequence[str]) -> str:
    """Returns the name of a column: that which is wanted, or the first of the usual ones."""
    if wanted is not None:
        if wanted not in sheet.columns:
            several = [name.strip() for name in wanted.split(",")]
            listed = option == "data.table.label" and all(name in sheet.columns for name in several)
            hint = f"; list several as '[{', '.join(several)}]'" if listed else suggest(wanted, list(sheet.columns))
            raise ValueError(f"{option}: '{sheet.file}' has no column {wanted!r}{hint}")
        return wanted
    by_name = {name.strip().lower(): name for name in sheet.columns}
    found = next((by_name[name] for name in usual if name in by_name), None)
    if found is None:
        raise ValueError(f"'{sheet.file}' {_unnamed(sheet, option)}")
    return found


def _unnamed(sheet: Sheet, option: str) -> str:
    """Says what is to be done about a table none of whose columns has a usual name."""
    there = ", ".join(sheet.columns)
    if any(word.endswith(EXTENSIONS) for name in sheet.columns for word in name.lower().split()):
        first = f"has no header: its first line is {there:.200}"
        if len(sheet.columns) > 1 or there.strip().lower().endswith(EXTENSIONS):
            return f"{first}; write one above it, such as path,label"
        return f"{first}; write path,label above it, and commas instead of spaces"
    if len(sheet.columns) == 1 and sheet.file.suffix.lower() in (".csv", ".txt", ""):
        return f"has the only column {there:.200}; separate columns by commas, semicolons or tabs"
    if option == "data.table.image" and sheet.nested:
        return (
            f"has the columns {there:.200}, and {sheet.nested[0]} with more than a path in it: if these are images, "
            "set data.name datasets"
        )
    hint = ""
    if option == "data.table.label" and "labels" in (name.strip().lower() for name in sheet.columns):
        hint = "; for several classes per image set data.targets multi"
    elif option == "data.table.label" and _has_marks(sheet):
        hint = "; of columns of 0 and 1, list several, with data.targets multi"
    return f"has the columns {there:.200}: name one of them as {option}{hint}"


def _has_marks(sheet: Sheet) -> bool:
    """Returns whether several columns hold 0 and 1 alone."""
    marked = (all(text.strip().lower() in (*_YES, *_NO) for text in texts) for texts in sheet.columns.values())
    return sum(marked) > 1


def numbers(rows: Sequence[Cells], names: Sequence[str], places: Sequence[str]) -> np.ndarray:
    """Reads finite numbers, float32 (N, V).

    Args:
        rows: The texts of each row.
        names: The columns.
        places: Name of each row in a message.

    Raises:
        ValueError: if a text is not a finite number; names the line and the column.
    """
    values = np.empty((len(rows), len(names)), np.float32)
    for row, texts in enumerate(rows):
        for place, text in enumerate(texts):
            try:
                values[row, place] = float(text)
            except ValueError:
                values[row, place] = math.nan
            if not math.isfinite(values[row, place]):
                raise ValueError(f"{places[row]}: {names[place]} must be a finite number, got {text!r:.40}")
    return values


def _listed(wanted: str | list[str] | None) -> Sequence[str | None]:
    if isinstance(wanted, list):
        if len(set(wanted)) < max(len(wanted), 1):
            raise ValueError(f"data.table.label must name columns, each once, got {wanted}")
        return wanted
    return [wanted]


def _filled(sheet: Sheet, names: Sequence[str], hint: str = "") -> list[Cells]:
    for name in names:
        if "" in sheet.columns[name]:
            raise ValueError(f"{sheet.place(sheet.columns[name].index(''))} has no {name}{hint}")
    return list(zip(*(sheet.columns[name] for name in names), strict=True))


def _marked(sheet: Sheet, names: Sequence[str]) -> list[Cells]:
    """Returns the classes of each row from a column for each class."""
    found: list[list[str]] = [[] for _ in sheet.lines]
    for name in names:
        for row, text in enumerate(sheet.columns[name]):
            mark = text.strip().lower()
            if mark in _YES:
                found[row].append(name)
            elif mark not in _NO:
                raise ValueError(f"{sheet.place(row)}: {name} must be 1, 0 or empty, got {text!r:.40}")
    return [tuple(row) for row in found]
