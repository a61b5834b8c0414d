"""Checks YAML text before it is loaded: its encoding, repeated keys, and alias bombs."""

import stat
from collections.abc import Collection
from itertools import accumulate
from pathlib import Path

import yaml

# Values in a configuration with aliases expanded: a hundred times as many as ours have.
_MAX_NODES = 100_000
_MAX_DEPTH = 50  # nested levels
_MAX_BRACKETS = 200
_MAX_KEYS = 1_000  # at the top level of a file
_MAX_BYTES = 1 << 18  # enough for the names of 20,000 classes
_NULL = "tag:yaml.org,2002:null"


def check_yaml_file(path: Path, sections: Collection[str] = ()) -> None:
    """Checks the encoding and, with `check_yaml_text`, the structure of an options file.

    Args:
        path: The file, in UTF-8 with or without a byte order mark.
        sections: Keys that must not be empty.

    Raises:
        ValueError: if it cannot be read, is not UTF-8, holds no options, or fails `check_yaml_text`; one line that
            names the file.
    """
    data = _read(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{path} is UTF-16; save it as UTF-8") from error
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}; save it as UTF-8"
        ) from error
    root = check_yaml_text(text, str(path))
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f"{path} holds {_kind(root)}; expected options, such as model.backbone: resnet20")
    if len(root.value) > _MAX_KEYS:
        raise ValueError(f"{path} holds {len(root.value):,} options; expected at most {_MAX_KEYS:,}")
    for key, value in root.value:
        if key.value not in sections or isinstance(value, yaml.MappingNode):
            continue
        place = f"{path}, line {key.start_mark.line + 1}: {key.value}"
        if isinstance(value, yaml.ScalarNode) and value.tag == _NULL:
            raise ValueError(f"{place} is empty; fill it in or remove it")
        raise ValueError(f"{place} must be a section of options, such as {key.value}: {{...}}, got {_kind(value)}")


def _kind(node: yaml.Node | None) -> str:
    return "nothing" if node is None else "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _read(path: Path) -> bytes:
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            what = "a folder" if stat.S_ISDIR(kind) else "not a regular file"
            raise ValueError(f"{path} is {what}; name a YAML file")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a nul
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(reason if str(path) in str(reason) else f"{path} cannot be read: {reason or error}") from error
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{path} has more than {_MAX_BYTES:,} bytes, too many for a configuration")
    return data


def check_yaml_text(text: str, place: str, *, strict: bool = True) -> yaml.Node | None:
    """Checks the structure of YAML text without building its values.

    Args:
        text: The text.
        place: Where it comes from, for messages.
        strict: Whether the text must be YAML; a command-line glob such as ``[ab]*.conv`` need not be.

    Returns:
        The root of the node graph; None for empty text.

    Raises:
        ValueError: if it is not valid YAML, repeats a key, contains itself, or holds more than 100,000 values once
            its aliases are expanded, or more than 50 nested levels.
    """
    if len(text) > _MAX_BYTES:
        raise ValueError(f"{place} has {len(text):,} characters; at most {_MAX_BYTES:,} are read")
    if _open_brackets(text) > _MAX_BRACKETS:  # the parser's time grows with their square
        raise ValueError(f"{place} is not valid YAML: more than {_MAX_BRACKETS} brackets are open at once")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, yaml.YAMLError) and not strict:
            return None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{place} is not valid YAML: {reason}") from error
    if root is not None:
        _count(root, place, {}, set())
    return root


def _open_brackets(text: str) -> int:
    steps = (1 if sign in "[{" else -1 for sign in text if sign in "[{]}")
    return max(accumulate(steps), default=0)


def _count(node: yaml.Node, place: str, known: dict[int, int], above: set[int]) -> int:
    """Counts the values below a node, counting aliases at each use."""
    if id(node) in known:
        return known[id(node)]
    if id(node) in above:
        raise ValueError(f"{place}, line {node.start_mark.line + 1}: the value contains itself")
    if len(above) > _MAX_DEPTH:
        raise ValueError(f"{place}, line {node.start_mark.line + 1}: more than {_MAX_DEPTH} nested levels")
    above.add(id(node))
    total = 1
    for child in _children(node, place):
        total += _count(child, place, known, above)
        if total > _MAX_NODES:
            raise ValueError(
                f"{place}, line {node.start_mark.line + 1}: more than {_MAX_NODES:,} values once aliases are expanded"
            )
    above.remove(id(node))
    known[id(node)] = total
    return total


def _children(node: yaml.Node, place: str) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return node.value
    if not isinstance(node, yaml.MappingNode):
        return []
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"{place}, line {key.start_mark.line + 1}: a key must be a single word or number")
        line = key.start_mark.line + 1
        if key.value in lines and key.value != "<<":
            raise ValueError(f"{place}: {key.value} is given twice, in lines {lines[key.value]} and {line}; keep one")
        lines[key.value] = line
    return [value for _, value in node.value]
