"""Implements targets on rows of numbers: classes, labels, values, and characters of a text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cv_attention.saliency.core.outputs.links import Link, apply, usual
from cv_attention.saliency.core.targets import Difference, Target
from cv_attention.saliency.targets.outputs import Key, as_indices, cut, pick

_LOGITS = ("logits", "out")


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of each image's row of outputs (B, outputs), or of the rows of one step (B, steps, outputs)."""

    index: Any
    key: Key
    kind: str
    step: Any = None

    def _rows(self, output: Any) -> Tensor:
        dims = (2,) if self.step is None else (3,)
        if self.kind == "regression":
            dims = (1, 2)
        rows = pick(output, self.key, _LOGITS, dims, self.kind)
        if rows.dim() == 1:
            rows = rows[:, None]
        if self.step is not None:
            rows = rows[torch.arange(len(rows), device=rows.device), self._checked(self.step, rows, "step")]
        return rows

    def _checked(self, index: Any, rows: Tensor, name: str) -> Tensor:
        indices = torch.as_tensor(index, device=rows.device).expand(len(rows))
        if bool((indices < 0).any() | (indices >= rows.shape[1]).any()):
            raise ValueError(f"{self.kind}: {name} must be in 0..{rows.shape[1] - 1}, got {indices.unique().tolist()}")
        return indices

    def _entry(self, rows: Tensor) -> Tensor:
        return rows.gather(1, self._checked(self.index, rows, "index")[:, None])[:, 0]

    def __call__(self, output: Any) -> Tensor:
        """Computes the scores (B,)."""
        return self._entry(self._rows(output))

    def link(self, output: Any) -> Link:
        """Returns what turns the output into the quantity that perturbation methods follow."""
        own: dict[str, Link] = {"regression": "identity", "multi_label": "sigmoid"}
        return own.get(self.kind) or usual(self._rows(output))

    def linked(self, output: Any, link: Link) -> Tensor:
        """Computes what perturbation methods follow, (B,): softmax, sigmoid, or the value itself."""
        return self._entry(apply(self._rows(output).float(), link))

    def of_part(self, part: slice, batch: int) -> "Entry":
        """Returns the target of the images in `part` of a batch."""
        return replace(self, index=cut(self.index, part, batch, 0), step=cut(self.step, part, batch, 0))

    def __str__(self) -> str:
        """Returns the target in words."""
        index = self.index.tolist() if isinstance(self.index, Tensor) else self.index
        step = self.step.tolist() if isinstance(self.step, Tensor) else self.step
        words = {"class_score": "class", "multi_label": "label", "regression": "value", "character": "character"}
        return f"{words[self.kind]} {index}" + ("" if step is None else f" at step {step}")


def class_score(index: int | Sequence[int] | Tensor, *, key: Key = None) -> Entry:
    """Defines the logit of a class as the target, also of models that return several outputs.

    Args:
        index: Class, or one for each image, (B,).
        key: Entry of a dict, tuple or ModelOutput that holds the logits (B, classes); None uses the tensor itself,
            or ``logits``. Perturbation methods follow the softmax, of a single logit the sigmoid.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> kind = cva.saliency.targets.class_score(2, key="kind")
        >>> kind({"kind": torch.tensor([[0.0, 1.0, 5.0]]), "colour": torch.zeros(1, 4)})
        tensor([5.])
    """
    return Entry(as_indices(index, "index"), key, "class_score")


def difference(first: Target, second: Target) -> Difference:
    """Defines the target "`first` rather than `second`": the difference of two scores.

    Args:
        first: Any single target.
        second: The target to compare with.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Examples:
        >>> import torch
        >>> from cv_attention.saliency.targets import class_score, difference
        >>> difference(class_score(0), class_score(1))(torch.tensor([[3.0, 1.0]]))
        tensor([2.])
    """
    return Difference(first, second)


def multi_label(index: int | Sequence[int] | Tensor, *, key: Key = None) -> Entry:
    """Defines a label of a multi-label classifier as the target: its logit; perturbations follow its sigmoid.

    Args:
        index: Label, or one for each image, (B,).
        key: Entry of a dict, tuple or ModelOutput that holds the logits (B, labels).

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> dog = cva.saliency.targets.multi_label(1)
        >>> dog(torch.tensor([[4.0, 0.0]])), dog.linked(torch.tensor([[4.0, 0.0]]), "sigmoid")
        (tensor([0.]), tensor([0.5000]))
    """
    return Entry(as_indices(index, "index"), key, "multi_label")


def regression(index: int | Sequence[int] | Tensor = 0, *, key: Key = None) -> Entry:
    """Defines a predicted value as the target; perturbations follow it as it is.

    Args:
        index: Which of the values (B, values); outputs (B,) have one.
        key: Entry of a dict, tuple or ModelOutput that holds them.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> cva.saliency.targets.regression()(torch.tensor([[61.5]]))  # an age
        tensor([61.5000])
    """
    return Entry(as_indices(index, "index"), key, "regression")


def character(step: int | Sequence[int] | Tensor, index: int | Sequence[int] | Tensor, *, key: Key = None) -> Entry:
    """Defines a character that a reader of text writes as the target: its logit at one step.

    Args:
        step: Position in the text, or one for each image, (B,).
        index: Which of the outputs: the character's number, or one for each image, (B,).
        key: Entry of a dict, tuple or ModelOutput that holds the logits (B, steps, outputs). Perturbation methods
            follow the softmax of the step.

    Returns:
        The target, a callable from what the model returns to scores (B,).

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> logits = torch.randn(2, 8, 11)  # two images, eight steps, ten digits and the end
        >>> fourth = cva.saliency.targets.character(3, logits[:, 3].argmax(1))
        >>> torch.equal(fourth(logits), logits[:, 3].amax(1))
        True
    """
    return Entry(as_indices(index, "index"), key, "character", as_indices(step, "step"))
