"""Keeps account of the relevance that does not reach the image."""

from collections import defaultdict
from collections.abc import Sequence

from torch import Tensor


class Ledger:
    """Sums up the relevance that functions take in and give out, of one image and one target.

    Attributes:
        kept: What is kept by each kind of function.
    """

    def __init__(self) -> None:
        self.kept: dict[str, float] = defaultdict(float)

    def enter(self, kind: str, values: Sequence[Tensor]) -> list[Tensor]:
        """Returns copies of the inputs of a function, whose relevance is subtracted from what `kind` keeps."""
        copies = [value.clone() for value in values]
        for copy in copies:
            self._count(kind, copy, -1.0)
        return copies

    def leave(self, kind: str, output: Tensor, part: Tensor | None = None) -> None:
        """Adds the relevance of an output, or of the constant `part` of it, to what `kind` keeps."""
        self._count(kind, output, 1.0, part)

    def add(self, kind: str, amounts: Tensor, sign: float = 1.0) -> None:
        """Adds amounts of relevance to what `kind` keeps."""
        self.kept[kind] += sign * float(amounts.double().sum())

    def _count(self, kind: str, value: Tensor, sign: float, part: Tensor | None = None) -> None:
        if value.requires_grad:
            weight = (value if part is None else part).detach().clone()
            value.register_hook(lambda g: self.add(kind, (weight * g).nan_to_num(0, 0, 0), sign))
