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

from benchmarks.faults.hostile_archives import PLAIN_PNG, add, archives, tar_of
from benchmarks.faults.hostile_images import Item, items
from cv_attention.config import Subset
from cv_attention.data.decoding.decode import ImageError
from cv_attention.data.sources import folder as folders
from cv_attention.data.sources import webdataset
from cv_attention.data.sources.archives import members
from cv_attention.data.sources.cache import open_cache
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.shards import open_shards
from cv_attention.exporting.sources import find_items

_SLOW, _MEMORY = 10, 2 << 30


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
            (where / "a/plain.png").write_bytes(PLAIN_PNG)
            make(where / "a")
            found = folders.image_files(where / "a")
            return "right" if len(found) == expected else f"wrong: {len(found)} files, not {expected}"

        return attempt

    def socket_at(path: Path) -> None:
        socket.socket(socket.AF_UNIX).bind(os.path.relpath(path))

    def other_class(folder: Path) -> None:
        (folder.parent / "b").mkdir()
        (folder.parent / "b/other.png").write_bytes(PLAIN_PNG)
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
        "line break in the name": (lambda f: (f / "x\ny.png").write_bytes(PLAIN_PNG), 2),
        "escape in the name": (lambda f: (f / "\x1b[31mx.png").write_bytes(PLAIN_PNG), 2),
        "no UTF-8 in the name": (
            lambda f: Path(os.fsdecode(os.fsencode(f) + b"/\xff\xfe.png")).write_bytes(PLAIN_PNG),
            2,
        ),
        "255 bytes of name": (lambda f: (f / ("x" * 251 + ".png")).write_bytes(PLAIN_PNG), 2),
        "hidden": (lambda f: (f / ".x.png").write_bytes(PLAIN_PNG), 1),
        "Thumbs.db": (lambda f: (f / "Thumbs.db").write_bytes(PLAIN_PNG), 1),
        "capitals": (lambda f: (f / "x.PnG").write_bytes(PLAIN_PNG), 2),
        "another extension": (lambda f: (f / "x.png.txt").write_bytes(PLAIN_PNG), 1),
    }
    for name, (make, expected) in special.items():
        yield name, listed(make, expected)


def read_archive(data: bytes, labels: list[int] | None, where: Path) -> str:
    """Opens an archive as a data set and as the source of an export."""
    path = where / "train-0.tar"
    path.write_bytes(data)
    (where / "val-0.tar").write_bytes(
        tar_of(
            *[(f"{i}{end}", content) for i in range(10) for end, content in ((".png", PLAIN_PNG), (".cls", b"%d" % i))]
        )
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
            (where / "val-0.tar").write_bytes(tar_of(("1.png", PLAIN_PNG), ("1.cls", b"0")))
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
