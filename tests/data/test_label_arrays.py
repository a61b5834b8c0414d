"""Several classes and numbers per image, from arrays and from data sets that Hugging Face's library saved."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cv_attention.config import Data, Subset, Table
from cv_attention.data.datamodule import load

NAMES = ["atelectasis", "cardiomegaly", "effusion"]
LABELS = (np.random.default_rng(0).random((30, 3)) < 0.4).astype(np.uint8)
LABELS[0] = 0  # an image without any
LABELS[1] = 1


def pixels(count: int, first: int = 0) -> np.ndarray:
    return np.stack([np.full((8, 8), 8 * (first + number), np.uint8) for number in range(count)])


def chest(path: Path, labels: np.ndarray = LABELS, **more: np.ndarray) -> Path:
    """As ChestMNIST: train, val and test of 18, 6 and 6 images, with labels (N, C)."""
    arrays = {}
    for split, own in (("train", slice(0, 18)), ("val", slice(18, 24)), ("test", slice(24, 30))):
        arrays |= {f"{split}_images": pixels(30)[own], f"{split}_labels": labels[own]}
    np.savez(path, **{**arrays, **more})
    return path


def read(root: Path, name: str = "arrays", targets: Any = "multi", **options):
    return load(Data(name=name, root=str(root), targets=targets, **options))


def test_chest_mnist(tmp_path):
    names, images = read(chest(tmp_path / "chestmnist.npz"))
    assert names == ["0", "1", "2"]
    for split, own in (("train", slice(0, 18)), ("val", slice(18, 24)), ("test", slice(24, 30))):
        assert images[split].labels.dtype == np.uint8
        np.testing.assert_array_equal(images[split].labels, LABELS[own])
        np.testing.assert_array_equal(images[split].read(2)[..., 0], pixels(30)[own][2])
    names, images = read(chest(tmp_path / "named.npz", LABELS.astype(bool), class_names=np.array(NAMES)),
                         subset=Subset(classes=["effusion", "cardiomegaly"]))  # fmt: skip
    assert names == ["cardiomegaly", "effusion"]
    np.testing.assert_array_equal(images["test"].labels, LABELS[24:, 1:])


def test_arrays_and_tables_give_the_same(tmp_path):
    """The same labels, as a table of separated classes, as texts in an array, and as an array for each class."""
    texts = [";".join(name for name, mark in zip(NAMES, row, strict=True) if mark) for row in LABELS]
    with open(tmp_path / "labels.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "labels"])
        for number, text in enumerate(texts):
            Image.fromarray(pixels(30)[number]).save(tmp_path / f"{number:02d}.png")
            writer.writerow([f"{number:02d}.png", text])
    wanted, images = read(tmp_path / "labels.csv", "table", test_fraction=0.3)
    np.savez(tmp_path / "texts.npz", X=pixels(30), y=np.array(texts))
    np.savez(tmp_path / "each.npz", X=pixels(30), **dict(zip(NAMES, LABELS.T.astype(float), strict=True)))
    each = Table(label=list(NAMES))
    for name, table in (("texts", Table()), ("each", each)):
        names, own = read(tmp_path / f"{name}.npz", table=table, test_fraction=0.3)
        assert names == wanted == NAMES
        for split in ("train", "test"):
            np.testing.assert_array_equal(own[split].labels, images[split].labels)
            assert own[split].read(0)[0, 0, 0] == images[split].read(0)[0, 0, 0]


def test_numbers_of_arrays(tmp_path):
    ages = np.arange(30) / 4 + 20
    root = chest(tmp_path / "ages.npz", ages)
    with pytest.raises(ValueError, match=r"got float64 .*with data\.targets numbers they are learned as numbers"):
        read(root, targets="single")
    names, images = read(root, targets="numbers")
    assert names == ["labels"]
    assert images["val"].labels.dtype == np.float32
    np.testing.assert_array_equal(images["val"].labels, ages[18:24, None].astype(np.float32))
    names, images = read(chest(tmp_path / "grade.npz", (np.arange(30) % 5)[:, None]), targets="single")
    assert names == list("01234")  # as RetinaMNIST: a single column of whole numbers is a class ...
    names, images = read(tmp_path / "grade.npz", targets="numbers")  # ... unless it is asked for as a number
    np.testing.assert_array_equal(images["train"].labels[:, 0], np.arange(18) % 5)
    both = np.stack([ages, 100 - ages], 1)
    assert read(chest(tmp_path / "both.npz", both), targets="numbers")[0] == ["0", "1"]
    assert read(chest(tmp_path / "named.npz", both, target_names=np.array(["age", "left"])), targets="numbers")[0] == [
        "age", "left"
    ]  # fmt: skip
    np.savez(tmp_path / "each.npz", X=pixels(30), age=ages, height=np.arange(30))
    names, images = read(tmp_path / "each.npz", targets="numbers", table=Table(label=["height", "age"]),
                         test_fraction=0.2)  # fmt: skip
    assert names == ["height", "age"]
    both = np.concatenate([part.labels for part in images.values()])
    np.testing.assert_allclose(both[:, 1], both[:, 0] / 4 + 20)


def changed(row: int, column: int, value: float) -> np.ndarray:
    labels = LABELS.astype(float)
    labels[row, column] = value
    return labels


@pytest.mark.parametrize(
    ("targets", "labels", "more", "message"),
    [
        ("multi", changed(3, 1, 2), {}, r"a\.npz', train_labels, row 3, column 1 must be 0 or 1, got 2"),
        ("multi", changed(20, 2, np.nan), {}, r"val_labels, row 2, column 2 must be 0 or 1, got nan"),
        ("multi", changed(3, 1, 0.5), {"class_names": np.array(NAMES)}, r"row 3, column 1 \(cardiomegaly\) must be"),
        ("numbers", changed(26, 0, np.inf), {}, r"test_labels, row 2, column 0 must be a finite number, got inf"),
        ("numbers", changed(0, 0, 1e300), {}, r"row 0, column 0 must be a finite number, got 1e\+300"),
        ("numbers", np.array(["1"] * 30), {}, r"train_labels must hold finite numbers \(N, 1\), got <U1"),
        ("multi", LABELS, {"class_names": np.array(["a", "b"])}, "names 2 classes, but labels has 3 columns"),
        ("multi", LABELS, {"val_labels": LABELS[:6, :2]}, r"val_labels must hold 0 or 1 \(N, 3\), got uint8 \(6, 2\)"),
        ("multi", LABELS, {"test_labels": LABELS[:5]}, "6 images in test_images have 5 labels"),
        ("multi", np.eye(30, dtype=int)[:, [0, 25]], {}, "test, row 1: the class '1' has no training images"),
        ("multi", 0 * LABELS, {}, "names no class of any training image"),
        ("multi", LABELS[:, :, None], {}, r"train_labels must be \(N,\) or \(N, C\), got uint8 \(18, 3, 1\)"),
        ("single", LABELS, {}, "has 3 labels for each image, but one .* if they are 0 and 1, set data.targets multi"),
    ],
)  # fmt: skip
def test_wrong_labels_of_arrays(targets, labels, more, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(chest(tmp_path / "a.npz", labels, **more), targets=targets)


def test_wrong_arrays_of_labels(tmp_path):
    np.savez(tmp_path / "a.npz", X=pixels(4), age=np.arange(4.0), both=np.zeros((4, 2)), short=np.arange(3.0))
    for label, message in (
        (["age", "heigth"], "no array 'heigth' next to X"),
        (["age", "both"], r"both must be \(N,\), got float64 \(4, 2\)"),
        (["age", "short"], "age has 4 labels, but another array has 3"),
        (["age", "age"], "must name columns, each once"),
    ):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "a.npz", targets="numbers", table=Table(label=label), test_fraction=0.5)
    with pytest.raises(ValueError, match=r"lists several columns, but data\.name arrays has one"):
        read(tmp_path / "a.npz", targets="single", table=Table(label=["age", "both"]), test_fraction=0.5)


# Hugging Face


@pytest.fixture
def library():
    return pytest.importorskip("datasets")


def save(library, root: Path, features: dict, **columns) -> Path:
    parts = {}
    for split, own in (("train", slice(0, 18)), ("validation", slice(18, 24)), ("test", slice(24, 30))):
        rows = {"image": [Image.fromarray(each) for each in pixels(30)[own]]}
        rows |= {name: list(values)[own] for name, values in columns.items()}
        parts[split] = library.Dataset.from_dict(
            rows, features=library.Features({"image": library.Image(), **features})
        )
    library.DatasetDict(parts).save_to_disk(str(root))
    return root


def marks(images) -> np.ndarray:
    return np.concatenate([images[split].labels for split in ("train", "val", "test")])


LISTS = [np.flatnonzero(row).tolist() for row in LABELS]


def test_lists_of_classes(library, tmp_path):
    several = library.List(library.ClassLabel(names=NAMES))
    names, images = read(save(library, tmp_path / "a", {"kinds": several}, kinds=LISTS), "datasets")
    assert names == NAMES
    np.testing.assert_array_equal(marks(images), LABELS)
    assert images["test"].read(1)[0, 0, 0] == 8 * 25
    with pytest.raises(ValueError, match=r"kinds has several classes .* with data\.targets multi"):
        read(tmp_path / "a", "datasets", targets="single")
    texts = [[NAMES[number] for number in own] for own in LISTS]
    plain = save(library, tmp_path / "b", {"labels": library.List(library.Value("string"))}, labels=texts)
    names, images = read(plain, "datasets")
    assert names == NAMES
    np.testing.assert_array_equal(marks(images), LABELS)


@pytest.mark.parametrize("kind", ["of one length", "of any length", "of booleans", "separated", "a column each"])
def test_other_ways_to_write_several_classes(kind, library, tmp_path):
    value, table, wanted = library.Value, Table(), ["0", "1", "2"]
    if kind == "a column each":
        features = {name: value("bool") for name in NAMES}
        columns, table, wanted = dict(zip(NAMES, LABELS.T.astype(bool), strict=True)), Table(label=list(NAMES)), NAMES
    elif kind == "separated":
        columns, features, wanted = {"tags": ["|".join(NAMES[n] for n in own) for own in LISTS]}, {}, NAMES
        features, table = {"tags": value("string")}, Table(separator="|")
    else:
        inner = library.List(value("bool" if kind == "of booleans" else "int8"), 3 if kind == "of one length" else -1)
        features, columns = {"labels": inner}, {"labels": LABELS.tolist()}
    names, images = read(save(library, tmp_path / "a", features, **columns), "datasets", table=table)
    assert names == wanted
    np.testing.assert_array_equal(marks(images), LABELS)


def test_numbers_of_saved_data_sets(library, tmp_path):
    value = library.Value("float32")
    ages = np.arange(30) / 4
    root = save(library, tmp_path / "a", {"value": value, "height": value, "both": library.List(value)},
                value=ages, height=2 * ages, both=np.stack([ages, -ages], 1))  # fmt: skip
    names, images = read(root, "datasets", targets="numbers")
    assert names == ["value"]
    np.testing.assert_array_equal(marks(images)[:, 0], ages)
    names, images = read(root, "datasets", targets="numbers", table=Table(label=["height", "value"]))
    assert names == ["height", "value"]
    np.testing.assert_array_equal(marks(images), np.stack([2 * ages, ages], 1))
    names, images = read(root, "datasets", targets="numbers", table=Table(label="both"))
    assert names == ["0", "1"]
    np.testing.assert_array_equal(marks(images), np.stack([ages, -ages], 1))
    with pytest.raises(ValueError, match="both has lists; name it alone"):
        read(root, "datasets", targets="numbers", table=Table(label=["value", "both"]))


def test_wrong_labels_of_saved_data_sets(library, tmp_path):
    string, whole = library.Value("string"), library.Value("int64")
    several = library.List(library.ClassLabel(names=NAMES))
    age = [float(number) for number in range(30)]
    cases = [
        ({"labels": several}, {"labels": [*LISTS[:20], None, *LISTS[21:]]}, "multi", "val, row 2 has no labels"),
        ({"labels": whole}, {"labels": range(30)}, "multi", "labels must be lists of classes, or texts, got"),
        ({"labels": library.List(library.Value("float32"))}, {"labels": [[0.5]] * 30}, "multi",
         "train, row 0: classes must be whole numbers or texts, got 0.5"),
        ({"value": library.Value("float64")}, {"value": [*age[:25], None, *age[26:]]}, "numbers", "test, row 1 has no"),
        ({"value": library.Value("float64")}, {"value": [*age[:25], np.nan, *age[26:]]}, "numbers",
         "test, value, row 1, column 0 .value. must be a finite number, got nan"),
        ({"value": string}, {"value": ["old"] * 30}, "numbers", "train: value must hold numbers, got old"),
        ({"value": library.List(whole)}, {"value": [*[[1, 2]] * 4, [3], *[[1, 2]] * 25]}, "numbers",
         "train, row 4: value has another length than in row 0"),
        ({"kind": several}, {"kind": LISTS}, "numbers", "has no column of numbers; its columns are image, kind"),
    ]  # fmt: skip
    for number, (features, columns, targets, message) in enumerate(cases):
        root = save(library, tmp_path / str(number), features, **columns)
        with pytest.raises(ValueError, match=message):
            read(root, "datasets", targets=targets)


def test_broken_images_are_left_out(library, tmp_path):
    rows = {"image": [{"bytes": b"broken" if n == 3 else _png(n), "path": None} for n in range(12)],
            "labels": [[n % 3] for n in range(12)]}  # fmt: skip
    features = library.Features({"image": library.Image(), "labels": library.List(library.ClassLabel(names=NAMES))})
    library.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "a"))
    with pytest.warns(UserWarning, match="1 of 12 train images are left out"):
        _, images = read(tmp_path / "a", "datasets", test_fraction=0.3, on_error="skip")
    assert sum(len(part) for part in images.values()) == 11


def _png(number: int) -> bytes:
    import io

    content = io.BytesIO()
    Image.fromarray(pixels(1, number)[0]).save(content, "PNG")
    return content.getvalue()
