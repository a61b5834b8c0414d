"""Removes paths of the machine from whatever text a run directory holds."""

import re
from typing import Any

# An absolute path: a root ("/", "~/", "C:\", "\\host\") after a delimiter, then at least one more part.
# "https://host/x" and the "a/b" of a relative path are no matches: what precedes their slash is no delimiter.
_ABSOLUTE = re.compile(
    r"""(?<![\w.~/\\:-])(?:file://)?(?:~[\w-]*|[A-Za-z]:|\\)?[/\\](?:[^\s"'<>|:;,()\[\]{}/\\]+[/\\])+"""
    r"""(?P<name>[^\s"'<>|:;,()\[\]{}/\\]*)"""
)
_WHOLE = re.compile(r"(?:file://)?(?:~[\w-]*|[A-Za-z]:|\\)?[/\\].*", re.DOTALL)


def redact(value: Any) -> Any:
    """Replaces absolute paths in a tree of plain values by their last part, ``…/name``.

    Args:
        value: Dicts, lists and scalars, nested; other objects become text first.

    Returns:
        The same tree with text that no longer says where on the machine anything lies.
    """
    if isinstance(value, dict):
        return {redact(str(key)): redact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if "\n" not in text and _WHOLE.fullmatch(text):  # a value that is a path, blanks in it included
        return "…/" + re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    return _ABSOLUTE.sub(lambda found: "…/" + found["name"], text)
