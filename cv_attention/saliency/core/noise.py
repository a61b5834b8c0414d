"""Draws noise and masks that depend on a seed alone."""

import torch
from torch import Tensor


class Source:
    """Random tensors that depend on nothing but the seed: not on the device, the batch or the process's own state.

    All images of a batch get the same numbers, so that an image's map does not depend on its neighbours.

    Args:
        seed: Same seed, same numbers.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Returns standard normal numbers on the device and in the precision of `like`."""
        return torch.randn(shape, generator=self.generator).to(like)

    def uniform(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Returns numbers in [0, 1)."""
        return torch.rand(shape, generator=self.generator).to(like)

    def index(self, below: int) -> int:
        """Returns a whole number in 0..below - 1."""
        return int(torch.randint(below, (), generator=self.generator))
