"""`cv-attention data check` of several classes or numbers per image: what is planted is found, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cv_attention.cli import main
from cv_attention.config import Data, Table
from cv_attention.data.inspection import inspect

NAMES = ("cat", "dog", "sea", "sun")
COUNTS = {"train": 60, "val": 20, "test": 20}
ALL = sum(COUNTS.values())
Plant = Callable[[np.ndarray, np.ndarray], object]  # changes images and labels


def pictures() -> np.ndarray:
    """Coloured noise, no two alike."""
    return np.random.default_rng(0).integers(0, 256, (ALL, 16, 16, 3), np.uint8)


def marks() -> np.ndarray:
    """Every class in about two of five images; every image has one to three of them."""
    random = np.random.default_rng(1)
    labels = random.random((ALL, 4)) < 0.4
    labels[np.arange(ALL), random.integers(0, 4, ALL)] = True
    labels[labels.all(1), 0] = False
    return labels.astype(np.uint8)


def write(root: Path, images: np.ndarray, labels: np.ndarray, **more) -> Path:
    arrays, start = {}, 0
    for split, count in COUNTS.items():
        arrays |= {f"{split}_images": images[start : start + count], f"{split}_labels": labels[start : start + count]}
        start += count
    np.savez(root, **arrays, **more)
    return root


def found(config: Data) -> dict[str, tuple[str, ...]]:
    return {each.kind: each.places for each in inspect(config).findings}


def repeat(images: np.ndarray, labels: np.ndarray, source: int, copy: int, same: bool) -> None:
    images[copy] = images[source]
    labels[copy] = labels[source] if same else labels[source][::-1]


def put(where: tuple, value: object) -> Plant:
    return lambda images, labels: labels.__setitem__(where, value)


def copied(source: int, target: int) -> Plant:
    return lambda images, labels: labels.__setitem__((slice(None), target), labels[:, source])


# What is planted -> how, and what the finding must name.
SEVERAL: dict[str, tuple[Plant, str]] = {
    "in two splits": (lambda images, labels: repeat(images, labels, 3, 70, True), "train_images"),
    "other classes": (lambda images, labels: (labels.__setitem__(3, [1, 0, 0, 0]),
                                              repeat(images, labels, 3, 5, False)), "(cat) = "),
    "repeated": (lambda images, labels: repeat(images, labels, 3, 5, True), " = "),
    "missing class": (put((slice(60, 80), 2), 0), "sea in val"),
    "few images": (put((slice(3, 60), 2), 0), "sea: "),
    "no image": (put((slice(None), 2), 0), "sea"),
    "every image": (put((slice(2, 60), 1), 1), "dog: "),
    "always together": (copied(0, 3), "cat and sun"),
    "all classes": (put((7,), 1), "image 7: 4"),
    "no class": (put((7,), 0), "image 7"),
}  # fmt: skip
BRINGS = {  # findings that may come with one
    "few images": {"missing class", "no class", "uneven"},
    "no image": {"no class"},
    "always together": {"no class"},
}


@pytest.mark.parametrize("fault", [None, *SEVERAL])
def test_several_classes(fault, tmp_path):
    images, labels = pictures(), marks()
    if fault:
        SEVERAL[fault][0](images, labels)
    root = write(tmp_path / "a.npz", images, labels, class_names=np.array(NAMES))
    kinds = found(Data(name="arrays", root=str(root), targets="multi"))
    if not fault:
        assert kinds == {}
        return
    assert fault in kinds, kinds
    assert set(kinds) - {fault} <= BRINGS.get(fault, set()), kinds
    assert SEVERAL[fault][1] in str(kinds[fault]) or fault == "in two splits"


def test_uneven_classes_and_one_class_each(tmp_path):
    labels = np.zeros((ALL, 4), np.uint8)
    labels[np.arange(ALL), np.arange(ALL) % 4] = 1
    root = write(tmp_path / "a.npz", pictures(), labels, class_names=np.array(NAMES))
    kinds = found(Data(name="arrays", root=str(root), targets="multi"))
    assert kinds == {"one class each": ("100 images",)}
    labels[:, 0] = 1
    labels[8:60, 3] = 0
    labels[:4, 0] = 0
    labels[:4, 1] = 1
    root = write(tmp_path / "b.npz", pictures(), labels, class_names=np.array(NAMES))
    kinds = found(Data(name="arrays", root=str(root), targets="multi"))
    assert kinds["uneven"] == ("cat: 56, sun: 2",)
    assert kinds["few images"] == ("sun: 2",)
    assert kinds["every image"] == ("cat: 4 without",)


def test_names_that_are_not_meant(tmp_path, monkeypatch):
    """A table whose classes are separated by commas, but read by semicolons, with a missing value."""
    monkeypatch.chdir(tmp_path)
    texts = ["cat,dog", "cat", "dog", "nan", "Cat"]
    for number in range(40):
        Image.fromarray(pictures()[number]).save(f"{number}.png")
    rows = "".join(f'{number}.png,"{texts[number % 5]}"\n' for number in range(40))
    Path("labels.csv").write_text(f"path,labels\n{rows}")
    config = Data(name="table", root="labels.csv", targets="multi", test_fraction=0.2)
    kinds = found(config)
    assert kinds["similar names"] == ("'Cat' and 'cat'",)
    assert kinds["missing values"] == ("'nan'",)
    assert kinds["lists as names"] == ("'cat,dog'",)
    config.targets, config.table = "single", Table(label="labels")
    assert found(config)["lists as names"] == ("'cat,dog'",)
    config.targets, config.table = "multi", Table(separator=",")
    assert "lists as names" not in found(config)
    rows = "".join(f"{number}.png,{number // 2}\n" for number in range(40))
    Path("labels.csv").write_text(f"path,label\n{rows}")
    config = Data(name="table", root="labels.csv", test_fraction=0.5, val_fraction=0.01)
    with pytest.raises(ValueError, match="no validation images can be held out"):
        inspect(config)
    arrays: dict[str, Any] = {f"{split}_images": pictures()[:40] for split in ("train", "val", "test")}
    arrays |= {f"{split}_labels": np.arange(40) for split in ("train", "val", "test")}
    np.savez("a.npz", **arrays)
    assert found(Data(name="arrays", root="a.npz"))["many classes"] == ("40 classes, 40 training images",)
    arrays |= {f"{split}_labels": np.arange(40) % 3 for split in COUNTS} | {"class_names": np.array(list("abcd"))}
    np.savez("b.npz", **arrays)
    assert found(Data(name="arrays", root="b.npz"))["no image"] == ("d",)


def ages() -> np.ndarray:
    return np.random.default_rng(2).uniform(20, 60, (ALL, 2)).round(1)


NUMBERS: dict[str, tuple[Plant, str]] = {
    "constant number": (put((slice(0, 60), 0), 7), "age"),
    "far off": (put((5, 1), -999), "image 5: left -999, half of the training images have "),
    "other numbers": (lambda images, numbers: images.__setitem__(5, images[3]), " = "),
    "repeated": (lambda images, numbers: repeat(images, numbers, 3, 5, True), " = "),
    "numbers differ": (lambda images, numbers: numbers[80:].__iadd__((20, 0)), "age in test: mean "),
    "same numbers": (copied(0, 1), "age and left"),
    "one value": (put((slice(0, 40), 0), 30), "age: 30 for 40 of 60"),
    "beyond training": (put((81, 0), 70), "age of 1 test images: "),
    "few values": (put((slice(None), 0), np.arange(ALL) % 5), "age: 0, 1, 2, 3, 4"),
}  # fmt: skip
ALSO = {
    "far off": {"beyond training"}, "constant number": {"beyond training", "one value"},
    "numbers differ": {"beyond training"}, "one value": {"numbers differ", "far off"},
    "beyond training": set(), "same numbers": {"beyond training"},
}  # fmt: skip


@pytest.mark.parametrize("fault", [None, *NUMBERS])
def test_numbers(fault, tmp_path):
    images, numbers = pictures(), ages()
    numbers[0], numbers[1] = 20, 60  # training images have the whole range
    if fault:
        NUMBERS[fault][0](images, numbers)
    root = write(tmp_path / "a.npz", images, numbers, class_names=np.array(["age", "left"]))
    kinds = found(Data(name="arrays", root=str(root), targets="numbers"))
    if not fault:
        assert kinds == {}
        return
    assert fault in kinds, kinds
    assert set(kinds) - {fault} <= ALSO.get(fault, set()), kinds
    assert NUMBERS[fault][1] in str(kinds[fault])


def test_what_is_printed_and_drawn(tmp_path, capsys):
    root = write(tmp_path / "a.npz", pictures(), marks(), class_names=np.array(NAMES))
    data = ["data", "check", "--data.name", "arrays", "--data.root", str(root), "-o", str(tmp_path / "out")]
    assert main([*data, "--data.targets", "multi"]) == 0
    each = marks().sum() / ALL
    assert f"60 train, 20 val, 20 test images of 4 classes, {each:.2f} of them each" in capsys.readouterr().out
    listed = json.loads((tmp_path / "out/findings.json").read_text())
    assert listed["classes"] == dict(zip(NAMES, marks().sum(0).tolist(), strict=True))
    with Image.open(tmp_path / "out/contact_sheet.png") as sheet:
        assert sheet.height == 4 * (96 + 18 + 8)
    numbers = ages()
    write(root, pictures(), numbers, class_names=np.array(["age", "left"]))
    assert main([*data, "--data.targets", "numbers"]) == 0
    middle = np.median(numbers.astype(np.float32), axis=0)
    assert f"age {numbers[:, 0].min():g} to {numbers[:, 0].max():g} (median {middle[0]:g})" in capsys.readouterr().out
    assert json.loads((tmp_path / "out/findings.json").read_text())["numbers"].keys() == {"age", "left"}
    with Image.open(tmp_path / "out/contact_sheet.png") as sheet:
        assert sheet.height == 10 * (96 + 18 + 8)
