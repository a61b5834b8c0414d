"""Removes paths of the machine from whatever text a run directory holds."""

import re
from typing import Any

# An absolute path: a root ("/", "~/", "C:\", "\\host\") after a delimiter, then at least one more part.
# "https://host/x" and the "a/b" of a relative path do not match: their slash does not follow a delimiter.
_ABSOLUTE = re.compile(
    r"""(?<![\w.~/\\:-])(?:file://)?(?:~[\w-]*|[A-Za-z]:|\\)?[/\\](?:[^\s"'<>|:;,()\[\]{}/\\]+[/\\])+"""
    r"""(?P<name>[^\s"'<>|:;,()\[\]{}/\\]*)"""
)
_WHOLE = re.compile(r"(?:file://)?(?:~[\w-]*|[A-Za-z]:|\\)?[/\\].*", re.DOTALL)


def redact(value: Any) -> Any:
    """Replaces absolute paths in a tree of plain values by their last part, ``…/name``.

    Args:
        value: Nested dicts, lists and scalars; other objects are converted to text.

    Returns:
        The same tree with text that no longer reveals locations on the machine.
    """
    if isinstance(value, dict):
        return {redact(str(key)): redact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if "\n" not in text and _WHOLE.fullmatch(text):  # the whole value is a path, possibly with spaces
        return "…/" + re.split(r"[/\\]", text.rstrip("/\\"))[-1]
    return _ABSOLUTE.sub(lambda found: "…/" + found["name"], text)
