"""Holds what a model returned for a batch: a tensor of any rank, a dict, a tuple, a ModelOutput or a list."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


def bare_logits(output: Any) -> Any:
    """Returns the logits of a Hugging Face classifier's output; other outputs are returned unchanged."""
    return getattr(output, "logits", output)


@dataclass(frozen=True)
class Result:
    """Holds what a model returned for a batch.

    Attributes:
        value: What it returned.
        batch: Number of images.
        model: Name of the model's class, for errors.
    """

    value: Any
    batch: int
    model: str = "the model"

    @property
    def has_logits(self) -> bool:
        """Returns whether there are logits (batch, classes)."""
        logits = bare_logits(self.value)
        return isinstance(logits, Tensor) and logits.dim() == 2 and len(logits) == self.batch

    @property
    def logits(self) -> Tensor:
        """Returns the output, or its `logits`, of shape (batch, classes); raises ValueError if there are none."""
        logits = bare_logits(self.value)
        if self.has_logits:
            return logits
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ValueError(
            f"{self.model} must return logits ({self.batch}, classes) for {self.batch} images, got {got}; for other "
            "outputs give a callable as targets, see cv_attention.saliency.targets"
        )

    def split(self, batch: int) -> "list[Result] | None":
        """Splits a tensor with one entry per image into batches; returns None if the output is something else."""
        if batch == self.batch:
            return [self]
        if not isinstance(self.value, Tensor) or not self.value.dim() or len(self.value) != self.batch:
            return None
        return [Result(part, len(part), self.model) for part in self.value.split(batch)]

    def detached(self) -> "Result":
        """Returns the same with a detached tensor; other outputs are returned as they are."""
        value = self.value.detach() if isinstance(self.value, Tensor) else self.value
        return Result(value, self.batch, self.model)
