"""Gives hostile images, files and archives to every reader of images, and counts what happens.

    python -m benchmarks.faults.images --out images.json

Image files of `hostile_images` are read as a file of a folder, from a tar shard, through the pixel cache and in an
export. Special files, odd names and hostile archives follow. Each attempt must show the right pixels, or be refused or
left out with one line; counted are also wrong pixels, exceptions of other kinds, more than 10 seconds and more than
2 GB. Exit code 1 means that at least one attempt went wrong.
"""

import argparse
import collections
import faulthandler
import io
import json
import os
import socket
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.faults.hostile_images import Item, items
from benchmarks.faults.image_files import chunk, png
from cv_attention.config import Subset
from cv_attention.data.decoding.decode import ImageError
from cv_attention.data.sources import folder as folders
from cv_attention.data.sources import webdataset
from cv_attention.data.sources.archives import members
from cv_attention.data.sources.cache import open_cache
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.shards import open_shards
from cv_attention.saliency_export.sources import find_items

_SLOW, _MEMORY = 10, 2 << 30
PLAIN = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
_PLAIN = png(PLAIN, 2)


def by_folder(item: Item, where: Path) -> np.ndarray:
    """Reads the file as one of a folder."""
    path = where / f"image{Path(item.name).suffix}"
    path.write_bytes(item.data)
    return Files(np.array([os.fsencode(path)]), item.bits).read(0)


def by_shard(item: Item, where: Path) -> np.ndarray:
    """Reads the file as a member of a shard."""
    path = where / "train-0.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, f"0{Path(item.name).suffix}", item.data or b" ")
        add(tar, "0.cls", b"0")
    shards = open_shards(where / "index", [path])
    shards.bits = item.bits
    return shards.read(0)


def by_cache(item: Item, where: Path) -> np.ndarray:
    """Reads the file through a new pixel cache."""
    path = where / f"image{Path(item.name).suffix}"
    path.write_bytes(item.data)
    return open_cache(where / "cache", [os.fsencode(path)], 10_000, item.bits).read(0)


def by_export(item: Item, where: Path) -> np.ndarray:
    """Reads the file as an export of maps does."""
    path = where / f"image{Path(item.name).suffix}"
    path.write_bytes(item.data)
    [found] = find_items([path], where / "out", 3, item.bits)
    return found.read()


WAYS = {"folder": by_folder, "shard": by_shard, "cache": by_cache, "export": by_export}


def files() -> Iterator[tuple[str, Callable[[Path], str]]]:
    """Lists special files and odd names: each is created next to a plain image in a folder."""

    def listed(make: Callable[[Path], object], expected: int) -> Callable[[Path], str]:
        def attempt(where: Path) -> str:
            (where / "a").mkdir()
            (where / "a/plain.png").write_bytes(_PLAIN)
            make(where / "a")
            found = folders.image_files(where / "a")
            return "right" if len(found) == expected else f"wrong: {len(found)} files, not {expected}"

        return attempt

    def socket_at(path: Path) -> None:
        socket.socket(socket.AF_UNIX).bind(os.path.relpath(path))

    def other_class(folder: Path) -> None:
        (folder.parent / "b").mkdir()
        (folder.parent / "b/other.png").write_bytes(_PLAIN)
        (folder / "up").symlink_to("..")

    special: dict[str, tuple[Callable[[Path], object], int]] = {
        "link to itself": (lambda f: (f / "x.png").symlink_to("x.png"), 2),  # named where it is read
        "links to each other": (lambda f: ((f / "x").symlink_to("y"), (f / "y").symlink_to("x")), 1),
        "folder link to itself": (lambda f: (f / "x").symlink_to("."), 1),
        "folder link up": (other_class, 1),
        "folder link deep": (lambda f: ((f / "d/e").mkdir(parents=True), (f / "d/e/x").symlink_to("../..")), 1),
        "link to the root": (lambda f: (f / "x").symlink_to("/"), 1),
        "pipe": (lambda f: os.mkfifo(f / "x.jpg"), 1),
        "socket": (lambda f: socket_at(f / "x.jpg"), 1),
        "link to /dev/zero": (lambda f: (f / "x.jpg").symlink_to("/dev/zero"), 1),
        "link to /dev/tty": (lambda f: (f / "x.jpg").symlink_to("/dev/tty"), 1),
        "broken link": (lambda f: (f / "x.jpg").symlink_to("nowhere"), 2),  # named where it is read
        "folder called .jpg": (lambda f: (f / "x.jpg").mkdir(), 1),
        "line break in the name": (lambda f: (f / "x\ny.png").write_bytes(_PLAIN), 2),
        "escape in the name": (lambda f: (f / "\x1b[31mx.png").write_bytes(_PLAIN), 2),
        "no UTF-8 in the name": (lambda f: Path(os.fsdecode(os.fsencode(f) + b"/\xff\xfe.png")).write_bytes(_PLAIN), 2),
        "255 bytes of name": (lambda f: (f / ("x" * 251 + ".png")).write_bytes(_PLAIN), 2),
        "hidden": (lambda f: (f / ".x.png").write_bytes(_PLAIN), 1),
        "Thumbs.db": (lambda f: (f / "Thumbs.db").write_bytes(_PLAIN), 1),
        "capitals": (lambda f: (f / "x.PnG").write_bytes(_PLAIN), 2),
        "another extension": (lambda f: (f / "x.png.txt").write_bytes(_PLAIN), 1),
    }
    for name, (make, expected) in special.items():
        yield name, listed(make, expected)


