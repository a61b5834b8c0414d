"""Which part of an image the network sees, against pictures whose pixels tell where they come from."""

import numpy as np
import pytest

from cv_attention.data.augmentation.regions import region_of
from cv_attention.data.augmentation.transforms import Pipeline


def traced(steps: list, height: int, width: int, size: tuple[int, int]):
    """The region, and where the corners of what the network sees come from, read off the pixels."""
    across, down = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    image = np.stack([across, down, np.full_like(down, 255)], 2).round().astype(np.uint8)
    pipeline = Pipeline(steps, "data.eval_transforms", boxes=True)
    region = region_of(image, pipeline, size)
    seen = pipeline.with_boxes(image, (0, 0, 0), np.empty((0, 4), np.float32))[0] if steps else image
    inside = seen[..., 2] > 200  # not padding
    return region, seen[inside][:, :2].min(0) / 250, seen[inside][:, :2].max(0) / 250


@pytest.mark.parametrize(
    ("height", "width", "steps"),
    [
        (100, 100, []),
        (240, 320, [{"ResizeAndCrop": {"resize": 128, "crop": [112, 112]}}]),
        (500, 300, [{"ResizeAndCrop": {"resize": [128, 128], "crop": [112, 112], "fit": "squash"}}]),
        (300, 500, [{"Resize": {"height": 64, "width": 64}}, {"CenterCrop": {"height": 32, "width": 48}}]),
    ],
)
def test_corners_come_from_where_the_region_says(height, width, steps):
    region, low, high = traced(steps, height, width, (96, 96))
    np.testing.assert_allclose(region, [*low, *high], atol=0.02)


def test_padding_reaches_beyond_the_image():
    steps = [{"ResizeAndCrop": {"resize": [64, 64], "crop": [64, 64], "fit": "border"}}]
    region, low, high = traced(steps, 100, 200, (64, 64))
    np.testing.assert_allclose(region, [0, -0.5, 1, 1.5], atol=0.02)
    np.testing.assert_allclose([*low, *high], [0, 0, 1, 1], atol=0.05)


def test_mirrored_images_have_none():
    assert traced([{"HorizontalFlip": {"p": 1.0}}], 64, 64, (64, 64))[0] is None
