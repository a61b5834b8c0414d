"""Reads and writes ``summary.json``: results and provenance of a run, and checksums of its files."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cv_attention.rundir.checksums import checksum
from cv_attention.rundir.files import write_text
from cv_attention.rundir.formats import Damaged, NewerFormat
from cv_attention.rundir.layout import CHECKSUMMED, RUN_FORMAT, RunLayout
from cv_attention.rundir.sealing import read_sealed, sealed

NAME = RunLayout(Path()).summary.name
FILES = "files"  # in the summary of a finished run: name -> SHA-256
_KNOWN = {"parameters", "class_names", "network", "provenance", "data", "selected", "validation", "test", "flops"}
# What `fit` prints and continues with; null stands for a missing value, and names with dots are fields of a section.
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(("test", "selected", "in_use", "left_out", FILES), (Mapping, "a mapping of names to values")),
    **dict.fromkeys(("selected.epoch", "selected.reason"), (str, "text")),
    "training_seconds": ((int, float), "a number"),
    "in_use.predictions_changed": ((int, float, type(None)), "a number, or null for a task without classes"),
    "in_use.images": (int, "a whole number"),
    "in_use.blocks": (list, "a list"),
    "finished": (bool, "true or false"),
}
# Results of a training run, which are removed once it is resumed.
_RESULTS = ("selected", "validation", "in_use", "test", "training_seconds", "images_per_second", "waiting", "finished")
_RESULTS += (FILES, "per_class")


def read(run: Path) -> dict[str, Any]:
    """Reads a run's summary; an empty one where there is none.

    Raises:
        NewerFormat: if a later version wrote it.
        Damaged: if it does not hold what was written.
    """
    if not (run / NAME).exists():
        return {}
    try:
        found = read_sealed(run / NAME, RUN_FORMAT)
        if found and not found.keys() & _KNOWN:
            raise Damaged(f"{run / NAME} is damaged: it holds nothing of a run")
        return found
    except Damaged as error:
        if "line sha256" in str(error):
            raise
        raise Damaged(f"{error}; remove it to continue without the results in it") from error


def check(run: Path, found: Mapping[str, Any]) -> None:
    """Checks the kinds of all values of a tested run's summary that are printed at the end of training.

    Raises:
        Damaged: naming the file and the first value that is missing or of another kind.
    """
    path = run / NAME
    for name, (kind, expected) in _KINDS.items():
        section, _, last = name.rpartition(".")
        if section and found.get(section) is None:
            continue
        value = (found[section] if section else found).get(last)
        if value is None and not section and name not in ("test", "selected", "training_seconds"):
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Damaged(f"{path}: {name} must be {expected}, got {_short(value)}")
    for name, value in found["test"].items():
        if not _is_number(value):
            raise Damaged(f"{path}: test.{name} must be a number, got {_short(value)}")
    for block in (found.get("in_use") or {}).get("blocks", ()):
        if not isinstance(block, Mapping) or not _is_number(block.get("change")):
            raise Damaged(f"{path}: in_use.blocks must each have a number change, got {_short(block)}")
    for split, reasons in (found.get("left_out") or {}).items():
        if not isinstance(reasons, list) or not reasons:
            raise Damaged(f"{path}: left_out.{split} must be a list of reasons, got {_short(reasons)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def text(values: Mapping[str, Any]) -> str:
    """Returns a summary as it is written."""
    return json.dumps(sealed(values, RUN_FORMAT), indent=2) + "\n"


def update(run: Path, **values: Any) -> None:
    """Adds `values` to a run's summary; raises what `read` raises."""
    write_text(run / NAME, text({**read(run), **values}))


def forget_results(run: Path) -> None:
    """Removes the results from a summary: the run is trained longer, and tested again at its end."""
    write_text(run / NAME, text({name: value for name, value in read(run).items() if name not in _RESULTS}))


def checksums(run: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file of a run that reports and comparisons read, by its name below the run."""
    found = sorted(path for pattern in CHECKSUMMED for path in run.glob(pattern) if path.is_file())
    return {path.relative_to(run).as_posix(): checksum(path) for path in found}


def check_format(run: Path) -> None:
    """Raises NewerFormat if a later version wrote the run; one that is damaged in another way does not."""
    try:
        read(run)
    except NewerFormat:
        raise
    except ValueError:
        pass


def changes(run: Path, summary: Mapping[str, Any], names: tuple[str, ...] = ()) -> Iterator[str]:
    """Compares the files of a run with the checksums in its summary, and names those that differ.

    Args:
        run: The run directory.
        summary: Its summary; one that lists no files has nothing to compare.
        names: The files that matter; none for all.
    """
    listed = summary.get(FILES)
    if not isinstance(listed, Mapping):
        return
    for name, expected in listed.items():
        path = run / name
        if (names and name not in names) or ".." in Path(name).parts or Path(name).is_absolute():
            continue
        if not path.is_file():
            yield f"{name} is missing"
        elif checksum(path) != expected:
            yield f"{name} has changed since it was written"
