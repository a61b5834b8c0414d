"""Bags: drawn ones and folders, batches with padding, large bags, mistakes."""

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import config, data
from cv_attention.data.bags import BagData

SMALL = {"train": 60, "val": 20, "test": 30, "side": 16}


def digit_bags(**options):
    module = data.create(config.Data(name="digit_bags", batch_size=8, bags=config.Bags(**{**SMALL, **options})), seed=3)
    module.setup()
    return module


def test_a_drawn_bag_is_positive_if_it_holds_the_digit():
    module = digit_bags()
    assert isinstance(module, BagData)
    assert module.class_names == ["without 9", "with 9"]
    sizes = []
    for split in module.splits.values():
        bags = split.images
        assert len(bags.key) == len(bags.instances) == bags.starts[-1]
        for index, label in enumerate(bags.labels):
            members = bags.of(index)
            assert bags.key[members].any() == bool(label)
            assert (bags.instances.labels[members] == 9).tolist() == bags.key[members].tolist()
            sizes.append(len(members))
    assert abs(np.mean(sizes) - 10) < 0.7
    assert abs(np.std(sizes) - 2) < 0.5
    assert abs(module.splits["train"].images.labels.mean() - 0.5) < 0.02


@pytest.mark.parametrize("mean", [5, 10])
def test_every_digit_of_a_bag_is_equally_likely(mean):
    module = digit_bags(train=2000, mean=mean, spread=0.01, side=8)
    bags = module.splits["train"].images
    counts = np.array([bags.key[bags.of(index)].sum() for index in np.flatnonzero(bags.labels)])
    none = 0.9**mean  # one of ten digits is the key: binomial, given that there is one
    expected = 0.1 * mean / (1 - none)
    deviation = np.sqrt((0.09 * mean + (0.1 * mean) ** 2) / (1 - none) - expected**2)
    assert abs(counts.mean() - expected) < 4 * deviation / np.sqrt(len(counts))
    assert abs((counts == 1).mean() - mean * 0.1 * 0.9 ** (mean - 1) / (1 - none)) < 0.07


def test_no_digit_is_in_two_splits_and_a_seed_draws_the_same():
    pixels = {name: split.images.instances.pixels for name, split in digit_bags().splits.items()}
    rows = {name: {one.numpy().tobytes() for one in parts} for name, parts in pixels.items()}
    # some of scikit-learn's digits exist twice
    assert all(len(rows[a] & rows[b]) < 10 for a, b in (("train", "val"), ("train", "test"), ("val", "test")))
    first, again, other = digit_bags(), digit_bags(), digit_bags(seed=1)
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_a_batch_is_padded_and_says_what_is_real():
    split = digit_bags().splits["val"]
    batch = split.batch([(0, 3), (0, 0), (0, 7)])
    sizes = [len(split.images.of(index)) for index in (3, 0, 7)]
    assert batch["image"].shape == (3, max(sizes), 3, 16, 16)
    assert batch["keep"].sum(1).tolist() == sizes
    assert batch["index"].tolist() == [3, 0, 7]
    for place, index in enumerate((3, 0, 7)):
        for position, instance in enumerate(split.images.of(index)):
            pixels = torch.from_numpy(split.images.instances.read(int(instance)).copy()).permute(2, 0, 1)
            assert torch.equal(batch["image"][place, position], pixels)
            assert batch["instance"][place, position] == instance
            assert batch["key"][place, position] == bool(split.images.key[instance])
        assert not batch["image"][place, sizes[place] :].any()
        assert (batch["instance"][place, sizes[place] :] == -1).all()


def test_large_bags_are_drawn_anew_in_every_epoch_of_training_alone():
    module = digit_bags(most=4)
    train, val = module.splits["train"], module.splits["val"]
    assert train.batch([(0, index) for index in range(8)])["keep"].sum(1).max() == 4
    assert val.batch([(0, index) for index in range(8)])["keep"].sum(1).max() > 4
    first, other = (train.batch([(epoch, 0)])["instance"][0].tolist() for epoch in (0, 1))
    assert first == train.batch([(0, 5), (0, 0)])["instance"][1].tolist()
    assert first != other
    assert set(other) <= set(train.images.of(0).tolist())


@pytest.fixture
def folder(tmp_path):
    """Three splits; each bag's pixels say which it is."""
    number = 0
    for split, count in (("train", 6), ("test", 2)):
        for name in ("healthy", "ill"):
            for bag in range(count):
                number += 1
                place = tmp_path / split / name / f"slide{bag}"
                (place / "deeper").mkdir(parents=True)
                for patch in range(1 + bag % 3):
                    where = place / "deeper" if patch == 2 else place
                    Image.new("RGB", (12, 12), (number, patch, 0)).save(where / f"{patch}.png")
    return tmp_path


def test_folders_of_bags(folder):
    module = data.create(config.Data(name="bags", root=str(folder), batch_size=4, val_fraction=0.34), seed=0)
    module.setup()
    assert module.class_names == ["healthy", "ill"]
    assert {name: len(split) for name, split in module.splits.items()} == {"train": 8, "val": 4, "test": 4}
    seen = []
    for split in module.splits.values():
        batch = split.batch([(0, index) for index in range(len(split))])
        assert "key" not in batch
        for place, label in enumerate(batch["label"]):
            pixels = batch["image"][place][batch["keep"][place]]
            [number] = pixels[:, 0].unique().tolist()
            assert sorted(pixels[:, 1, 0, 0].tolist()) == list(range(len(pixels)))
            seen.append(number)
            assert split.images.short_name(place).startswith("ill/slide" if label else "healthy/slide")
    assert sorted(seen) == list(range(1, 17))
    assert module.describe() == "bags: 8 train, 4 val, 4 test bags of 2 classes with 30 images, 12×12"


def test_images_of_different_sizes_need_a_transform(folder):
    for place in (folder / "train/ill").iterdir():
        Image.new("RGB", (20, 20)).save(place / "other.png")
    with pytest.raises(ValueError, match="must have the same size"):
        data.create(config.Data(name="bags", root=str(folder))).setup()
    resized = config.Data(name="bags", root=str(folder), eval_transforms=[{"Resize": {"height": 8, "width": 8}}],
                          train_transforms=[{"Resize": {"height": 8, "width": 8}}])  # fmt: skip
    module = data.create(resized)
    module.setup()
    assert module.image_size == (8, 8)


def test_an_image_outside_of_a_bag_is_named(folder):
    Image.new("RGB", (12, 12)).save(folder / "train/ill/loose.png")
    with pytest.raises(ValueError, match=r"loose.png' is in no bag; expected <split>/<class>/<bag>/<image>"):
        data.create(config.Data(name="bags", root=str(folder))).setup()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"progressive": {0: 8}}, "data.progressive is .*, but data.name digit_bags does not have it"),
        ({"balanced": True}, "data.balanced is True"),
        ({"root": "elsewhere"}, "did you mean data.name 'bags'"),
        ({"bags": config.Bags(train=2)}, r"data.bags.train must be"),
    ],
)
def test_mistakes(options, words):
    with pytest.raises(ValueError, match=words):
        data.create(config.Data(name="digit_bags", **options))
