import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cv_attention.config import Data, Subset
from cv_attention.data import create, read_image
from cv_attention.data.sources import decoded
from cv_attention.data.sources.folder import image_files, load


def picture(number: int, height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def make(root: Path, tree: dict[str, int], **size: int) -> Path:
    """Writes so many PNGs into each `split/class`."""
    for folder, count in tree.items():
        (root / folder).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(root / folder / f"{i}.png"), picture(i + 100 * len(folder), **size))
    return root


FULL = {f"{split}/{name}": 4 for split in ("train", "val", "test") for name in ("ant", "bee", "cat")}


def without(*folders: str) -> dict[str, int]:
    return {k: v for k, v in FULL.items() if not k.startswith(folders)}


def test_three_splits(tmp_path):
    names, images = load(str(make(tmp_path, FULL)), Subset())
    assert names == ["ant", "bee", "cat"]
    assert {k: len(v) for k, v in images.items()} == {"train": 12, "val": 12, "test": 12}
    for split, part in images.items():
        assert part.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        for i in (0, 5, 11):
            expected = read_image(tmp_path / split / names[part.labels[i]] / f"{i % 4}.png")
            np.testing.assert_array_equal(part.read(i), expected)


@pytest.mark.parametrize(("kept", "other"), [("test", "val"), ("val", "test")])
def test_the_only_other_split_is_the_test_split(kept, other, tmp_path):
    module = create(Data(name="folder", root=str(make(tmp_path, without(other))), val_fraction=0.25))
    module.setup()
    assert {k: len(v) for k, v in module.splits.items()} == {"train": 9, "val": 3, "test": 12}
    where = {k: {v.images.describe(i) for i in range(len(v))} for k, v in module.splits.items()}
    assert all(f"{tmp_path}/{kept}/" in path for path in where["test"])
    assert all(f"{tmp_path}/train/" in path for path in where["train"] | where["val"])
    assert not where["train"] & where["val"]


@pytest.mark.parametrize("alias", ["valid", "validation", "val"])
def test_names_of_the_validation_folder(alias, tmp_path):
    make(tmp_path, FULL)
    (tmp_path / "val").rename(tmp_path / alias)
    assert set(load(str(tmp_path), Subset())[1]) == {"train", "val", "test"}


def test_other_files_are_passed_over(tmp_path):
    make(tmp_path, FULL)
    (tmp_path / "train/ant/.DS_Store").write_bytes(b"x")
    (tmp_path / "train/ant/._0.png").write_bytes(b"x")
    (tmp_path / "train/ant/notes.txt").write_text("x")
    (tmp_path / "train/.ipynb_checkpoints").mkdir()
    (tmp_path / "train/ant/more").mkdir()
    cv2.imwrite(str(tmp_path / "train/ant/more/A.PNG"), picture(0))
    names, images = load(str(tmp_path), Subset())
    assert names == ["ant", "bee", "cat"]
    assert np.bincount(images["train"].labels).tolist() == [5, 4, 4]


def test_subset(tmp_path):
    make(tmp_path, FULL)
    subset = Subset(classes=["cat", "ant"], per_class=2)
    module = create(Data(name="folder", root=str(tmp_path), subset=subset))
    module.setup()
    assert module.class_names == ["ant", "cat"]
    assert np.bincount(module.splits["train"].images.labels).tolist() == [2, 2]
    assert np.bincount(module.splits["test"].images.labels).tolist() == [4, 4]


def test_a_class_that_is_not_chosen_may_be_broken(tmp_path):
    make(tmp_path, FULL | {"train/dog": 0})
    assert load(str(tmp_path), Subset(classes=["ant"]))[0] == ["ant"]


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        (None, FileNotFoundError, r"data\.root: folder not found: '{root}'"),
        ({}, ValueError, r"'{root}' must contain the folders train and test.*got none"),
        ({"ant": 2, "bee": 2}, ValueError, r"'{root}' must contain .*got ant, bee"),
        (without("val", "test"), ValueError, r"'{root}' must contain .*got train"),
        (without("train"), ValueError, r"'{root}' must contain .*got test, val"),
        (FULL | {"valid/ant": 1}, ValueError, r"'{root}' has several val folders: val, valid"),
        (FULL | {"train/dog": 0}, ValueError, r"class folder '{root}/train/dog' contains no images \(\.jpg"),
        (FULL | {"test/dog": 1}, ValueError, r"'{root}/test/dog' is a class without training images"),
        (FULL | {"val/dog": 1}, ValueError, r"'{root}/val/dog' is a class without training images"),
        (without("test") | {"test": 0}, ValueError, r"'{root}/test' has no class folders"),
    ],
)
def test_mistakes_are_named(tree, error, message, tmp_path):
    root = tmp_path / "set"
    if tree is not None:
        root.mkdir()
        make(root, tree)
    with pytest.raises(error, match=message.format(root=root)) as raised:
        create(Data(name="folder", root=str(root))).setup()
    assert "\n" not in str(raised.value)


def test_only_files_that_are_no_images(tmp_path):
    make(tmp_path, FULL | {"train/dog": 0})
    (tmp_path / "train/dog/notes.txt").write_text("x")
    with pytest.raises(ValueError, match=f"'{tmp_path}/train/dog' contains no images"):
        load(str(tmp_path), Subset())


