"""Remembers what a saliency map explains: the method, the targets, and the layers found."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from cv_attention.saliency.core.targets import Difference, Targets, each_target


@dataclass
class Notes:
    """Collects what a method uses while it runs: layers and the sizes of their maps, and links."""

    layers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)


_notes: ContextVar[Notes | None] = ContextVar("what the running method uses", default=None)
_known = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Explanation:
    """Says what a saliency map explains.

    Attributes:
        method: Name of the method.
        targets: What is explained, in words, one for each target.
        layers: Layer -> height and width of its map, of methods that use layers; the automatic one, too.
        link: What turned the model's output into the number that was followed: ``softmax``, ``sigmoid``, or
            ``identity`` for the score itself.
    """

    method: str
    targets: tuple[str, ...]
    layers: Mapping[str, tuple[int, ...]]
    link: str = "identity"


def explanation(heat: Tensor) -> Explanation:
    """Returns what a saliency map explains: method, targets, the layers that were used, and the link.

    Args:
        heat: What a method of `cv_attention.saliency` returned, or a tensor that a measure of it returned, such as the
            `auc` of `deletion_auc`; itself, not a copy or a part of it.

    Returns:
        An `Explanation`: the method's name, the targets in words, layer -> size of its map, and the link.

    Raises:
        ValueError: for a tensor that no method returned.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> heat = cva.saliency.grad_cam(model, torch.randn(2, 3, 32, 32), 3)
        >>> why = cva.saliency.explanation(heat)
        >>> why.method, why.targets, dict(why.layers)
        ('grad_cam', ('class 3',), {'layer3': (8, 8)})
    """
    found = _known.get(heat) if isinstance(heat, Tensor) else None
    if found is None:
        raise ValueError("explanation takes what a saliency method or measure returned, itself, not a copy of it")
    return found


def note_layer(name: str, size: tuple[int, ...]) -> None:
    """Notes a layer that the running method uses, and the size of its map."""
    notes = _notes.get()
    if notes is not None:
        notes.layers[name] = size


def note_link(link: str) -> None:
    """Notes what the running method or measure makes of the model's output."""
    notes = _notes.get()
    if notes is not None and link not in notes.links:
        notes.links.append(link)


@contextmanager
def noted() -> Iterator[Notes]:
    """Collects what a method uses."""
    notes = Notes()
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def remember(heat: Tensor, method: str, targets: Targets, notes: Notes) -> None:
    """Remembers what a map explains, as long as it exists."""
    words = tuple(describe(target) for target in each_target(targets))
    layers, link = MappingProxyType(dict(notes.layers)), " and ".join(notes.links) or "identity"
    _known[heat] = Explanation(method, words, layers, link)


def describe(target: Any) -> str:
    """Returns a single target in words."""
    if target is None or isinstance(target, str):
        return "the predicted class"
    if isinstance(target, Difference):
        return f"{describe(target.first)} rather than {describe(target.second)}"
    if callable(target):
        own = type(target).__str__ is not object.__str__ and not hasattr(target, "__name__")
        return str(target) if own else getattr(target, "__name__", type(target).__name__)
    classes = target.tolist() if hasattr(target, "tolist") else target  # of torch and of NumPy
    return f"class {classes}" if isinstance(classes, int) else f"classes {', '.join(map(str, classes))}"
