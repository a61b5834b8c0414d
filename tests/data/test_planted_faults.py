"""`cv-attention data check` on one folder with three dozen planted faults: every one is found, at its place."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cv_attention.cli import main
from tests.data.test_inspection import animated, clean, picture, save, turned


def bomb(path: Path) -> None:
    """A PNG of 20,000 by 20,000 pixels, as its header says."""
    Image.new("1", (20_000, 20_000)).save(path)


def huge(path: Path) -> None:
    """54 million pixels, in a small file: only its upper left corner is not black."""
    image = Image.new("L", (9_000, 6_000))
    image.paste(Image.fromarray(picture(808)[..., 0]).resize((900, 600)), (0, 0))
    image.save(path, compress_level=1)


def case(root: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        (root / split / "Bee").mkdir()
        for i in range(6):
            save(picture(700 + 10 * number + i), root / split / "Bee" / f"{i}.png")


def system_files(root: Path) -> None:
    (root / "train/ant/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (root / "train/ant/desktop.ini").write_text("[.ShellClassInfo]")
    (root / "train/ant/.DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "train/ant/._0.png").write_bytes(b"\0\5\x16\7")


def without_its_end(path: Path) -> None:
    """A JPEG that lost its second half, and was closed again by what repaired it."""
    Image.fromarray(picture(809)).save(path, quality=90)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")


def wrong_sum(path: Path) -> None:
    """A PNG whose first chunk has another checksum than it says."""
    save(picture(810), path)
    content = bytearray(path.read_bytes())
    content[29] ^= 1
    path.write_bytes(content)


# What is planted -> how, the kind of the finding, and what it must name.
Fault = tuple[Callable[[Path], object], str, str]
FAULTS: dict[str, Fault] = {
    "no image": (lambda root: (root / "train/ant/noise.jpg").write_bytes(b"no image"), "broken", "noise.jpg"),
    "truncated": (
        lambda root: (root / "train/ant/cut.png").write_bytes((root / "train/ant/1.png").read_bytes()[:200]),
        "broken", "cut.png",
    ),
    "zero bytes": (lambda root: (root / "test/cat/zero.png").touch(), "broken", "zero.png"),
    "decompression bomb": (lambda root: bomb(root / "train/cat/bomb.png"), "broken", "bomb.png"),
    "dangling link": (lambda root: (root / "train/cat/gone.png").symlink_to("nowhere.png"), "broken", "gone.png"),
    "link to itself": (lambda root: (root / "train/cat/self.png").symlink_to("self.png"), "broken", "self.png"),
    "in two splits": (
        lambda root: shutil.copy(root / "train/ant/2.png", root / "test/ant/leak.png"), "in two splits", "leak.png"
    ),
    "in two splits, with other bytes": (
        lambda root: Image.open(root / "train/ant/3.png").save(root / "test/ant/leak.bmp"), "in two splits", "leak.bmp"
    ),
    "resized into another split": (
        lambda root: save(picture(5, 96, 96), root / "test/ant/small.png"), "alike", "small.png"
    ),
    "two classes": (
        lambda root: shutil.copy(root / "train/cat/1.png", root / "train/bee/both.png"), "two classes", "both.png"
    ),
    "twice in a class": (
        lambda root: shutil.copy(root / "train/cat/2.png", root / "train/cat/again.png"), "repeated", "again.png"
    ),
    "class missing in a split": (lambda root: shutil.rmtree(root / "val/cat"), "missing class", "cat in val"),
    "class without training images": (
        lambda root: ((root / "test/dog").mkdir(), save(picture(800), root / "test/dog/0.png")), "not trained", "dog"
    ),
    "empty class": (lambda root: (root / "train/emu").mkdir(), "empty class", "emu"),
    "names that differ in case": (case, "similar names", "'Bee' and 'bee'"),
    "16 bits": (
        lambda root: cv2.imwrite(str(root / "train/ant/deep.png"), picture(801).astype(np.uint16) * 257),
        "deep", "deep.png",
    ),
    "CMYK": (
        lambda root: Image.fromarray(picture(802)).convert("CMYK").save(root / "train/ant/ink.jpg"), "cmyk", "ink.jpg"
    ),
    "alpha": (
        lambda root: save(np.dstack([picture(803), picture(5)[..., 0]]), root / "train/ant/glass.png"),
        "transparent", "glass.png",
    ),
    "animated": (lambda root: animated(root / "train/ant/film.gif"), "animated", "film.gif"),
    "turned by EXIF": (lambda root: turned(root / "train/ant/turned.jpg"), "turned", "turned.jpg"),
    "huge": (lambda root: huge(root / "train/bee/huge.png"), "large", "huge.png"),
    "one pixel": (lambda root: save(picture(804, 1, 1), root / "train/ant/dot.png"), "tiny", "dot.png"),
    "one colour": (
        lambda root: save(np.full((64, 64, 3), 9, np.uint8), root / "train/bee/flat.png"), "constant", "flat.png"
    ),
    "a strip": (
        lambda root: save(picture(805, 8, 640).repeat(8, 0), root / "train/ant/strip.png"), "long", "strip.png"
    ),
    "wrong extension": (
        lambda root: save(picture(806), root / "train/ant/other.jpg", format="PNG"), "misnamed", "other.jpg"
    ),
    "named pipe": (lambda root: os.mkfifo(root / "train/ant/pipe.png"), "left out", "pipe.png"),
    "link to a folder above": (
        lambda root: (root / "train/ant/up").symlink_to(root / "train"), "left out", "train/ant/up"
    ),
    "system files": (system_files, "other file", "Thumbs.db"),
    "hidden files": (lambda root: None, "other file", "._0.png"),
    "image outside of the classes": (
        lambda root: save(picture(807), root / "train/loose.png"), "loose image", "loose.png"
    ),
    "image outside of the splits": (lambda root: save(picture(811), root / "lost.png"), "loose image", "lost.png"),
    "JPEG without its end": (lambda root: without_its_end(root / "train/ant/half.jpg"), "cut", "half.jpg"),
    "PNG with a wrong checksum": (lambda root: wrong_sum(root / "train/ant/sum.png"), "broken", "sum.png"),
    "a pointer of Git LFS": (
        lambda root: (root / "train/ant/lfs.png").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "broken", "lfs.png",
    ),
    "a telephone's photograph": (
        lambda root: (root / "train/ant/IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic"), "unread", "IMG_1.HEIC"
    ),
    "in folders below a class": (
        lambda root: ((root / "train/ant/@eaDir").mkdir(), save(picture(812), root / "train/ant/@eaDir/thumb.png")),
        "nested", "thumb.png",
    ),
    "compressed again into another split": (
        lambda root: Image.open(root / "train/ant/4.png").save(root / "test/ant/again.jpg", quality=90),
        "alike", "again.jpg",
    ),
    "a link to itself as a folder": (
        lambda root: (root / "train/cat/round").symlink_to(root / "train/cat"), "left out", "train/cat/round"
    ),
    "a web page": (
        lambda root: (root / "train/bee/page.jpg").write_bytes(b"<!DOCTYPE html>404"), "broken", "page.jpg"
    ),
    "no suffix": (lambda root: save(picture(813), root / "train/bee/photo", format="PNG"), "other file", "bee/photo"),
    "folder next to the splits": (lambda root: (root / "tset/ant").mkdir(parents=True), "unused folder", "tset"),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_all_of_them_are_found_in_one_folder(tmp_path, capsys):
    root = clean(tmp_path / "data", 12)
    for plant, _, _ in FAULTS.values():
        plant(root)
    assert main(["data", "check", "--data.root", str(root), "-o", str(tmp_path / "out")]) == 1
    found = {each["kind"]: each for each in json.loads((tmp_path / "out/findings.json").read_text())["findings"]}
    places = {kind: " ".join(each["places"]) for kind, each in found.items()}
    missed = [name for name, (_, kind, place) in FAULTS.items() if place not in places.get(kind, "")]
    assert not missed
    assert len(FAULTS) >= 30
    planted = {kind for _, kind, _ in FAULTS.values()}
    assert set(found) - planted <= {
        "grey",
        "splits differ",
        "few images",
        "uneven",
        "alike",
    }  # which these faults bring
    assert len(found["broken"]["places"]) == 9
    said = capsys.readouterr().out
    assert said.index("error: ") < said.index("warning: ") < said.index("note: ")
