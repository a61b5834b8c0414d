"""Data with several classes or numbers per image: tables, drawn digits, functions of one's own, splits and folds."""

import numpy as np
import pytest
from PIL import Image

from cv_attention import data
from cv_attention.config import Data, Digits, Subset, Table
from cv_attention.data.datamodule import load
from cv_attention.data.selection import folds
from cv_attention.data.sources import subset
from cv_attention.data.sources.digits import draw as draw_single
from cv_attention.data.stratifying import divide, strata

DIGITS = Digits(train=60, val=20, test=20, canvas=48, digit=16, most=3, clutter=2)
ROWS = [("a", "cat;dog"), ("b", "dog"), ("c", ""), ("d", " cat ; bird"), ("e", "bird;bird;dog"), ("f", "cat")]


def several(**options):
    return Data(name="table", root="labels.csv", targets="multi", test_fraction=0.3, **options)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, (name, _) in enumerate(ROWS):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(f"{name}.png")
    return tmp_path


def write(header, rows):
    with open("labels.csv", "w", encoding="utf-8") as file:
        file.write("\n".join([header, *(",".join(row) for row in rows)]) + "\n")


def test_a_column_of_labels(images):
    write("path,labels,split", [(f"{name}.png", text, "train") for name, text in ROWS] + [])
    names, splits = load(several())
    assert names == ["bird", "cat", "dog"]
    labels = {splits[s].short_name(i)[-5]: row for s in splits for i, row in enumerate(splits[s].labels.tolist())}
    wanted = {"a": [0, 1, 1], "b": [0, 0, 1], "c": [0, 0, 0], "d": [1, 1, 0], "e": [1, 0, 1], "f": [0, 1, 0]}
    assert labels == wanted
    chosen, part = load(several(subset=Subset(classes=["dog"])))
    assert chosen == ["dog"]
    assert sum(int(images.labels.sum()) for images in part.values()) == 3  # images without a dog stay


def test_a_column_for_each_class(images):
    write("path,cat,dog", [("a.png", "1", "0"), ("b.png", "0.0", "yes"), ("c.png", "", "0"), ("d.png", "1", "1")])
    names, splits = load(several(table=Table(label=["dog", "cat"])))
    assert names == ["cat", "dog"]
    found = {splits[s].short_name(i)[-5]: row for s in splits for i, row in enumerate(splits[s].labels.tolist())}
    assert found == {"a": [1, 0], "b": [0, 1], "c": [0, 0], "d": [1, 1]}
    write("path,cat,dog", [("a.png", "1", "0"), ("b.png", "maybe", "1")])
    with pytest.raises(ValueError, match="line 3: cat must be 1, 0 or empty, got 'maybe'"):
        load(several(table=Table(label=["dog", "cat"])))


def test_numbers(images):
    write("path,age,height", [(f"{name}.png", str(i), f"{i / 4}") for i, (name, _) in enumerate(ROWS)])
    config = several(table=Table(label=["height", "age"]))
    config.targets = "numbers"
    names, splits = load(config)
    assert names == ["height", "age"]
    assert splits["train"].labels.dtype == np.float32
    rows = np.concatenate([part.labels for part in splits.values()])
    assert sorted(rows.tolist()) == [[i / 4, i] for i in range(6)]
    write("path,age", [("a.png", "old"), ("b.png", "3")])
    config.table.label = "age"
    with pytest.raises(ValueError, match="line 2: age must be a finite number, got 'old'"):
        load(config)


def test_mistakes_in_tables(images):
    write("path,labels", [(f"{name}.png", text) for name, text in ROWS])
    with pytest.raises(ValueError, match=r"for several classes per image set data\.targets multi"):
        load(Data(name="table", root="labels.csv", test_fraction=0.3))
    with pytest.raises(ValueError, match=r"lists several columns, but data\.targets is single"):
        load(Data(name="table", root="labels.csv", test_fraction=0.3, table=Table(label=["labels"])))
    write("path,labels,split", [("a.png", "cat", "train"), ("b.png", "cat;dog", "test")])
    with pytest.raises(ValueError, match="line 3: the class 'dog' has no training images"):
        load(several())


