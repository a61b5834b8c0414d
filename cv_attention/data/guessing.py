"""Guesses what kind of data set a path holds, for messages about one that is not what ``data.name`` says."""

import os
import re
from pathlib import Path

from cv_attention.data.decoding.text import encoding_of
from cv_attention.suggest import suggest

_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".json")
_PACKED = (".zip", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
_OF_FILES = ("table", "coco", "arrays")
_LISTED = 200  # names in a folder that are looked at
_FOLDERS = 20  # in a folder that are looked into


def not_found(root: str | os.PathLike[str], name: str, kind: str = "folder") -> FileNotFoundError:
    """Makes the error for a data set that does not exist, or is a file where a folder is needed.

    Args:
        root: ``data.root``.
        name: ``data.name``.
        kind: What is needed, such as ``folder``.
    """
    return FileNotFoundError(f"data.root: {kind} not found: '{root}'{other_kind(root, name)}")


def other_kind(root: str | os.PathLike[str], name: str) -> str:
    """Returns what else a path could be, as the end of a message; empty if nothing is known.

    Args:
        root: ``data.root``.
        name: ``data.name``, which did not fit.
    """
    path = Path(root).expanduser()
    try:
        if not path.exists():
            return _near(path, name)
        what, fitting = _of_folder(path) if path.is_dir() else _of_file(path)
    except OSError:
        return ""
    if not what or (name in fitting and "give" not in what) or (what == "a file" and name in _OF_FILES):
        return ""
    return f"; it is {what}" + (f": set data.name {' or '.join(fitting)}" if fitting and name not in fitting else "")


def looks_like_table(path: Path) -> bool:
    """Returns whether a file without the suffix of a table begins as one: with a line of separated values, or JSON."""
    if not path.is_file() or path.suffix.lower() not in ("", ".txt"):
        return False
    with path.open("rb") as opened:
        begin = opened.read(1000)
    first = begin.decode(encoding_of(begin), "replace").lstrip("\ufeff \r\n").partition("\n")[0].strip()
    if "\ufffd" in first or not first.replace("\t", "").isprintable():
        return False
    return first.startswith(("{", "[{")) or any(sign in first for sign in ",;\t")


def _near(path: Path, name: str) -> str:
    """Says which path may have been meant."""
    if "\\" in str(path) and os.sep == "/":
        return "; write / between folders"
    folder = path.parent
    names = [each for each in os.listdir(folder)[:_LISTED] if each[0] != "."] if folder.is_dir() else []
    near = suggest(path.name, names, shown=0) if names else ""
    if name == "datasets":
        return near or "; data.name datasets opens what save_to_disk wrote, and downloads nothing"
    return near if folder.is_dir() else f"; its folder '{folder}' does not exist"


def _of_file(path: Path) -> tuple[str, tuple[str, ...]]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return "a Parquet file", ("table", "datasets")  # with paths, or with the images themselves
    if suffix in _TABLES:
        return ("a JSON file", ("table", "coco")) if suffix == ".json" else ("a table", ("table",))
    if suffix in (".npz", ".npy"):
        return "a file of arrays", ("arrays",)
    if suffix == ".tar":
        return "an archive; give its folder", ("webdataset",)
    if suffix in _WORKBOOKS:
        return "a workbook; save it as CSV", ()
    if suffix in _PACKED:
        return "a packed file; unpack it first", ()
    if looks_like_table(path):
        return "a table", ("table",)
    return "a file", ()


def _of_folder(path: Path) -> tuple[str, tuple[str, ...]]:
    names = _names(path)
    if {"dataset_info.json", "dataset_dict.json", "state.json"} & set(names):
        return "a data set that save_to_disk of Hugging Face's datasets wrote", ("datasets",)
    if {"Annotations", "JPEGImages"} <= set(names) or "VOCdevkit" in names:
        return "a folder in the layout of Pascal VOC", ("voc",)
    endings = [Path(each).suffix.lower() for each in names]
    labelled = [path, *(path / each for each in names[:_FOLDERS])]
    if "annotations" in names or any((each / "_annotations.coco.json").is_file() for each in labelled):
        return "a folder in the layout of COCO", ("coco",)
    if ".tar" in endings:
        return "a folder of archives", ("webdataset",)
    if ".npy" in endings or ".npz" in endings:
        return "a folder of arrays", ("arrays",)
    if any(map(_of_shards, names)) or any(any(map(_of_shards, _names(path / each))) for each in names[:_FOLDERS]):
        return "a folder of Parquet files, as on the Hugging Face Hub", ("datasets",)
    if any(each in _TABLES for each in endings):
        return "a folder with a table", ("table",)
    saved = next((each for each in names if (path / each / "dataset_info.json").is_file()), None)
    return (f"a folder of data sets; give one, such as '{path / saved}'", ("datasets",)) if saved else ("", ())


def _names(path: Path) -> list[str]:
    return sorted(os.listdir(path))[:_LISTED] if path.is_dir() else []


def _of_shards(name: str) -> bool:
    """Returns whether a file is called as the Hub calls those of a data set."""
    return re.search(r"(-\d{5}-of-\d{5}|^\d{4})\.parquet$", name) is not None
