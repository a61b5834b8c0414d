"""Reads JSON and YAML files that hold a mapping; every error is one line that names the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cv_attention.rundir.formats import Damaged, NotRead


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds a mapping.

    Args:
        path: The file, in UTF-8.

    Returns:
        The mapping.

    Raises:
        FileNotFoundError: if the file does not exist.
        NotRead: if the system does not let it be read.
        Damaged: if it holds something else.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import rundir
        >>> _ = Path("mine.json").write_text('{"seed": 0}')
        >>> rundir.read_json(Path("mine.json"))
        {'seed': 0}
    """
    return _mapping(path, json.loads, "JSON")


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML file that holds a mapping, without executing any tag.

    Args:
        path: The file, in UTF-8.

    Returns:
        The mapping.

    Raises:
        FileNotFoundError: if the file does not exist.
        NotRead: if the system does not let it be read.
        Damaged: if it holds something else.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import rundir
        >>> _ = Path("mine.yaml").write_text("model: {block: se}")
        >>> rundir.read_yaml(Path("mine.yaml"))
        {'model': {'block': 'se'}}
    """
    import yaml  # which the core does without

    def load(text: str) -> Any:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error

    return _mapping(path, load, "YAML")


def _mapping(path: Path, parse: Callable[[str], Any], kind: str) -> dict[str, Any]:
    text = _text(path)
    if not text.strip():
        raise Damaged(f"{path} cannot be read: it is empty")
    try:
        content = parse(text)
    except MemoryError as error:
        raise NotRead(path, error) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise Damaged(f"{path} cannot be read: it is not {kind}: {reason[:200]}") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        shown = repr(content)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise Damaged(f"{path} is not a mapping of names to values, it holds {shown}")
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Damaged(f"{path} cannot be read: byte {error.start} is not UTF-8") from error
    except IsADirectoryError as error:
        raise Damaged(f"{path} cannot be read: it is a folder") from error
    except FileNotFoundError:
        raise
    except (OSError, MemoryError) as error:
        raise NotRead(path, error) from error