def test_drawn_digits_are_really_there():
    """The images of one digit alone are those of the plain set's kind; every image has as many digits as labels."""
    module = data.create(Data(targets="multi", digits=DIGITS, batch_size=10), seed=0)
    module.setup()
    assert module.describe().startswith(
        "cluttered_digits: 60 train, 20 val, 20 test images of 10 classes, 2.00 of them"
    )
    labels = module.splits["train"].images.labels
    assert sorted(np.bincount(labels.sum(1))[1:].tolist()) == [20, 20, 20]
    batch = next(iter(module.val_dataloader()))
    assert batch["label"].shape == (10, 10)
    assert "box" not in batch
    again = data.create(Data(targets="multi", digits=DIGITS), seed=1)
    again.setup()
    assert again.fingerprint() == module.fingerprint()
    numbers = data.create(Data(targets="numbers", digits=DIGITS), seed=0)
    numbers.setup()
    assert np.array_equal(numbers.splits["train"].images.labels[:, 0], labels.sum(1))
    assert numbers.fingerprint()["fingerprint"] != module.fingerprint()["fingerprint"]
    assert draw_single(DIGITS)["train"][1].ndim == 1  # the plain set takes no notice


def test_a_rare_class_is_in_every_part():
    """1,000 images, classes of 500, 100, 20 and 5 images: random parts would often miss the last."""
    random = np.random.default_rng(0)
    labels = np.stack([random.permutation(1000) < count for count in (500, 100, 20, 5)], 1).astype(np.uint8)
    parts = divide(labels, [0.2] * 5, 0)
    assert np.bincount(parts).tolist() == [200] * 5
    counts = np.stack([labels[parts == part].sum(0) for part in range(5)])
    assert (counts.max(0) - counts.min(0) <= [2, 2, 1, 0]).all()
    kept, held = subset.hold_out(labels, 0.2, 0)
    assert labels[held].sum(0).tolist() == [100, 20, 4, 1]
    assert sorted([*kept, *held]) == list(range(1000))
    groups = np.arange(1000) // 4
    parts = divide(labels, [0.5, 0.5], 0, groups)
    assert all(len(set(parts[groups == group])) == 1 for group in range(250))


def test_folds_of_several_classes(tmp_path):
    random = np.random.default_rng(1)
    labels = (random.random((100, 3)) < 0.3).astype(np.uint8)
    folds.write(tmp_path / "folds.json", labels, 4, 0)
    kept, held = folds.read(str(tmp_path / "folds.json"), 1, labels)
    assert len(held) == 25
    assert len(kept) == 75
    with pytest.raises(ValueError, match="is for other data"):
        folds.read(str(tmp_path / "folds.json"), 1, 1 - labels)
    labels[:, 2] = 0
    labels[:3, 2] = 1
    with pytest.raises(ValueError, match=r"between 2 and the 3 images of the smallest class \(class 2\), got 4"):
        folds.divide(labels, 4, 0)


def test_strata_by_hand():
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]], np.uint8)
    assert strata(labels).tolist() == [1, 0, 3, 2, 0]
    assert strata(np.array([2, 0, 1])).tolist() == [2, 0, 1]
    numbers = np.arange(40, dtype=np.float32)[::-1, None]
    assert np.bincount(strata(numbers)).tolist() == [4] * 10
    assert strata(numbers)[0] == 9


def test_of_a_function_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "own_labels.py").write_text(
        "import numpy as np\n"
        "def both(root, kind):\n"
        "    labels = {'multi': np.eye(6, 2), 'numbers': np.arange(6.0), 'wrong': 2 * np.eye(6, 2)}[kind]\n"
        "    part = np.zeros((6, 8, 8, 3), np.uint8), labels\n"
        "    return ['a', 'b'] if kind != 'numbers' else ['x'], {'train': part, 'test': part}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = Data(name="own_labels.both", options={"kind": "multi"}, targets="multi")
    assert load(config)[1]["train"].labels.tolist()[0] == [1, 0]
    config.options = {"kind": "wrong"}
    with pytest.raises(ValueError, match=r"labels, row 0, column 0 \(a\) must be 0 or 1, got 2"):
        load(config)
    config.options, config.targets = {"kind": "numbers"}, "numbers"
    assert load(config)[1]["train"].labels.shape == (6, 1)