def test_a_broken_image_is_named_before_training(tmp_path):
    make(tmp_path, FULL)
    (tmp_path / "train/bee/2.png").write_bytes(b"x" * 50)
    with pytest.raises(ValueError, match=f"'{tmp_path}/train/bee/2.png' is not an image"):
        create(Data(name="folder", root=str(tmp_path))).setup()


def test_images_of_different_sizes_are_named_before_training(tmp_path):
    make(tmp_path, without("train/cat"))
    make(tmp_path, {"train/cat": 4}, height=20)
    with pytest.raises(ValueError, match="must have the same size") as raised:
        create(Data(name="folder", root=str(tmp_path))).setup()
    for part in (f"'{tmp_path}/train/cat/", f"'{tmp_path}/train/ant/0.png'", "16x20", "16x12", "Resize"):
        assert part in str(raised.value)
    assert "data.train_transforms" in str(raised.value)


def test_one_image_of_another_size_is_named_in_its_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "LIMIT", 0)
    make(tmp_path, FULL | {"train/ant": 40})
    cv2.imwrite(str(tmp_path / "train/ant/7.png"), picture(0, 30, 30))
    module = create(Data(name="folder", root=str(tmp_path), batch_size=48))
    module.setup()
    with pytest.raises(ValueError, match=f"'{tmp_path}/train/ant/7.png' (is|after).*30x30") as raised:
        list(module.train_dataloader())
    assert "data.train_transforms" in str(raised.value)


def test_small_images_are_decoded_once(tmp_path, monkeypatch):
    images = load(str(make(tmp_path, FULL)), Subset())[1]["train"]
    assert images.pixels is not None
    assert images.pixels.shape == (12, 12, 16, 3)
    monkeypatch.setattr("cv_attention.data.sources.files.read_image", None)  # nobody asks for a file again
    images.select(np.array([3, 8])).read(1)


@pytest.mark.parametrize("way", ["too large", "different sizes", "one odd image"])
def test_other_images_are_decoded_when_needed(way, tmp_path, monkeypatch):
    make(tmp_path, without("train"))
    if way == "different sizes":
        make(tmp_path, {"train/ant": 3}, height=9)
        make(tmp_path, {"train/bee": 3, "train/cat": 3}, width=9)
    else:
        make(tmp_path, {"train/ant": 100, "train/bee": 3, "train/cat": 3})
    if way == "too large":
        monkeypatch.setattr(decoded, "LIMIT", 106 * 12 * 16 * 3 - 1)
    if way == "one odd image":
        cv2.imwrite(str(tmp_path / "train/ant/57.png"), picture(0, 5, 5))
    images = load(str(tmp_path), Subset())[1]["train"]
    assert images.pixels is None
    for i in (0, len(images) - 1):
        np.testing.assert_array_equal(images.read(i), read_image(images.describe(i).strip("'")))


def test_batches_are_the_same_from_memory_and_from_files(tmp_path, monkeypatch):
    make(tmp_path, FULL)
    steps = [{"RandomCrop": {"height": 8, "width": 8}}, {"Affine": {"rotate": [-9, 9]}}]  # has no batched version
    config = Data(name="folder", root=str(tmp_path), batch_size=6, train_transforms=steps)
    batches = []
    for limit in (1 << 30, 0):
        monkeypatch.setattr(decoded, "LIMIT", limit)
        module = create(config)
        module.setup()
        assert (module.splits["train"].images.pixels is None) == (limit == 0)
        batches.append(list(module.train_dataloader()))
    assert len(batches[0]) == 2
    for one, other in zip(*batches, strict=True):
        for key in one:
            assert torch.equal(one[key], other[key])


@pytest.mark.shared
def test_photographs(tmp_path):
    import tarfile

    archive = Path(__file__).parents[3] / "shared/data/hymenoptera.tar"
    if not archive.exists():
        pytest.skip(f"{archive} is not here")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    steps = [{"RandomResizedCrop": {"size": [64, 64]}}]
    evaluation = [{"SmallestMaxSize": {"max_size": 72}}, {"CenterCrop": {"height": 64, "width": 64}}]
    module = create(Data("folder", str(tmp_path / "hymenoptera"), train_transforms=steps, eval_transforms=evaluation))
    module.setup()
    assert module.class_names == ["ants", "bees"]
    assert len(module.splits["train"]) + len(module.splits["val"]) == 245
    assert len(module.splits["test"]) == 153
    assert sum(len(b["label"]) for b in module.test_dataloader()) == 153
    assert module.image_size == (64, 64)
    assert {b["image"].shape[1:] for b in module.train_dataloader()} == {(3, 64, 64)}


def test_links_are_followed_once_and_special_files_left_out(tmp_path):
    make(tmp_path, FULL)
    folder = tmp_path / "train/ant"
    (folder / "itself").symlink_to(folder)
    (folder / "deeper").mkdir()
    (folder / "deeper/up").symlink_to("..")
    make(tmp_path / "elsewhere", {"more": 2})
    (folder / "linked").symlink_to(tmp_path / "elsewhere/more")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "endless.png").symlink_to("/dev/zero")
    with pytest.warns(UserWarning, match=r"left out: .*\(and 3 more\)"):
        found = image_files(folder)
    names = [os.path.relpath(os.fsdecode(path), folder) for path in found]
    assert names == ["0.png", "1.png", "2.png", "3.png", "linked/0.png", "linked/1.png"]


def test_a_broken_link_is_not_left_out_silently(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert image_files(tmp_path) == [os.fsencode(tmp_path / "gone.png")]
