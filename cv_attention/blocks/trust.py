"""Decides which class paths may be imported: those the user writes, and trusted ones from files."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

_OURS = "cv_attention.blocks"


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


def named_in(value: object) -> list[str]:
    """Returns every ``class_path`` in a configuration's plain values, at any depth."""
    if isinstance(value, Mapping):
        own = [value["class_path"]] if isinstance(value.get("class_path"), str) else []
        return own + [path for inner in value.values() for path in named_in(inner)]
    return [path for inner in value for path in named_in(inner)] if isinstance(value, list | tuple) else []


def check_trusted(path: str) -> None:
    """Makes sure that a class path may be imported.

    Raises:
        ValueError: if it comes from a file and is not among what the user trusts.
    """
    source = _source.get()
    if source is None or any(f"{path}.".startswith(f"{trusted}.") for trusted in (_OURS, *source.trust)):
        return
    raise ValueError(
        f"{source.file} names the class {path}, and importing it would run code that is not part of cv_attention; if "
        f"you trust it, add --trust {path} (in Python: trust=[{path!r}])"
    )
