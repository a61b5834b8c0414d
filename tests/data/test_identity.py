"""The fingerprint of a data set: the same wherever it lies and however it is divided, another for other images."""

import shutil

import numpy as np
import pytest
from PIL import Image

from cv_attention import data
from cv_attention.config import Data, Digits, Subset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 4)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (24, 24, 3), np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def found(root, **settings):
    module = data.create(Data(name="folder", root=str(root), **settings))
    module.setup()
    return module.fingerprint()


def test_counts(folder):
    facts = found(folder, val_fraction=0.2)
    assert facts["images"] == {"train": 16, "val": 4, "test": 8}
    assert facts["classes"] == 2
    assert len(facts["fingerprint"]) == 16


@pytest.mark.parametrize("settings", [{"val_fraction": 0.3}, {"seed": 5}, {"cache": 16}, {"batch_size": 3}])
def test_how_images_are_divided_and_loaded_does_not_matter(folder, settings):
    assert found(folder, **settings)["fingerprint"] == found(folder)["fingerprint"]


def test_the_place_does_not_matter(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert found(tmp_path / "elsewhere")["fingerprint"] == found(folder)["fingerprint"]


@pytest.mark.parametrize("change", ["image", "removed", "renamed", "moved", "class"])
def test_other_images_have_another_fingerprint(folder, tmp_path, change):
    root = tmp_path / "copy"
    shutil.copytree(folder, root)
    picture = root / "test/cat/0.png"
    if change == "image":
        Image.new("RGB", (24, 24)).save(picture)  # another size in bytes, the same name
    elif change == "removed":
        picture.unlink()
    elif change == "renamed":
        picture.rename(picture.with_name("new.png"))
    elif change == "moved":
        picture.rename(root / "test/dog/cat.png")
    else:
        (root / "train/dog").rename(root / "train/fox")
        (root / "test/dog").rename(root / "test/fox")
    assert found(root)["fingerprint"] != found(folder)["fingerprint"]


def test_a_subset_is_other_data(folder):
    assert found(folder, subset=Subset(per_class=5))["fingerprint"] != found(folder)["fingerprint"]


def test_folds_are_counted(folder, tmp_path):
    from cv_attention.data.selection import folds

    labels = data.training_labels(Data(name="folder", root=str(folder)))
    folds.write(tmp_path / "a.json", labels, 5, 0)
    shutil.copy(tmp_path / "a.json", tmp_path / "b.json")
    first = found(folder, split_file=str(tmp_path / "a.json"), fold=0)
    second = found(folder, split_file=str(tmp_path / "b.json"), fold=1)
    assert first["folds"] == second["folds"]
    assert first["folds"]["count"] == 5
    assert first["fingerprint"] == second["fingerprint"] == found(folder)["fingerprint"]


def test_images_in_memory_are_told_apart_by_pixels():
    facts = []
    for seed in (0, 0, 1):
        module = data.create(Data(digits=Digits(train=20, val=10, test=10, canvas=32, digit=16, seed=seed)))
        module.setup()
        facts.append(module.fingerprint()["fingerprint"])
    assert facts[0] == facts[1] != facts[2]
