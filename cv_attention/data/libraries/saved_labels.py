"""Reads the labels of data sets that Hugging Face's ``datasets`` has saved: a class, several classes, or numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cv_attention.config import Data
from cv_attention.data.labels import check_learned, listed, marked, numeric, separated
from cv_attention.data.libraries.listed import numbered
from cv_attention.data.tables.targets import NUMBERS, SEVERAL, columns_of
from cv_attention.suggest import suggest

_USUAL = {"single": ("label", "labels", "fine_label"), "multi": SEVERAL, "numbers": NUMBERS}


def read(splits: Mapping[str, Any], config: Data) -> tuple[list[str], dict[str, np.ndarray]]:
    """Reads the names of the classes or numbers, and the labels of `Images` of each split.

    - One class: the first column of the type `ClassLabel`, or one called ``label``.
    - Several classes: the first column of lists of `ClassLabel`, or one called ``labels``: lists of classes, whole
      numbers or texts; lists of 0 and 1 of one length, for each class; or texts with separated classes.
    - Numbers: a column called ``target``, ``value``, ``label`` or ``score``: numbers, or lists of one length.

    ``data.table.label`` names others, or lists a column of 0 and 1 for each class, or one for each number.

    Args:
        splits: The data sets of each split.
        config: The data set.

    Raises:
        ValueError: if columns are missing or of another type, or a label is wrong; names split, row and column.
    """
    features, place = splits["train"].features, f"'{config.root}'"
    wanted = columns_of(config) or [None]
    suits: Callable[[Any], bool] = _is_classes if config.targets == "multi" else _is_class
    if config.targets == "numbers":
        suits = _is_nothing
    found = [find_column(features, name, "data.table.label", suits, _USUAL[config.targets]) for name in wanted]
    columns = [name for name in found if name is not None]
    if not columns:
        what = "numbers" if config.targets == "numbers" else "classes"
        raise ValueError(f"{place} has no column of {what}; its columns are {', '.join(features)}: name one of them as "
                         "data.table.label")  # fmt: skip
    if config.targets == "single":
        return _one_class(splits, columns[0], config)
    if config.targets == "multi" and len(columns) == 1 and not isinstance(config.table.label, list):
        classes, labels = _several(splits, columns[0], config)
    else:
        classes, labels = _columns(splits, columns, config)
    if config.targets == "multi":
        check_learned(labels, classes, place)
    return classes, labels


def find_column(
    features: Mapping[str, Any], wanted: str | None, option: str, suits: Callable[[Any], bool], usual: Sequence[str]
) -> str | None:
    """Returns the name of a column: that which is wanted, or the first that suits, or has a usual name, or None.

    Args:
        features: The columns with their types.
        wanted: Name of the column; None looks for it.
        option: Option that names the column.
        suits: Whether a type is the right one.
        usual: Names to look for where no type is.

    Raises:
        ValueError: if the wanted one does not exist.
    """
    if wanted is not None:
        if wanted not in features:
            raise ValueError(f"{option}: no column {wanted!r}{suggest(wanted, list(features))}")
        return wanted
    return next((name for name in features if suits(features[name])), next((n for n in usual if n in features), None))


def _is_class(feature: Any) -> bool:
    return type(getattr(feature, "feature", feature)).__name__ == "ClassLabel"


def _is_classes(feature: Any) -> bool:
    return _is_list(feature) and _is_class(feature)


def _is_nothing(feature: Any) -> bool:
    return False


def _is_list(feature: Any) -> bool:
    return type(feature).__name__ in ("List", "Sequence", "LargeList", "list")


def _one_class(splits: Mapping[str, Any], column: str, config: Data) -> tuple[list[str], dict[str, np.ndarray]]:
    feature = splits["train"].features[column]
    if _is_list(feature):
        raise ValueError(
            f"'{config.root}': {column} has several classes for each image, but one is needed; with data.targets multi "
            "an image may have several"
        )
    values = {split: dataset[column][:] for split, dataset in splits.items()}
    return numbered(values, getattr(feature, "names", None), config.root)


def _several(splits: Mapping[str, Any], column: str, config: Data) -> tuple[list[str], dict[str, np.ndarray]]:
    """Reads the classes of each image from one column."""
    place, feature = f"'{config.root}'", splits["train"].features[column]
    values = {split: _present(dataset[column][:], f"{place}, {split}", column) for split, dataset in splits.items()}
    rows = [row for own in values.values() for row in own]
    if all(isinstance(row, str) for row in rows):
        return listed({split: separated(own, config.table.separator) for split, own in values.items()}, None, place)
    if not all(isinstance(row, list) for row in rows):
        raise ValueError(f"{place}: {column} must be lists of classes, or texts, got {feature}")
    inner = getattr(feature, "feature", None)
    names = getattr(inner, "names", None)
    if names is None and _are_marks(rows):
        classes = [str(number) for number in range(len(rows[0]))]
        return classes, {split: marked(np.array(own), classes, f"{place}, {split}, {column}")
                         for split, own in values.items()}  # fmt: skip
    return listed(values, names, place)


def _are_marks(rows: Sequence[Sequence[Any]]) -> bool:
    """Whether lists are 0 or 1 for each class: as lists of classes they would name the first two alone, and twice."""
    length = len(rows[0])
    return length > 1 and all(len(row) == length and all(value in (0, 1) for value in row) for row in rows)


def _columns(
    splits: Mapping[str, Any], columns: Sequence[str], config: Data
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Reads a column for each class, of 0 and 1, or for each number, or one column of lists of numbers."""
    check = marked if config.targets == "multi" else numeric
    names, labels = list(columns), dict[str, np.ndarray]()
    for split, dataset in splits.items():
        place = f"'{config.root}', {split}"
        read = [_numbers(_present(dataset[name][:], place, name), place, name) for name in columns]
        if len(columns) > 1 and (wide := [name for name, own in zip(columns, read, strict=True) if own.shape[1] != 1]):
            raise ValueError(f"{place}: {wide[0]} has lists; name it alone")
        values = np.concatenate(read, axis=1)
        if not labels and values.shape[1] > len(columns):
            names = [str(number) for number in range(values.shape[1])]
        labels[split] = check(values, names, f"{place}, {', '.join(columns)}")
    return names, labels


def _present(values: Sequence[Any], place: str, column: str) -> Sequence[Any]:
    if None in values:
        raise ValueError(f"{place}, row {list(values).index(None)} has no {column}")
    return values


def _numbers(values: Sequence[Any], place: str, column: str) -> np.ndarray:
    """Returns numbers (N, V)."""
    lengths = [len(row) if isinstance(row, list) else -1 for row in values]
    if different := [row for row, length in enumerate(lengths) if length != lengths[0]]:
        raise ValueError(f"{place}, row {different[0]}: {column} has another length than in row 0")
    found = np.array(values)
    if found.dtype.kind not in "iufb" or found.ndim > 2:
        raise ValueError(f"{place}: {column} must hold numbers, got {values[0]!s:.60}")
    return found[:, None] if found.ndim == 1 else found
