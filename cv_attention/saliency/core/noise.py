"""Draws noise and masks that depend only on a seed."""

import torch
from torch import Tensor


class Source:
    """Draws random tensors that depend only on the seed, not on the device, the batch or the global random state.

    All images of a batch get the same numbers, so that the map of an image does not depend on the rest of the batch.

    Args:
        seed: The seed.
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
        """Returns an integer in 0..below - 1."""
        return int(torch.randint(below, (), generator=self.generator))


def span(images: Tensor) -> Tensor:
    """Returns maximum - minimum of each image, (B, 1, 1, 1), of volumes with one more axis."""
    inner = tuple(range(1, images.dim()))
    return images.amax(inner, keepdim=True) - images.amin(inner, keepdim=True)
