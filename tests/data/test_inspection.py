"""`cv-attention data check`: what is planted in a folder is found, and nothing else."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cv_attention.cli import main
from cv_attention.config import Data
from cv_attention.data.inspection import inspect


def picture(number: int, height: int = 64, width: int = 64) -> np.ndarray:
    """Coloured noise in large patches, which no resizing changes much; no two look alike."""
    small = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def clean(root: Path, per_class: int = 6) -> Path:
    number = 0
    for split in ("train", "val", "test"):
        for name in ("ant", "bee", "cat"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(per_class):
                number += 1
                Image.fromarray(picture(number)).save(folder / f"{i}.png")
    return root


def found(root: Path) -> dict[str, tuple[str, ...]]:
    return {each.kind: each.places for each in inspect(Data(name="folder", root=str(root))).findings}


def save(pixels: np.ndarray, path: Path, **options) -> None:
    Image.fromarray(pixels).save(path, **options)


def turned(path: Path) -> None:
    image = Image.fromarray(picture(902))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path.with_suffix(".jpg"), exif=exif)


def animated(path: Path) -> None:
    frames = [Image.fromarray(picture(number)) for number in (903, 904)]
    frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])


FAULTS = {
    "broken": lambda root: (root / "train/ant/x.jpg").write_bytes(b"no image"),
    "broken: cut": lambda root: (root / "val/ant/x.png").write_bytes((root / "val/ant/1.png").read_bytes()[:200]),
    "broken: empty": lambda root: (root / "test/cat/x.png").touch(),
    "in two splits": lambda root: (root / "test/ant/x.png").write_bytes((root / "train/ant/1.png").read_bytes()),
    "in two splits: written again": lambda root: save(picture(1), root / "test/ant/x.bmp"),
    "two classes": lambda root: (root / "train/bee/x.png").write_bytes((root / "train/ant/1.png").read_bytes()),
    "repeated": lambda root: (root / "train/ant/x.png").write_bytes((root / "train/ant/1.png").read_bytes()),
    "alike": lambda root: save(picture(1, 96, 96), root / "test/ant/x.png"),
    "not trained": lambda root: ((root / "test/dog").mkdir(), save(picture(900), root / "test/dog/0.png")),
    "missing class": lambda root: shutil.rmtree(root / "val/bee"),
    "few images": lambda root: [path.unlink() for path in sorted((root / "train/cat").iterdir())[3:]],
    "empty class": lambda root: (root / "train/dog").mkdir(),
    "similar names": lambda root: [shutil.copytree(root / split / "cat", root / split / "Cat ") and [
        save(picture(910 + 10 * n + i), path) for i, path in enumerate((root / split / "Cat ").iterdir())
    ] for n, split in enumerate(("train", "val", "test"))],
    "uneven": lambda root: [save(picture(1000 + i), root / "train/ant" / f"x{i}.png") for i in range(60)],
    "splits differ": lambda root: [
        save(picture(2000 + i) // 3, path) for i, path in enumerate(root.glob("test/*/*.png"))
    ],
    "constant": lambda root: save(np.full((64, 64, 3), 9, np.uint8), root / "train/ant/x.png"),
    "tiny": lambda root: save(picture(901, 2, 2), root / "train/ant/x.png"),
    "long": lambda root: save(picture(901, 8, 640).repeat(8, 0), root / "train/ant/x.png"),
    "transparent": lambda root: save(np.dstack([picture(901), picture(5)[..., 0]]), root / "train/ant/x.png"),
    "deep": lambda root: cv2.imwrite(str(root / "train/ant/x.png"), picture(901).astype(np.uint16) * 257),
    "cmyk": lambda root: Image.fromarray(picture(901)).convert("CMYK").save(root / "train/ant/x.jpg"),
    "turned": lambda root: turned(root / "train/ant/x.png"),
    "animated": lambda root: animated(root / "train/ant/x.png"),
    "misnamed": lambda root: save(picture(901), root / "train/ant/x.jpg", format="PNG"),
    "grey": lambda root: save(picture(901)[..., 0], root / "train/ant/x.png"),
    "other file": lambda root: (root / "train/ant/notes.txt").write_text("?"),
    "loose image": lambda root: save(picture(901), root / "train/x.png"),
    "unused folder": lambda root: (root / "tset/ant").mkdir(parents=True),
    "left out": lambda root: os.mkfifo(root / "train/ant/x.png"),
    "splits": lambda root: (root / "training").mkdir(),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_planted_is_found_and_nothing_else(fault, tmp_path):
    root = clean(tmp_path / "data")
    assert found(root) == {}
    FAULTS[fault](root)
    kind = fault.partition(":")[0]
    kinds = found(root)
    assert set(kinds) == {kind}, kinds
    assert len(kinds[kind]) >= 1
    if (root / "train/ant/x.png").is_file():
        assert "x.png" in str(kinds[kind])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_all_at_once(tmp_path, capsys):
    root = clean(tmp_path / "data", 12)
    chosen = [
        "broken", "broken: cut", "broken: empty", "in two splits", "two classes", "alike", "not trained",
        "missing class", "other file", "loose image", "unused folder", "turned", "animated", "similar names",
    ]  # fmt: skip
    for number, fault in enumerate(chosen):
        FAULTS[fault](root)
        for path in (*root.glob("*/*/x.*"), *root.glob("*/x.*")):  # the next fault must not replace it
            path.rename(path.with_stem(f"planted-{number}"))
    assert main(["data", "check", "--data.root", str(root), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    listed = {each["kind"] for each in json.loads((tmp_path / "out/findings.json").read_text())["findings"]}
    assert {fault.partition(":")[0] for fault in chosen} <= listed
    assert said.err.strip().endswith(f"errors in '{root}'")
    assert said.out.index("error: ") < said.out.index("warning: ") < said.out.index("note: ")
    with Image.open(tmp_path / "out/contact_sheet.png") as sheet:
        assert sheet.width > 900


def test_counts_sizes_and_statistics(tmp_path):
    root = clean(tmp_path / "data", 5)
    seen = []
    inspection = inspect(Data(name="folder", root=str(root)), lambda done, total: seen.append((done, total)))
    assert inspection.images == {"train": 15, "val": 15, "test": 15}
    assert inspection.classes == {"ant": 15, "bee": 15, "cat": 15}
    assert inspection.sizes == ((64, 64),) * 3
    assert seen[-1] == (45, 45)
    pixels = np.stack([np.array(Image.open(path)) for path in sorted(root.glob("train/*/*.png"))]) / 255
    np.testing.assert_allclose(inspection.mean, pixels.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(inspection.std, pixels.std((0, 1, 2)), atol=1e-6)
    assert inspection.usable


def test_folders_without_splits_and_other_data(tmp_path, capsys):
    root = clean(tmp_path / "data")
    assert main(["data", "check", "--data.root", str(root / "train")]) == 0
    assert "18 all images of 3 classes" in capsys.readouterr().out
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(
        f"data/train/{name}/{i}.png,{name}\n" for name in ("ant", "bee") for i in range(6)
    ))  # fmt: skip
    options = ["--data.name", "table", "--data.root", str(tmp_path / "labels.csv"), "--data.test_fraction", "0.4"]
    assert main(["data", "check", *options]) == 0
    assert "images of 2 classes" in capsys.readouterr().out
    small = ["--data.digits.train", "40", "--data.digits.val", "20", "--data.digits.test", "20"]
    assert main(["data", "check", "--data.name", "cluttered_digits", *small]) in (0, 1)
    assert "40 train, 20 val, 20 test images of 10 classes" in capsys.readouterr().out


def test_mistakes(tmp_path, capsys):
    assert main(["data"]) == 2
    assert main(["data", "chekc"]) == 2
    assert main(["data", "check", "--data.root", str(tmp_path / "none")]) == 2
    assert "folder not found" in capsys.readouterr().err
    assert main(["data", "check", "--data.root", str(tmp_path)]) == 1
    assert "no class folders" in capsys.readouterr().out
