"""Reads labels that come as arrays or lists: which classes each image has, or its numbers."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

_SEPARATORS = ";,|"  # that stand between classes in tables that people write


def marked(values: np.ndarray, names: Sequence[str], place: str) -> np.ndarray:
    """Checks whether each image has each class.

    Args:
        values: 0 or 1, or False or True, (N, C).
        names: Names of the C classes.
        place: Names the array in messages.

    Returns:
        uint8 (N, C).

    Raises:
        ValueError: if the shape is another, or a value is neither 0 nor 1; names row and column.
    """
    _check_shape(values, names, place, "0 or 1")
    wrong = np.argwhere(~np.isin(values, (0, 1)))
    if len(wrong):
        raise ValueError(f"{_cell(wrong[0], names, place)} must be 0 or 1, got {values[tuple(wrong[0])]}")
    return values.astype(np.uint8)


def numeric(values: np.ndarray, names: Sequence[str], place: str) -> np.ndarray:
    """Checks the numbers of each image.

    Args:
        values: Numbers (N, V).
        names: Names of the V numbers.
        place: Names the array in messages.

    Returns:
        float32 (N, V).

    Raises:
        ValueError: if the shape is another, or a number is not finite in float32; names row and column.
    """
    _check_shape(values, names, place, "finite numbers")
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        raise ValueError(f"{_cell(wrong[0], names, place)} must be a finite number, got {values[tuple(wrong[0])]}")
    return numbers


def listed(
    values: Mapping[str, Sequence[Iterable[Any]]], names: Sequence[str] | None, place: str
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Turns lists of the classes of each image into marks.

    Args:
        values: By split, the classes of each image: whole numbers, or texts.
        names: Names of the classes that numbers stand for; None takes the numbers or texts themselves.
        place: Names the data set in messages.

    Returns:
        The class names, and uint8 (N, C) for each split.

    Raises:
        ValueError: if a class is something else, negative or beyond the names; names the row.
    """
    kinds: set[type] = set()
    for split, rows in values.items():
        for row, own in enumerate(rows):
            for value in own:
                where = f"{place}, {split}, row {row}"
                if not isinstance(value, int | str) or isinstance(value, bool):
                    raise ValueError(f"{where}: classes must be whole numbers or texts, got {value!s:.60}")
                if isinstance(value, int) and names is not None and not 0 <= value < len(names):
                    raise ValueError(f"{where} has the class {value}, but there are {len(names)}, from 0 on")
                kinds.add(type(value))
    if len(kinds) > 1:
        raise ValueError(f"{place} has both numbers and texts as classes")
    if kinds <= {int} and names is not None:
        position: dict[Any, int] = {number: number for number in range(len(names))}
        classes = [str(name) for name in names]
    else:
        ordered = sorted({value for rows in values.values() for own in rows for value in own})
        position, classes = {value: number for number, value in enumerate(ordered)}, [str(value) for value in ordered]
    labels = {split: np.zeros((len(rows), len(classes)), np.uint8) for split, rows in values.items()}
    for split, rows in values.items():
        for row, own in enumerate(rows):
            labels[split][row, [position[value] for value in own]] = 1
    return classes, labels


def separated(texts: Sequence[str], separator: str) -> list[tuple[str, ...]]:
    """Splits texts into the classes that they name, each once.

    A text such as ``['cat', 'dog']``, as pandas writes a list, names what is in it.

    Args:
        texts: The texts.
        separator: What stands between two classes.

    Raises:
        ValueError: if the separator is empty.
    """
    if not separator:
        raise ValueError("data.table.separator must not be empty")
    parts = ([part.strip() for part in _written_list(text) or text.split(separator)] for text in texts)
    return [tuple(dict.fromkeys(part for part in row if part)) for row in parts]


def _written_list(text: str) -> list[str] | None:
    """Returns the texts or whole numbers of a list that is written in Python or JSON; None of any other text."""
    if not (text.strip().startswith("[") and text.strip().endswith("]")):
        return None
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    whole = all(isinstance(each, str | int) and not isinstance(each, bool) for each in found)
    return [str(each) for each in found] or [""] if whole else None


def lists_among(names: Sequence[str]) -> list[str]:
    """Returns the names of classes that consist of at least one other class and a separator, such as ``cat;dog``.

    Args:
        names: Names of the classes.
    """
    known, found = {name.strip() for name in names}, []
    for name in names:
        for separator in _SEPARATORS:
            parts = {part.strip() for part in name.split(separator)} - {""}
            if separator in name and (parts & known) - {name.strip()}:
                found.append(name)
                break
    return found


def check_learned(labels: Mapping[str, np.ndarray], names: Sequence[str], place: str) -> None:
    """Raises ValueError if a split has images of a class that no training image has, or no class is learned at all.

    Args:
        labels: uint8 (N, C) of each split.
        names: Names of the classes.
        place: Names the data set in messages.
    """
    learned = labels["train"].any(0)
    if not learned.any():
        raise ValueError(f"{place} names no class of any training image")
    for split, own in labels.items():
        unknown = np.argwhere(own.astype(bool) & ~learned)
        if len(unknown):
            row, column = unknown[0]
            raise ValueError(f"{place}, {split}, row {row}: the class {names[column]!r} has no training images")


def classes_of(labels: np.ndarray) -> list[int]:
    """Returns the classes that any of some images has; of numbers none.

    Args:
        labels: Labels of images, see `Images`.
    """
    if labels.ndim == 1:
        return np.unique(labels).tolist()
    return np.flatnonzero(labels.any(0)).tolist() if labels.dtype == np.uint8 else []


def _check_shape(values: np.ndarray, names: Sequence[str], place: str, what: str) -> None:
    if values.ndim != 2 or values.shape[1] != len(names) or values.dtype.kind not in "iufb":
        raise ValueError(f"{place} must hold {what} (N, {len(names)}), got {values.dtype} {values.shape}")
    if not len(values):
        raise ValueError(f"{place} holds no labels: its shape is {values.shape}")


def _cell(where: np.ndarray, names: Sequence[str], place: str) -> str:
    row, column = where.tolist()
    name = "" if names[column] == str(column) else f" ({names[column]})"
    return f"{place}, row {row}, column {column}{name}"
