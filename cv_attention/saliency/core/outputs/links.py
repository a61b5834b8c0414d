"""Turns a model's output into the quantity that perturbation methods and measures follow."""

from typing import Any, Literal, Protocol, get_args, runtime_checkable

from torch import Tensor

from cv_attention.saliency.core.outputs.explanation import note_link
from cv_attention.saliency.core.outputs.results import Result
from cv_attention.saliency.core.targets import Difference, Target, target_scores

Link = Literal["softmax", "sigmoid", "identity"]


@runtime_checkable
class Linked(Protocol):
    """A callable target that says what turns its output into a quantity."""

    def link(self, output: Any) -> Link:
        """Returns the link that fits the output."""
        ...

    def linked(self, output: Any, link: Link) -> Tensor:
        """Computes the quantity (B,) of an output."""
        ...


def check_link(link: Any) -> Link | None:
    """Returns a link, or None; raises ValueError for anything else."""
    if link is None or link in get_args(Link):
        return link
    raise ValueError(f"link must be 'softmax', 'sigmoid', 'identity' or None, got {link!r}")


def quantity(output: Result | Tensor, target: Target, link: Link | None = None) -> Tensor:
    """Returns what perturbation methods and measures follow for a single target: (B,) float32.

    Args:
        output: What the model returned.
        target: A single target.
        link: What turns logits into the quantity. None leaves the choice to the target: for classes the softmax over
            the logits, of a single logit the sigmoid; for a callable its scores as they are, unless it has a link.

    Raises:
        ValueError: if the softmax is asked of a single logit, or of a callable that has no classes.
    """
    result = output if isinstance(output, Result) else Result(output, len(output))
    if isinstance(target, Difference):
        return quantity(result, target.first, link) - quantity(result, target.second, link)
    if isinstance(target, Linked):
        link = target.link(result.value) if link is None else link
        note_link(link)
        return target_scores(result, lambda value: target.linked(value, link).float())
    if callable(target):
        link = "identity" if link is None else link
        if link == "softmax":
            raise ValueError("link='softmax' needs classes or logits, but a callable returns one score per image")
        note_link(link)
        scores = target_scores(result, target).float()
        return scores.sigmoid() if link == "sigmoid" else scores
    logits = result.logits.float()
    link = usual(logits) if link is None else link
    note_link(link)
    return target_scores(apply(logits, link), target)


def usual(rows: Tensor) -> Link:
    """Returns the link of logits (B, classes, ...): the sigmoid of a single one, which the softmax would make 1."""
    return "softmax" if rows.shape[1] > 1 else "sigmoid"


def apply(rows: Tensor, link: Link) -> Tensor:
    """Applies a link to logits (B, classes, ...).

    Raises:
        ValueError: for the softmax of a single logit, which is 1 for every image.
    """
    if link == "softmax":
        if rows.shape[1] < 2:
            raise ValueError("link='softmax' needs at least two outputs, got 1, whose softmax is always 1")
        return rows.softmax(1)
    return rows.sigmoid() if link == "sigmoid" else rows
