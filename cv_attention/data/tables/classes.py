"""Reads images whose classes, or numbers, are in a table: CSV, JSON Lines, Parquet, with a column of paths."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cv_attention.config import Data
from cv_attention.data.guessing import looks_like_table, not_found, other_kind
from cv_attention.data.sources.folder import ALIASES, EXTENSIONS, split_folders
from cv_attention.data.sources.images import Images
from cv_attention.data.tables.entries import Entry
from cv_attention.data.tables.rows import Listing, Row, open_listings
from cv_attention.data.tables.sheets import NAMED_ONLY, SUFFIXES, Sheet, read_table
from cv_attention.data.tables.targets import cells, column
from cv_attention.suggest import suggest

_IMAGES = ("path", "file", "file_name", "filename", "filepath", "image", "image_path", "image_id", "id")
_METADATA = "metadata"  # what Hugging Face's imagefolder calls its tables


class _Part(NamedTuple):
    """The rows of one table, and the columns that say what its images show."""

    columns: list[str]
    rows: list[Row]


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split that the table names: of ``train`` alone if it names none.

    ``data.root`` is the table, or a folder with one table, with a table for each split (``train.csv``, ``val.csv``
    and ``test.csv``), or as Hugging Face's imagefolder with a table ``metadata`` in the folder of each split. As for
    folders, the only split besides train is the test split.

    Raises:
        FileNotFoundError: if the table or an image does not exist; names line and path.
        ValueError: if a column is missing, a row has no class or an unknown split, an image is listed twice, or a class
            has no training images; names the line.
    """
    given = Path(config.root).expanduser()
    in_folders = _in_split_folders(given)
    files = in_folders or _tables(given)
    places = {split: file.parent for split, file in files.items()}
    if not in_folders:
        top = Path(config.table.folder).expanduser() if config.table.folder else next(iter(files.values())).parent
        if not top.is_dir():
            raise FileNotFoundError(f"data.table.folder: folder not found: '{top}'{other_kind(top, '')}")
        places = dict.fromkeys(files, top)
    parts = {split: _rows(read_table(file, config.table.encoding), config, split) for split, file in files.items()}
    names = next(iter(parts.values())).columns
    listings = [Listing(parts[split].rows, places[split]) for split in files]
    return open_listings(listings, _top(given, places), config, names)


def _top(given: Path, places: dict[str, Path]) -> Path:
    return given if len(set(places.values())) > 1 else next(iter(places.values()))


def _in_split_folders(given: Path) -> dict[str, Path]:
    """Returns ``train/metadata.csv`` and its like by split; empty where there are none."""
    found: dict[str, Path] = {}
    for split, folders in (split_folders(given) if given.is_dir() else {}).items():
        files = [folder / f"{_METADATA}{suffix}" for folder in folders for suffix in SUFFIXES]
        present = [file for file in files if file.is_file()]
        if len(present) > 1:
            raise ValueError(f"'{given}' has several tables of {split}: {', '.join(map(str, present))}; keep one")
        if present:
            found[split] = present[0]
    return found


def _tables(given: Path) -> dict[str, Path]:
    """Returns the tables by split; by ``""`` the table of everything."""
    if given.is_file() or (given.suffix.lower() in SUFFIXES and given.exists()):  # also a pipe, which is then named
        if given.suffix.lower() not in SUFFIXES + NAMED_ONLY:
            hint = other_kind(given, "table") or "; call it .csv if it holds separated values"
            raise ValueError(f"'{given}' is not a table that can be read; expected {', '.join(SUFFIXES)}{hint}")
        return {"": given}
    if not given.is_dir():
        raise not_found(given, "table", "table")
    found = sorted(path for path in given.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    by_split = {split: [path for path in found if path.stem.lower() in names] for split, names in ALIASES.items()}
    several = next((paths for paths in by_split.values() if len(paths) > 1), found if len(found) > 1 else [])
    if by_split["train"] and all(len(paths) < 2 for paths in by_split.values()):
        return {split: paths[0] for split, paths in by_split.items() if paths}
    if several:
        hint = other_kind(given, "table")
        raise ValueError(
            f"'{given}' has several tables: {', '.join(path.name for path in several)}; name one of them{hint}"
        )
    if not found:
        near = next((f"; give '{path}' itself" for path in sorted(given.iterdir()) if looks_like_table(path)), "")
        raise FileNotFoundError(f"'{given}' has no table ({', '.join(SUFFIXES)}){other_kind(given, 'table') or near}")
    return {"": found[0]}


def _rows(sheet: Sheet, config: Data, split: str) -> _Part:
    columns = config.table
    if f".{columns.suffix.lower()}" in EXTENSIONS:
        raise ValueError(
            f"data.table.suffix must begin with a dot, such as '.{columns.suffix}', got {columns.suffix!r}"
        )
    image = column(sheet, columns.image, "data.table.image", _IMAGES)
    if not sheet.lines:
        raise ValueError(f"'{sheet.file}' has a header, but no rows")
    if "" in sheet.columns[image]:
        raise ValueError(f"{sheet.place(sheet.columns[image].index(''))} has no {image}")
    names, said = cells(sheet, config)
    own = columns.split or ("split" if "split" in sheet.columns else None)
    splits = [split] * len(sheet.lines) if split or own is None else _splits(sheet, own)
    if not split and own is None and sheet.file.stem == _METADATA:
        splits = _splits_of_paths(sheet.columns[image]) or splits
    group = column(sheet, columns.group, "data.table.group", ()) if columns.group else None
    shown = columns.separator if config.targets == "multi" else ", "
    rows = [
        Row(
            Entry(sheet.columns[image][row] + columns.suffix, shown.join(said[row]), sheet.file, sheet.lines[row]),
            said[row],
            splits[row],
            sheet.columns[group][row] if group else "",
        )
        for row in range(len(sheet.lines))
    ]
    return _Part(names, rows)


def _splits_of_paths(paths: Sequence[str]) -> list[str] | None:
    """Returns the splits that the first folders of all paths name, as of an imagefolder with one table; else None."""
    name_of = {alias: split for split, aliases in ALIASES.items() for alias in aliases}
    found = [name_of.get(path.replace("\\", "/").removeprefix("./").partition("/")[0].lower()) for path in paths]
    return None if None in found else [each for each in found if each]


def _splits(sheet: Sheet, column: str) -> list[str]:
    name_of = {alias: split for split, aliases in ALIASES.items() for alias in aliases}
    if column not in sheet.columns:
        near = suggest(column, list(sheet.columns))
        raise ValueError(f"data.table.split: '{sheet.file}' has no column {column!r}{near}")
    values = [value.strip().lower() for value in sheet.columns[column]]
    for row, value in enumerate(values):
        if value not in name_of:
            raise ValueError(
                f"{sheet.place(row)}: {column} must be one of {', '.join(name_of)}, got {sheet.columns[column][row]!r}"
            )
    return [name_of[value] for value in values]
