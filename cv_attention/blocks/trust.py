"""Decides which class paths may be imported: those the user writes, and trusted ones from files."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

_HARMLESS = ("cv_attention.blocks", "torchmetrics.classification")
_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")  # what a class path looks like


class _Source(NamedTuple):
    file: str
    trust: tuple[str, ...]


_source: ContextVar[_Source | None] = ContextVar("source of class paths", default=None)


@contextmanager
def class_paths_of(file: object, trust: Collection[str] = ()) -> Iterator[None]:
    """Treats every class path that is met while it is entered as one that `file` contains.

    Args:
        file: The file, for messages.
        trust: Modules (``my_block``, with everything in it) and classes (``my_block.MyBlock``) that may be imported.
    """
    token = _source.set(_Source(str(file), tuple(trust)))
    try:
        yield
    finally:
        _source.reset(token)


def class_paths_in(value: object) -> list[str]:
    """Returns every text in a configuration's plain values that looks like a class path, at any depth."""
    if isinstance(value, str):
        return [value] if _PATH.fullmatch(value) else []
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [path for one in inner for path in class_paths_in(one)]


def is_trusted(path: str) -> bool:
    """Whether a class path may be imported: it is the user's own, or comes from a file and the user trusts it."""
    source = _source.get()
    return source is None or any(f"{path}.".startswith(f"{trusted}.") for trusted in (*_HARMLESS, *source.trust))


def check_trusted(path: str) -> None:
    """Makes sure that a class path may be imported.

    Raises:
        ValueError: if it comes from a file and is not among what the user trusts.
    """
    source = _source.get()
    if source is None or is_trusted(path):
        return
    raise ValueError(
        f"{source.file} names the class {path}, and importing it would run code that is not part of cv_attention; if "
        f"you trust it, add --trust {path} (in Python: trust=[{path!r}])"
    )
