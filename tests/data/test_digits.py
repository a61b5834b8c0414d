import hashlib
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from cv_attention.config import Digits
from cv_attention.data.sources import digits
from cv_attention.data.sources.digits import draw, split_sources

SMALL = Digits(train=40, val=20, test=30)


@pytest.fixture(scope="module")
def drawn():
    return draw(SMALL)


def test_shapes_and_types(drawn):
    for split, count in {"train": 40, "val": 20, "test": 30}.items():
        images, labels, boxes = drawn[split]
        assert (images.shape, images.dtype) == ((count, 64, 64, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((count,), np.int64)
        assert (boxes.shape, boxes.dtype) == ((count, 4), np.float32)
        assert np.bincount(labels).tolist() == [count // 10] * 10
        assert (images == images[..., :1]).all()


# The drawing is part of every published number: change it only on purpose.
def test_the_same_bytes_on_every_platform(drawn):
    digest = hashlib.sha256()
    for split in ("train", "val", "test"):
        for array in drawn[split]:
            digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest()[:16] == "053ce545194288ae"


def test_another_seed_draws_other_images(drawn):
    other = draw(Digits(train=40, val=20, test=30, seed=1))
    assert (other["train"][0] != drawn["train"][0]).any()


def test_source_digits_are_divided():
    _, labels = digits.load()
    sources = split_sources(labels, seed=0)
    everything = np.concatenate(list(sources.values()))
    assert np.array_equal(np.sort(everything), np.arange(1797))  # disjoint, and all of them
    for split, share in digits.SHARES.items():
        counts = np.bincount(labels[sources[split]]) / np.bincount(labels)
        np.testing.assert_allclose(counts, share, atol=0.01)


def test_no_digit_of_another_split_leaks_into_an_image(monkeypatch):
    """With every source digit of the other splits blanked, a split's images stay what they were."""
    pixels, labels = digits.load()
    sources = split_sources(labels, SMALL.seed)
    expected = draw(SMALL)
    for split, members in sources.items():
        alone = np.zeros_like(pixels)
        alone[:, 2:6, 2:6] = 16  # any ink will do
        alone[members] = pixels[members]
        monkeypatch.setattr(digits, "load", lambda alone=alone: (alone, labels))
        for array, other in zip(draw(SMALL)[split], expected[split], strict=True):
            np.testing.assert_array_equal(array, other)


def test_boxes_are_tight_around_the_digit():
    """Without clutter, all there is on the canvas is the digit."""
    images, _, boxes = draw(Digits(train=50, val=10, test=10, clutter=0))["train"]
    for image, box in zip(images, boxes, strict=True):
        rows, columns = np.flatnonzero(image[..., 0].any(1)), np.flatnonzero(image[..., 0].any(0))
        seen = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        np.testing.assert_array_equal(seen, box)


def test_digits_lie_over_the_clutter_unharmed():
    """The pixels in the box are those of a source digit of that class, enlarged and dimmed."""
    config = Digits(train=30, val=10, test=10, clutter=30)
    images, labels, boxes = draw(config)["train"]
    pixels, classes = digits.load()
    enlarged = {size: digits.enlarge(pixels, size) for size in digits.enlarged_sizes(config.digit)}
    for image, label, box in zip(images, labels, boxes.astype(int), strict=True):
        x0, y0, x1, y1 = box
        patch = image[y0:y1, x0:x1, 0].astype(float)
        similarity = 0.0
        for patches in enlarged.values():
            for i in np.flatnonzero(classes == label):
                a, b, c, d = digits.ink_box(patches[i])
                candidate = patches[i, b:d, a:c].astype(float)
                if candidate.shape == patch.shape:
                    cosine = (candidate * patch).sum() / np.sqrt((candidate**2).sum() * (patch**2).sum())
                    similarity = max(similarity, cosine)
        assert similarity > 0.9999


def test_enlargement_is_bilinear():
    import torch

    pixels, _ = digits.load()
    for size in (20, 24, 28):
        expected = torch.nn.functional.interpolate(
            torch.tensor(pixels[:20, None] * 255 / 16), (size, size), mode="bilinear", align_corners=False
        )[:, 0].numpy()
        assert np.abs(digits.enlarge(pixels[:20], size) - expected).max() <= 2.5


def test_plain_digits_are_scikit_learns_own():
    found = draw(Digits(plain=True))
    pixels, labels = load_digits(return_X_y=True)
    assert {split: len(images) for split, (images, *_) in found.items()} == {"train": 1258, "val": 180, "test": 359}
    images, classes, boxes = (np.concatenate(parts) for parts in zip(*found.values(), strict=True))
    assert (images[..., 0] == images[..., 2]).all()
    drawn = sorted((image[..., 0].tobytes(), label) for image, label in zip(images, classes.tolist(), strict=True))
    own = (pixels.reshape(-1, 8, 8) * 255 // 16).astype(np.uint8)
    assert drawn == sorted((image.tobytes(), label) for image, label in zip(own, labels.tolist(), strict=True))
    assert ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= 8)).all()


def test_fast_enough_to_draw_at_every_start():
    started = time.process_time()
    draw(Digits())
    assert time.process_time() - started < 6  # 1 s on one free core


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 5}, "data.digits.train must be at least 10, got 5"),
        ({"digit": 4}, "data.digits.digit must be at least 8"),
        ({"clutter": -1}, "data.digits.clutter"),
        ({"canvas": 25}, "data.digits.canvas must be at least 28 for digit=24, got 25"),
        ({"plain": True, "canvas": 8}, "data.digits.canvas is 8, but data.digits.plain takes the digits as they are"),
    ],
)
def test_impossible_settings(options, message):
    with pytest.raises(ValueError, match=message):
        draw(Digits(**options))
