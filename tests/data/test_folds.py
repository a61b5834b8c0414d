"""Folds: equal shares of every class, written and read back, and used as the validation split."""

import json

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from cv_attention import data
from cv_attention.cli import main
from cv_attention.config import Data, Digits
from cv_attention.data.selection import folds

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [25, 10, 5]))


def test_every_image_is_in_one_fold_and_every_class_in_each():
    parts = folds.divide(LABELS, 5, seed=2)
    assert sorted(np.concatenate(parts)) == list(range(40))
    for part in parts:
        assert np.bincount(LABELS[part]).tolist() == [5, 2, 1]
    expected = StratifiedKFold(5, shuffle=True, random_state=2).split(LABELS, LABELS)
    for part, (_, held) in zip(parts, expected, strict=True):
        assert part.tolist() == held.tolist()


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "deep/folds.json"
    folds.write(path, LABELS, 5, seed=2)
    for number, part in enumerate(folds.divide(LABELS, 5, seed=2)):
        kept, held = folds.read(str(path), number, LABELS)
        assert held.tolist() == sorted(part)
        assert sorted([*kept, *held]) == list(range(40))


@pytest.mark.parametrize(("count", "words"), [(1, "got 1"), (6, "5 images of the smallest class .class 2., got 6")])
def test_a_wrong_number_of_folds_is_named(count, words):
    with pytest.raises(ValueError, match=words):
        folds.divide(LABELS, count, 0)


def test_a_file_that_does_not_fit_is_named(tmp_path):
    path = tmp_path / "folds.json"
    with pytest.raises(FileNotFoundError, match="cv-attention folds writes one"):
        folds.read(str(path), 0, LABELS)
    folds.write(path, LABELS, 5, seed=2)
    with pytest.raises(ValueError, match=r"data\.fold must lie between 0 and 4, the folds of .*folds\.json, got 5"):
        folds.read(str(path), 5, LABELS)
    with pytest.raises(ValueError, match="for other data: it divides 40 images, the training split has 39"):
        folds.read(str(path), 0, LABELS[1:])
    with pytest.raises(ValueError, match="for other data"):
        folds.read(str(path), 0, LABELS[::-1])
    for text in ("rubbish", "[1]", json.dumps({"images": 40})):
        path.write_text(text)
        with pytest.raises(ValueError, match="holds no folds"):
            folds.read(str(path), 0, LABELS)


@pytest.mark.parametrize(
    "changed",
    {
        "none": lambda parts: [],
        "a mapping": lambda parts: {},
        "one fewer": lambda parts: parts[:4],
        "an image lost": lambda parts: [parts[0][:-1], *parts[1:]],
        "an image twice in a fold": lambda parts: [[parts[0][0], *parts[0][:-1]], *parts[1:]],
        "an image in two folds": lambda parts: [[parts[1][0], *parts[0][1:]], *parts[1:]],
        "beyond the images": lambda parts: [[40, *parts[0][1:]], *parts[1:]],
        "negative": lambda parts: [[-1, *parts[0][1:]], *parts[1:]],
        "not a whole number": lambda parts: [[float(place) for place in parts[0]], *parts[1:]],
        "true for 1": lambda parts: [[True if place == 1 else place for place in part] for part in parts],
        "texts": lambda parts: [[str(place) for place in part] for part in parts],
        "null": lambda parts: [None, *parts[1:]],
    }.items(),
    ids=lambda change: change[0],
)
@pytest.mark.parametrize("fold", [0, 4])
def test_folds_that_do_not_hold_every_image_once_are_refused(changed, fold, tmp_path):
    """A fold that lost images, or has some of another, would be validated on other images without a word."""
    path = tmp_path / "folds.json"
    folds.write(path, LABELS, 5, seed=2)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "folds": changed[1](content["folds"])}))
    with pytest.raises(ValueError, match=r"folds\.json holds no folds"):
        folds.read(str(path), fold, LABELS)


@pytest.mark.long
def test_folds_from_the_command_line_are_the_validation_splits(tmp_path, capsys):
    path = tmp_path / "folds.json"
    options = ["--data.digits.train=60", "--data.digits.val=10", "--data.digits.test=10"]
    assert main(["folds", *options, "--folds=3", "-o", str(path)]) == 0
    assert "60 training images in 3 folds" in capsys.readouterr().out
    seen = []
    for fold in range(3):
        module = data.create(Data(digits=Digits(60, 10, 10), split_file=str(path), fold=fold))
        module.setup()
        train, val = (module.splits[name].images.rows.tolist() for name in ("train", "val"))
        assert sorted(train + val) == list(range(60))
        seen += val
    assert sorted(seen) == list(range(60))
    assert main(["folds", *options, "--folds=90", "-o", str(path)]) == 2
    assert "got 90" in capsys.readouterr().err
