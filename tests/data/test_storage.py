"""Every kind of storage gives the same images, here and in a copy, and one from outside the package works."""

import os
import pickle
import tarfile

import cv2
import numpy as np
import pytest
import torch

from cv_attention.data import read_image
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.sources.cache import CachedFiles, open_cache
from cv_attention.data.sources.decoded import DecodedFiles, decode_all
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.data.sources.images import Images, Storage
from cv_attention.data.sources.memory import Memory
from cv_attention.data.sources.shards import open_shards

KINDS = ["memory", "files", "decoded", "cached", "shards"]


@pytest.fixture
def paths(tmp_path):
    """Six pictures of 12x16 in two folders."""
    found = []
    for number in range(6):
        path = tmp_path / ("ant" if number < 3 else "bee") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8))
        found.append(path)
    return found


def store(kind, paths) -> Storage:
    root, encoded = paths[0].parents[1], np.array([os.fsencode(path) for path in paths])
    if kind == "memory":
        return Memory(torch.from_numpy(np.stack([read_image(path) for path in paths])))
    if kind == "files":
        return Files(encoded)
    if kind == "decoded":
        pixels = decode_all(encoded.tolist())
        assert pixels is not None
        return DecodedFiles(encoded, None, pixels)
    if kind == "cached":
        return CachedFiles(encoded, None, open_cache(root / "cache", encoded.tolist(), 100))
    with tarfile.open(root / "train-0.tar", "w") as tar:
        (root / "class").write_text("0")
        for path in paths:
            tar.add(path, path.name)
            tar.add(root / "class", f"{path.stem}.cls")
    return open_shards(root / "index", [root / "train-0.tar"])


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_those_of_the_files(kind, paths):
    storage = store(kind, paths)
    for reader in (storage, pickle.loads(pickle.dumps(storage))):
        for row, path in enumerate(paths):
            np.testing.assert_array_equal(reader.read(row), read_image(path))
    assert (storage.pixels is not None) == (kind in ("memory", "decoded"))
    if storage.pixels is not None:
        np.testing.assert_array_equal(storage.pixels[4].numpy(), read_image(paths[4]))


@pytest.mark.parametrize("kind", KINDS)
def test_selected_images_keep_their_pixels_names_and_boxes(kind, paths):
    boxes = np.arange(24, dtype=np.float32).reshape(6, 4)
    whole = Images(np.array([0, 0, 0, 1, 1, 1]), np.arange(6), store(kind, paths), boxes)
    chosen = whole.select(np.array([5, 1, 4])).select(np.array([2, 0]))
    assert (len(chosen), chosen.labels.tolist(), chosen.boxes.tolist()) == (2, [1, 1], boxes[[4, 5]].tolist())
    for index, row in enumerate((4, 5)):
        np.testing.assert_array_equal(chosen.read(index), read_image(paths[row]))
        name = {"memory": f"{row:05d}", "shards": f"{row}.png"}.get(kind, f"bee/{row}.png")
        assert chosen.short_name(index) == name
        place = {"memory": f"image {row}", "shards": f"'{paths[0].parents[1]}/train-0.tar/{row}.png'"}
        assert chosen.describe(index) == place.get(kind, f"'{paths[row]}'")
        assert chosen.path(index) == (None if kind in ("memory", "shards") else str(paths[row]))
        assert chosen.version(index) == whole.version(row) != whole.version(row - 1)


def test_files_of_more_than_8_bits_have_another_version_in_another_range(paths):
    encoded = np.array([os.fsencode(path) for path in paths])
    assert Files(encoded, 12).version(0) != Files(encoded, 10).version(0)


class Colours:
    """A third-party storage: images of one colour, computed on demand."""

    pixels = None
    bits = None

    def read(self, row):
        return np.full((4, 6, 3), 10 * row, np.uint8)

    def name(self, row):
        return f"colour {row}"

    def describe(self, row):
        return f"colour {row}"

    def path(self, row):
        return None

    def version(self, row):
        return str(row)

    def contents(self, parts):
        yield b"colours"


def test_a_storage_from_outside_makes_batches():
    images = Images(np.array([1, 0, 1]), np.array([2, 0, 1]), Colours())
    batch = ImageSet("train", images, Pipeline([], "data.train_transforms"), 0).batch([(0, 0), (0, 2)])
    assert batch["image"].shape == (2, 3, 4, 6)
    assert batch["image"][:, 0, 0, 0].tolist() == [20, 10]
    assert batch["label"].tolist() == [1, 1]
