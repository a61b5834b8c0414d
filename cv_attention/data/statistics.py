"""Provides mean and standard deviation of the pixels of data sets."""

import torch

from cv_attention.config import Data
from cv_attention.data.sources.images import Stored

Statistics = tuple[float, float, float]

IMAGENET: tuple[Statistics, Statistics] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Of the pixels in [0, 1]: mean and standard deviation of red, green, blue. Others take ImageNet's.
_KNOWN: dict[str, tuple[Statistics, Statistics]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
DRAWN = ("cluttered_digits", "digit_strings")  # data sets that are drawn, not read


def statistics(config: Data, train: Stored) -> tuple[Statistics, Statistics]:
    """Returns mean and standard deviation of red, green and blue, of pixels in [0, 1].

    Args:
        config: The data set; its ``mean`` and ``std`` replace those of the images.
        train: The training images, which are measured where they are drawn.
    """
    mean, std = _measure(train) if config.name in DRAWN else _KNOWN.get(config.name, IMAGENET)
    return _triple(config.mean) or mean, _triple(config.std) or std


def _triple(values: list[float] | None) -> Statistics | None:
    return None if values is None else (values[0], values[1], values[2])


def _measure(images: Stored) -> tuple[Statistics, Statistics]:
    """Computes mean and standard deviation of grey images in memory, from exact counts, to four digits."""
    assert images.pixels is not None
    counts = torch.bincount(images.pixels[..., 0].flatten().int(), minlength=256).double()
    values = torch.arange(256).double() / 255
    mean = (counts * values).sum() / counts.sum()
    std = ((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt()
    m, s = round(float(mean), 4), round(float(std), 4)
    return (m, m, m), (s, s, s)
