"""Broken images under ``data.on_error: skip``: found before the training, left out, named; else they end it by name."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faults.image_files import png
from cv_attention.cli import main
from cv_attention.config import Data, Subset
from cv_attention.data import create
from cv_attention.data.sources import decoded, folder, webdataset

SPLITS = ("train", "val", "test")


def written(root: Path) -> Path:
    """Two classes of six images in each split; of the training images of bees one is cut, one empty, one gone."""
    for split in SPLITS:
        for name in ("ant", "bee"):
            (root / split / name).mkdir(parents=True)
            for number in range(6):
                pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
                (root / split / name / f"{number}.png").write_bytes(png(pixels, 2))
    bees = root / "train/bee"
    (bees / "1.png").write_bytes((bees / "1.png").read_bytes()[:200])
    (bees / "2.png").write_bytes(b"")
    (bees / "3.png").unlink()
    (bees / "3.png").symlink_to("nowhere.png")
    return root


@pytest.mark.parametrize("limit", [0, 1 << 30])
@pytest.mark.parametrize("cache", [None, 12])
def test_broken_images_are_left_out_and_named(limit, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "LIMIT", limit)
    root = written(tmp_path)
    with pytest.warns(UserWarning, match=r"data\.on_error skip: 3 of 12 train images are left out: .*1\.png.*2 more"):
        images = folder.load(str(root), Subset(), cache, skip=True)[1]
    train = images["train"]
    assert train.labels.tolist() == [0] * 6 + [1] * 3
    assert [train.short_name(i) for i in range(6, 9)] == ["bee/0.png", "bee/4.png", "bee/5.png"]
    assert len([train.read(i) for i in range(9)]) == 9
    assert [reason.split("bee/")[1][:5] for reason in train.left_out] == ["1.png", "2.png", "3.png"]
    assert images["test"].left_out == ()


def test_they_are_looked_for_once(tmp_path, monkeypatch):
    root = written(tmp_path)
    with pytest.warns(UserWarning, match="left out"):
        first = folder.load(str(root), Subset(), skip=True)[1]["train"]
    monkeypatch.setattr("cv_attention.data.decoding.broken._decoded", None)
    with pytest.warns(UserWarning, match="left out"):
        again = folder.load(str(root), Subset(), skip=True)[1]["train"]
    assert again.left_out == first.left_out
    monkeypatch.undo()
    for number, store in enumerate(sorted((root / ".cv_attention").glob("broken-*.json"))):
        # damaged; of an earlier format; of a later one
        store.write_text(["[" * 5000, '{"format": 0, "broken": {}}', '{"format": 99, "broken": {}}'][number % 3])
    (root / "test/ant/0.png").write_bytes(b"x")
    with pytest.warns(UserWarning, match="left out"):
        changed = folder.load(str(root), Subset(), skip=True)[1]
    assert [len(changed[split].left_out) for split in SPLITS] == [3, 0, 1]


def test_a_class_must_keep_an_image(tmp_path):
    root = written(tmp_path)
    for path in (root / "test/bee").iterdir():
        path.write_bytes(b"x")
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(ValueError, match=r"test' has a class whose images are all broken.*bee/0\.png"),
    ):
        folder.load(str(root), Subset(), skip=True)


def test_shards_too(tmp_path):
    root = written(tmp_path / "files")
    for split in SPLITS:
        with tarfile.open(tmp_path / f"{split}-0.tar", "w") as tar:
            for number, path in enumerate(sorted((root / split).rglob("[0-9].png"))):
                data = path.read_bytes() if path.exists() else b"gone"
                (tmp_path / "image").write_bytes(data or b" ")
                (tmp_path / "class").write_text(str(number // 6))
                tar.add(tmp_path / "image", f"{number}.png")
                tar.add(tmp_path / "class", f"{number}.cls")
    with pytest.warns(UserWarning, match="3 of 12 train images are left out"):
        train = webdataset.load(str(tmp_path), Subset(), skip=True)[1]["train"]
    assert [train.short_name(i) for i in range(len(train))] == [f"{n}.png" for n in (0, 1, 2, 3, 4, 5, 6, 10, 11)]
    assert train.labels.tolist() == [0] * 6 + [1] * 3


def test_a_training_run_says_what_is_left_out(tmp_path, capsys, recwarn):
    root = written(tmp_path / "data")
    options = [f"--data.root={root}", "--data.name=folder", "--data.batch_size=4", "--trainer.precision=32-true"]
    options += ["--model.options={width: 2}", "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--log.probes=0"]
    options += ["--log.wandb=disabled", f"--log.root={tmp_path}", "--log.name=run"]
    assert main(["fit", *options]) == 2
    assert "train/bee/" in capsys.readouterr().err
    assert main(["fit", *options, "--data.on_error=skip"]) == 0
    out = capsys.readouterr().out
    assert "left out as broken: 3 train images, such as '" in out
    left_out = json.loads((tmp_path / "run/summary.json").read_text())["left_out"]
    assert list(left_out) == ["train"]
    assert len(left_out["train"]) == 3


def test_the_same_images_whatever_the_order_of_the_disk(tmp_path, monkeypatch):
    import os

    root = written(tmp_path)
    module = create(Data("folder", str(root), on_error="skip"))
    with pytest.warns(UserWarning, match="left out"):
        module.setup()
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: iter(list(real(path))[::-1]))
    other = create(Data("folder", str(root), on_error="skip"))
    with pytest.warns(UserWarning, match="left out"):
        other.setup()
    for name in SPLITS:
        one, two = module.splits[name].images, other.splits[name].images
        assert [one.describe(i) for i in range(len(one))] == [two.describe(i) for i in range(len(two))]
