"""Keeps account of the relevance that does not reach the image."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor


class Ledger:
    """Sums up, for each image, the relevance that functions take in and give out.

    Args:
        batch: Number of images.
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self._kept: dict[str, Tensor | float] = defaultdict(float)

    def kept(self) -> dict[str, Tensor]:
        """Returns what is kept by each kind of function, (B,)."""
        return {kind: value for kind, value in self._kept.items() if isinstance(value, Tensor)}

    def enter(self, kind: str, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns copies of the inputs of a function, whose relevance is subtracted from what `kind` keeps."""
        copies = []
        for value in values:
            copy = value.clone()
            self._count(kind, copy, -1.0)
            copies.append(copy)
        return copies

    def leave(self, kind: str, output: Tensor, part: Tensor | None = None) -> None:
        """Adds the relevance of an output, or of the constant `part` of it, to what `kind` keeps."""
        self._count(kind, output, 1.0, part)

    def add(self, kind: str, amounts: Tensor, sign: float = 1.0) -> None:
        """Adds amounts of relevance, whose positions belong to the images in order, to what `kind` keeps."""
        self._kept[kind] = self._kept[kind] + sign * self._per_image(amounts)

    def _count(self, kind: str, value: Tensor, sign: float, part: Tensor | None = None) -> None:
        if value.requires_grad:
            weight = (value if part is None else part).detach().clone()
            value.register_hook(lambda g: self.add(kind, (weight * g).nan_to_num(0, 0, 0), sign))

    def _per_image(self, amounts: Tensor) -> Tensor:
        """Sums (B, ...), (tokens, B, ...) or (B * windows, ...) to (B,); anything else is divided equally."""
        if amounts.dim() and len(amounts) == self.batch:
            return amounts.double().flatten(1).sum(1) if amounts.dim() > 1 else amounts.double()
        if amounts.dim() == 3 and amounts.shape[1] == self.batch:
            return amounts.double().sum((0, 2))
        if amounts.dim() and len(amounts) % self.batch == 0:
            return amounts.double().reshape(self.batch, -1).sum(1)
        return torch.full((self.batch,), float(amounts.double().sum()) / self.batch, dtype=torch.double)
