"""Draws random numbers for a whole batch on any device, keyed by their purpose."""

import torch
from torch import Tensor

BITS = 32
_GOLDEN = 0x9E3779B97F4A7C15


def random_bits(seed: int, epoch: Tensor, index: Tensor, draws: int) -> Tensor:
    """Draws 32 random bits `draws` times for each image: a hash of (seed, epoch, index, number of the draw).

    The hash is SplitMix64's (Steele et al., OOPSLA 2014, https://doi.org/10.1145/2660193.2660195), whose 64-bit
    products int64 tensors compute identically on every device.

    Args:
        seed: Any whole number.
        epoch: int64 (B,).
        index: int64 (B,), index of each image.
        draws: Number of draws per image.

    Returns:
        int64 (B, draws), values in [0, 2**32).
    """
    image = _mix(_mix(epoch + _signed((seed + 1) * _GOLDEN)) + index)
    number = torch.arange(1, draws + 1, device=index.device) * _signed(_GOLDEN)
    return _shift(_mix(image[:, None] + number), 64 - BITS)


def below(bits: Tensor, count: int | Tensor) -> Tensor:
    """Converts 32 random bits to integers, uniform in [0, count)."""
    return (bits * count) >> BITS


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shift(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shift(z, 31)


def _shift(z: Tensor, places: int) -> Tensor:
    """Shifts right without sign extension."""
    return (z >> places) & (2 ** (64 - places) - 1)


def _signed(number: int) -> int:
    number &= 2**64 - 1
    return number - 2**64 if number >= 2**63 else number
