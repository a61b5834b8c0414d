"""Batched augmentation against albumentations, image by image: the same outcomes, equally often."""

import numpy as np
import pytest
import torch
from scipy import stats

from cv_attention.config import Data
from cv_attention.data import create
from cv_attention.data.augmentation.normalisation import normalise
from cv_attention.data.augmentation.random_bits import random_bits
from cv_attention.data.augmentation.transforms import Pipeline
from tests.quick import quick_first

PLACE = "data.train_transforms"
IMAGE = np.random.default_rng(0).integers(1, 256, (6, 8, 3), np.uint8)
DRAWS = 6_000

# Each list of steps, and how many different images it can make of one.
DISCRETE = {
    "pad and crop": ([{"Pad": {"padding": 1}}, {"RandomCrop": {"height": 6, "width": 8}}], 9),
    "crop": ([{"RandomCrop": {"height": 4, "width": 7}}], 6),
    "flip": (["HorizontalFlip"], 2),
    "rare flips": ([{"HorizontalFlip": {"p": 0.3}}, {"VerticalFlip": {"p": 0.9}}], 4),
    "reflected": (
        [{"Pad": {"padding": [2, 1], "border_mode": 4}}, {"RandomCrop": {"height": 7, "width": 12}}, "VerticalFlip"],
        4,
    ),
    "uneven": ([{"Pad": {"padding": [1, 0, 2, 3], "fill": 7}}, {"CenterCrop": {"height": 5, "width": 9}}], 1),
    "symmetric": ([{"Pad": {"padding": 2, "border_mode": 2}}, {"Pad": {"padding": 1, "border_mode": 1}}], 1),
    "cutout": (
        [
            {
                "CoarseDropout": {
                    "num_holes_range": [1, 1],
                    "hole_height_range": [4, 4],
                    "hole_width_range": [7, 7],
                    "p": 1,
                }
            }
        ],
        6,
    ),
    "holes of any size": (
        [{"CoarseDropout": {"hole_height_range": [5, 6], "hole_width_range": [7, 8], "fill": [1, 2, 3], "p": 0.5}}],
        10,
    ),
}


def counts(images: np.ndarray) -> dict[bytes, int]:
    values, numbers = np.unique(images.reshape(len(images), -1), axis=0, return_counts=True)
    return dict(zip((value.tobytes() for value in values), numbers.tolist(), strict=True))


def both(steps: list, number: int = DRAWS, image: np.ndarray = IMAGE) -> tuple[np.ndarray, np.ndarray]:
    pipeline = Pipeline(steps, PLACE)
    assert pipeline.batched is not None
    index = torch.arange(number)
    images = torch.from_numpy(image).expand(number, *image.shape)
    batched = pipeline.batched(images, 0, torch.zeros_like(index), index).numpy()
    return batched, np.stack([pipeline(image, (0, 0, i))[0] for i in range(number)])


@pytest.mark.parametrize(("steps", "outcomes"), quick_first(DISCRETE.values(), 3), ids=DISCRETE)
def test_the_same_images_come_out_equally_often(steps, outcomes):
    batched, single = map(counts, both(steps, DRAWS if outcomes > 1 else 10))
    assert batched.keys() == single.keys()
    assert len(batched) >= outcomes
    if len(batched) > 1:
        table = [[batched[key], single[key]] for key in batched]
        assert stats.chi2_contingency(table).pvalue > 1e-3


def test_holes_cover_alike():
    steps = [{"CoarseDropout": {"num_holes_range": [1, 3], "hole_height_range": [0.1, 0.4], "p": 1}}]
    batched, single = (images.any(-1) for images in both(steps, 3_000, np.full((20, 24, 3), 200, np.uint8)))
    assert stats.ks_2samp(batched.mean((1, 2)), single.mean((1, 2))).pvalue > 1e-3
    np.testing.assert_allclose(batched.mean(0), single.mean(0), atol=0.05)


@pytest.mark.parametrize(
    "step",
    [
        "ColorJitter",
        {"RandomCrop": {"height": 4, "width": 4, "p": 0.5}},
        {"RandomCrop": {"height": 4, "width": 4, "pad_if_needed": True}},
        {"CoarseDropout": {"fill": "random"}},
        {"Pad": {"padding": 1, "fill": [1, 2, 3]}},
    ],
)
def test_other_steps_are_left_to_albumentations(step):
    assert Pipeline(["HorizontalFlip", step], PLACE).batched is None


def test_bits_depend_on_seed_epoch_index_and_draw_alone():
    epoch, index = torch.tensor([0, 0, 1, 1, 3]), torch.tensor([0, 5, 0, 5, 70_000])
    bits = random_bits(7, epoch, index, 4)
    assert torch.equal(bits.flip(0), random_bits(7, epoch.flip(0), index.flip(0), 4))
    assert torch.equal(bits[:, :2], random_bits(7, epoch, index, 2))
    assert len(torch.cat([bits, random_bits(8, epoch, index, 4)]).unique()) == 40


def test_bits_are_uniform_and_independent():
    index = torch.arange(100_000)
    draws = (random_bits(0, torch.zeros_like(index), index, 3).double() / 2**32).numpy()
    others = (random_bits(0, torch.ones_like(index), index, 1).double() / 2**32).numpy()
    for column in range(3):
        assert stats.kstest(draws[:, column], "uniform").pvalue > 1e-3
    together = np.corrcoef(np.concatenate([draws, others, np.roll(draws, 1, 0)], 1).T)
    assert np.abs(together - np.eye(7)).max() < 0.015


def test_the_hash_is_splitmix64():
    def mix(z: int) -> int:
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    golden = 0x9E3779B97F4A7C15
    image = mix((mix((11 + 4 * golden) % 2**64) + 13) % 2**64)
    expected = [mix((image + number * golden) % 2**64) >> 32 for number in (1, 2)]
    assert random_bits(3, torch.tensor([11]), torch.tensor([13]), 2).tolist() == [expected]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("size", [(4, 3, 5, 7), (1, 1, 2, 2)])
def test_normalisation_is_the_plain_formula(channels_last, size):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    mean, std = (torch.rand(size[1], 1, 1, generator=generator) * 255 for _ in range(2))
    format = torch.channels_last if channels_last else torch.contiguous_format
    normal = normalise(images.contiguous(memory_format=format), mean, std)
    assert torch.equal(normal, (images - mean) / std)
    assert normal.is_contiguous(memory_format=format)


def test_a_crop_that_does_not_fit_is_named(tmp_path):
    import cv2

    for split in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(10):
                cv2.imwrite(str(tmp_path / split / name / f"{number}.png"), IMAGE)
    module = create(Data("folder", str(tmp_path), train_transforms=[{"RandomCrop": {"height": 9, "width": 8}}]))
    with pytest.raises(ValueError, match=r"data.train_transforms: a crop of 9×8 does not fit into images of 6×8"):
        module.setup()
