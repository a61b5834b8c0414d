"""Kinds of damage: what disks, transfers, other programs and people do to files."""

import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Spoil = Callable[[Path], None]
_WRONG: tuple[Any, ...] = (None, [], {}, "x", 3, -1, 1e300, True, [[1]], {"a": {"b": []}}, [None], 10**400)


class Bomb:
    """A pickle that leaves a file behind when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, ("EXECUTED", "w")


def damages(path: Path, others: list[Path], seed: int) -> Iterator[tuple[str, Spoil]]:
    """Names every damage that a file of this kind can have, with a function that does it.

    Args:
        path: The intact file.
        others: Files of other kinds, whose content is put in its place.
        seed: Of the bits that are flipped and the bytes that are drawn.
    """
    data, draw = path.read_bytes(), random.Random(f"{seed} {path.name}")
    yield "missing", lambda file: file.unlink()
    yield "a directory", _directory
    for name, content in _bytes(data, draw):
        yield name, _put(content)
    for other in others:
        yield f"content of {other.name}", _put(other.read_bytes())
    kind = path.suffix
    if kind == ".json":
        yield from _json(json.loads(data), lambda tree: json.dumps(tree).encode())
    elif kind == ".jsonl":
        yield from _json_lines(data)
    elif kind == ".yaml":
        import yaml

        yield from _json(yaml.safe_load(data), lambda tree: yaml.safe_dump(tree).encode())
        yield "a tag", _put(data + b"\nx: !!python/object/apply:os.system ['touch EXECUTED']\n")
        yield "an alias to itself", _put(b"seed: &a [*a]\n")
    elif kind == ".npz":
        yield from _arrays(data)
    elif kind == ".csv":
        yield from _table(data)


def _bytes(data: bytes, draw: random.Random) -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "half", data[: len(data) // 2]
    yield "a byte short", data[:-1]
    yield "a blank", b"\n"
    yield "zeros", bytes(len(data))
    yield "random bytes", draw.randbytes(max(len(data), 64))
    yield "invalid UTF-8", data[: len(data) // 2] + b"\xff\xfe\xfa" + data[len(data) // 2 :]
    yield "UTF-16", data.decode("latin-1").encode("utf-16")
    yield "a pickle", pickle.dumps(Bomb())
    for number in range(8 if data else 0):
        place = draw.randrange(8 * max(len(data), 1))
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        yield f"bit {number}", bytes(flipped)


def _json(tree: dict[str, Any], dump: Callable[[Any], bytes]) -> Iterator[tuple[str, Spoil]]:
    for value in (None, [], "x", 3, {}):
        yield f"holds {value!r}", _put(dump(value))
    yield "nested too deeply", _put(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield "no number", _put(dump(tree)[:1] + b'"x": NaN, ' + dump(tree)[1:])
    for key in tree:
        yield f"without {key}", _put(dump({name: value for name, value in tree.items() if name != key}))
        for value in _WRONG:
            text = repr(value)
            yield f"{key} is {text if len(text) < 20 else '10**400'}", _put(dump({**tree, key: value}))
    for key, inner in tree.items():
        if isinstance(inner, dict):
            for name in list(inner)[:4]:
                rest = {k: v for k, v in inner.items() if k != name}
                yield f"{key} without {name}", _put(dump({**tree, key: rest}))
                for value in (None, "x", [], {}):
                    yield f"{key}.{name} is {value!r}", _put(dump({**tree, key: {**inner, name: value}}))
        if isinstance(inner, list) and inner:
            for value in (None, "x", {}, [1]):
                yield f"{key}[0] is {value!r}", _put(dump({**tree, key: [value, *inner[1:]]}))


def _json_lines(data: bytes) -> Iterator[tuple[str, Spoil]]:
    lines = data.splitlines()
    first = json.loads(lines[0])
    yield "a line less", _put(b"\n".join(lines[1:]) + b"\n")
    yield "a line twice", _put(b"\n".join([*lines, lines[0]]) + b"\n")
    for name, spoil in _json(first, lambda tree: b"\n".join([json.dumps(tree).encode(), *lines[1:]]) + b"\n"):
        yield f"first row: {name}", spoil


def _arrays(data: bytes) -> Iterator[tuple[str, Spoil]]:
    with np.load(io.BytesIO(data)) as stored:
        arrays = dict(stored)
    for name, values in arrays.items():
        yield f"without {name}", _put(_zip({key: kept for key, kept in arrays.items() if key != name}))
        wrong = {
            "a scalar": np.float32(3),
            "empty": values[:0] if values.ndim else np.zeros(0),
            "text": np.full(values.shape, "x"),
            "complex": np.full(values.shape, 1j),
            "objects": np.array([Bomb()], dtype=object),
            "one axis more": values[None],
            "one row more": np.concatenate([values, values[:1]]) if values.ndim else np.zeros(2),
            "huge": np.full(values.shape, 2**62),
            "negative": np.full(values.shape, -5),
        }
        if values.dtype.kind == "f":
            wrong["no numbers"] = np.full_like(values, np.nan)
            wrong["infinite"] = np.full_like(values, np.inf)
        for what, value in wrong.items():
            yield f"{name} is {what}", _put(_zip({**arrays, name: value}))
    first = next(iter(arrays))
    yield f"{first} claims a million million values", _put(_lying(arrays, first))


def _table(data: bytes) -> Iterator[tuple[str, Spoil]]:
    head, *rows = data.splitlines()
    yield "no rows", _put(head + b"\n")
    yield "no head", _put(b"\n".join(rows))
    yield "huge numbers", _put(head + b"\n" + b"\n".join(b"1e400" + row[row.find(b",") :] for row in rows))
    yield "negative steps", _put(head + b"\n" + b"\n".join(b",".join([b"-9" * 30] * row.count(b",")) for row in rows))
    yield "an endless line", _put(head + b"\n" + b"1" * 1_000_000 + b"\n")


def _zip(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def _lying(arrays: dict[str, Any], name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for key, values in arrays.items():
            part = io.BytesIO()
            np.save(part, values)
            text = part.getvalue()
            if key == name:
                text = text.replace(b"'shape': (", b"'shape': (1000000000000,", 1)
            archive.writestr(f"{key}.npy", text)
    return buffer.getvalue()


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _put(content: bytes) -> Spoil:
    def put(path: Path) -> None:
        path.unlink(missing_ok=True)  # never through a hard link into the intact copy
        path.write_bytes(content)

    return put