def add(tar: tarfile.TarFile, name: str, content: bytes, **fields: object) -> None:
    """Adds a member, with fields of its header set."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(content))


def _tar(*parts: tuple[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in parts:
            add(tar, name, content)
    return buffer.getvalue()


def _linked(kind: bytes, target: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "1.png", _PLAIN)
        add(tar, "1.cls", b"0")
        add(tar, "2.png", b"", type=kind, linkname=target)
        add(tar, "2.cls", b"1")
    return buffer.getvalue()


def _with_size(size: bytes) -> bytes:
    data = bytearray(_tar(("1.png", _PLAIN), ("1.cls", b"0")))
    data[124:136] = size
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _extended(text: bytes) -> bytes:
    """An archive whose first member has a header of the pax form."""
    record = b"%d %s" % (len(text) + 3, text)
    head = bytearray(_tar(("pax", record))[:1024])
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])
    return bytes(head) + _tar(("1.png", _PLAIN), ("1.cls", b"0"))


def _sparse() -> bytes:
    data = bytearray(_tar(("1.png", _PLAIN), ("1.cls", b"0")))
    data[156:157] = b"S"
    data[386:410] = b"00000000000\0" + b"00000001000\0"
    data[483:495] = b"00000100000\0"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _names_in_names() -> bytes:
    """Thousands of headers that each promise a long name for the next one."""
    one = bytearray(_tar(("@", b"x"))[:1024])
    one[156:157] = b"L"
    one[148:156] = b" " * 8
    one[148:156] = b"%06o\0 " % sum(one[:512])
    return bytes(one) * 3000


# Name -> the archive, and the labels that it must give; None if it must be refused.
def archives() -> dict[str, tuple[bytes, list[int] | None]]:
    """Makes hostile archives."""
    image = ("1.png", _PLAIN)
    wrong = (
        b"-1",
        b"1.0",
        b"true",
        b"null",
        b"",
        b"cat",
        b'{"label": 1}',
        b"1_0",
        b"+1",
        b"0x1",
        b"1 2",
        b"nan",
        b"1\0",
    )
    wrong += ("٣".encode(), "²".encode(), b"9" * 25, b"9" * 40, b"999999999", b"\0\0\0\1")
    right = (b"1", b" 1\n", b"007", b"2")
    labels: dict[str, tuple[bytes, list[int] | None]] = {}
    labels |= {f"class {text!r}": (_tar(image, ("1.cls", text)), None) for text in wrong}
    labels |= {f"class {text!r} is right": (_tar(image, ("1.cls", text)), [int(text)]) for text in right}
    labelled = ("1.cls", b"1")
    return labels | {
        "an image twice": (_tar(image, image, labelled), None),
        "a class twice": (_tar(image, labelled, ("1.cls", b"2")), None),
        "no class": (_tar(image), None),
        "class of another key": (_tar(image, ("2.cls", b"1")), None),
        "symbolic link out": (_linked(tarfile.SYMTYPE, "/etc/passwd"), [0]),
        "hard link out": (_linked(tarfile.LNKTYPE, "../../etc/passwd"), [0]),
        "hard link inside": (_linked(tarfile.LNKTYPE, "1.png"), [0]),
        "device": (_linked(tarfile.CHRTYPE, ""), [0]),
        "pipe": (_linked(tarfile.FIFOTYPE, ""), [0]),
        "absolute path": (_tar(("/etc/1.png", _PLAIN), ("/etc/1.cls", b"1")), [1]),
        "path up": (_tar(("../../1.png", _PLAIN), ("../../1.cls", b"1")), [1]),
        "line break in the name": (_tar(("1\n2.png", _PLAIN), ("1\n2.cls", b"1")), [1]),
        "long GNU name": (_tar(("a" * 900 + "/1.png", _PLAIN), ("a" * 900 + "/1.cls", b"1")), [1]),
        "long pax name": (_tar(("ü" * 400 + ".png", _PLAIN), ("ü" * 400 + ".cls", b"1"), form=tarfile.PAX_FORMAT), [1]),
        "archive in an archive": (_tar(image, labelled, ("2.tar", _tar(image))), [1]),
        "sparse member": (_sparse(), None),
        "cut in a header": (_tar(image, labelled)[:300], None),
        "cut in an image": (_tar(image, labelled)[:600], None),
        "cut between members": (_tar(image, labelled)[:1536], None),
        "random": (np.random.default_rng(0).bytes(9000), None),
        "empty": (b"", None),
        "zeros": (bytes(10240), None),
        "huge size": (_with_size(b"77777777777\0"), None),
        "negative size": (_with_size(b"\xff" * 12), None),
        "size of 2^80": (_with_size(b"\x80\0\1" + bytes(9)), None),
        "size is not a number": (_with_size(b"zebra\0\0\0\0\0\0\0"), None),
        "negative pax size": (_extended(b"size=-5120\n"), None),
        "huge pax size": (_extended(b"size=99999999999999999999\n"), None),
        "pax size of text": (_extended(b"size=zebra\n"), None),
        "pax sparse": (_extended(b"GNU.sparse.size=999999999\n"), None),
        "names in names": (_names_in_names(), None),
        "compressed": (__import__("gzip").compress(bytes(10_000_000)), None),
        "compressed by bzip2": (__import__("bz2").compress(bytes(1_000_000)), None),
        "compressed by xz": (__import__("lzma").compress(bytes(1_000_000)), None),
        "bomb inside": (_tar(("1.png", png(PLAIN, 2, size=(60_000, 60_000))), labelled), [1]),
        "text bomb inside": (_tar(("1.png", png(PLAIN, 2, chunk(b"tEXt", b"k\0" + bytes(99)))), labelled), [1]),
    }


def read_archive(data: bytes, labels: list[int] | None, where: Path) -> str:
    """Opens an archive as a data set and as the source of an export."""
    path = where / "train-0.tar"
    path.write_bytes(data)
    (where / "val-0.tar").write_bytes(
        _tar(*[(f"{i}{end}", content) for i in range(10) for end, content in ((".png", _PLAIN), (".cls", b"%d" % i))])
    )
    failed = ""
    try:
        for member in members(path, folders.EXTENSIONS):
            try:
                member.read()
            except ImageError as error:
                failed = str(error)
    except ValueError as error:
        failed = str(error)
    try:
        found = webdataset.load(str(where), Subset())[1]["train"].labels.tolist()
    except ValueError as error:
        failed, found = str(error), None
    if "\n" in failed:
        return "several lines"
    return (
        ("refused" if found is None else "right")
        if found == labels
        else f"wrong: {found} in place of {labels}: {failed}"
    )


def special_archives() -> Iterator[tuple[str, Callable[[Path], str]]]:
    """Lists special files named .tar."""

    def refused(make: Callable[[Path], object]) -> Callable[[Path], str]:
        def attempt(where: Path) -> str:
            (where / "val-0.tar").write_bytes(_tar(("1.png", _PLAIN), ("1.cls", b"0")))
            make(where / "train-0.tar")
            try:
                webdataset.load(str(where), Subset())
            except (ValueError, OSError) as error:
                return "several lines" if "\n" in str(error) else "refused"
            return "wrong: accepted"

        return attempt

    yield "pipe", refused(os.mkfifo)
    yield "folder", refused(Path.mkdir)
    yield "link to /dev/zero", refused(lambda path: path.symlink_to("/dev/zero"))
    yield "link to itself", refused(lambda path: path.symlink_to(path))
    yield "broken link", refused(lambda path: path.symlink_to("nowhere"))


def attempts(seed: int) -> Iterator[tuple[str, Callable[[Path], str]]]:
    """Lists all attempts: a name, and what is to be called with an empty folder."""

    def pixels(item: Item, way: Callable[[Item, Path], np.ndarray]) -> Callable[[Path], str]:
        def attempt(where: Path) -> str:
            try:
                found = way(item, where)
            except ValueError as error:
                said = "several lines" if "\n" in str(error) else "refused"
                return said if item.shows is None else f"wrong: refused: {error}"
            if item.shows is None:
                return f"wrong: accepted, {found.shape}"
            if found.shape != item.shows.shape:
                return f"wrong: {found.shape}, not {item.shows.shape}"
            off = np.abs(found.astype(int) - item.shows).max()
            return "right" if off <= item.tolerance else f"wrong: off by {off}"

        return attempt

    for item in items(seed):
        for name, way in WAYS.items():
            yield f"{name}: {item.name}", pixels(item, way)
    yield from ((f"file: {name}", attempt) for name, attempt in files())
    for name, (data, labels) in archives().items():
        yield f"archive: {name}", lambda where, data=data, labels=labels: read_archive(data, labels, where)
    yield from ((f"archive: {name}", attempt) for name, attempt in special_archives())


def main() -> int:
    """Parses the command line, tries everything, prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="A file of JSON rows, one for each attempt.")
    parser.add_argument("--only", default="", help="A part of the names of the attempts that are made.")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name, attempt in attempts(arguments.seed):
        if arguments.only not in name:
            continue
        with tempfile.TemporaryDirectory() as where:
            rows.append({"attempt": name, **_counted(attempt, Path(where))})
        if rows[-1]["outcome"] not in ("right", "refused"):
            print(f"{name}: {rows[-1]}", flush=True)
    if arguments.out:
        arguments.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    counts = collections.Counter(row["outcome"].partition(":")[0] for row in rows)
    largest, slowest = max(row["mb"] for row in rows), max(row["seconds"] for row in rows)
    print(dict(counts), f"attempts: {len(rows)}, largest {largest} MB, slowest {slowest} s")
    return int(any(outcome not in ("right", "refused") for outcome in counts))


def _counted(attempt: Callable[[Path], str], where: Path) -> dict[str, object]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts at what is used now
    before, start = _memory("VmRSS"), time.monotonic()
    faulthandler.dump_traceback_later(6 * _SLOW, exit=True)
    try:
        outcome = attempt(where)
    except Exception as error:
        outcome = f"exception: {''.join(traceback.format_exception(error)[-2:])}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    seconds, used = time.monotonic() - start, _memory("VmHWM") - before
    if outcome in ("right", "refused") and (seconds > _SLOW or used > _MEMORY):
        outcome = "slow" if seconds > _SLOW else "memory"
    return {"outcome": outcome, "seconds": round(seconds, 2), "mb": used >> 20}


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


if __name__ == "__main__":
    sys.exit(main())
