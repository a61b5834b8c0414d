"""Replaces the gates of a trained network at test: does it use what they say of each image?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap
from cv_attention.suggest import suggest

_GATES = ("channel", "spatial", "joint")


def gate_means(model: nn.Module, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Returns the mean of every gate of a network over images, in evaluation mode; the network stays as it is.

    Gates over positions keep them, so all images must have the same size.

    Args:
        model: The network.
        batches: Images (B, C, H, W), such as those of the validation split.

    Returns:
        Name of an attention map that is a gate (of the kind ``channel``, ``spatial`` or ``joint``) -> its mean
        (1, C, 1, 1), (1, 1, H, W) or (1, C, H, W).

    Raises:
        ValueError: if the network has no gate, or there are no images.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.blocks.controls import gate_means
        >>> network = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> _ = cva.insert(network, "se")
        >>> means = gate_means(network, [torch.randn(2, 3, 16, 16)])
        >>> len(means), next(iter(means.values())).shape
        (9, torch.Size([1, 4, 1, 1]))
    """
    training, images = model.training, 0
    with gates_averaged(model) as means:
        model.eval()
        try:
            with torch.no_grad():
                for batch in batches:
                    model(batch)
                    images += len(batch)
        finally:
            model.train(training)
    if not images:
        raise ValueError("gate_means needs images, got no batch")
    return means


@contextmanager
def gates_averaged(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Averages the gates of a network over all images that pass it while the context lasts, however it is called.

    `gate_means` is this for networks that are called with images alone, in evaluation mode.

    Args:
        model: The network; its mode stays as it is.

    Returns:
        A context manager. It yields a dictionary that is filled at the end of the context with what `gate_means`
        returns; a gate that was not called is missing.

    Raises:
        ValueError: if the network has no gate.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.blocks.controls import gates_averaged
        >>> network = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> _ = cva.insert(network, "se")
        >>> with gates_averaged(network) as means, torch.no_grad():
        ...     _ = network(torch.randn(2, 3, 16, 16))
        >>> len(means)
        9
    """
    sums: dict[str, Tensor] = {}
    counts: Counter[str] = Counter()
    means: dict[str, Tensor] = {}
    handles = [map.register_forward_hook(partial(_add, sums, counts, name)) for name, map in _gates(model).items()]
    try:
        yield means
    finally:
        for handle in handles:
            handle.remove()
    means.update((name, total / counts[name]) for name, total in sums.items())


@contextmanager
def gates_replaced(
    model: nn.Module, means: Mapping[str, Tensor] | None = None, at: Iterable[str] | None = None
) -> Iterator[None]:
    """Replaces gates of a network while the context lasts: by their means, or by those of other images of the batch.

    The drop of the accuracy says how much the trained network uses what its gates say of each image; nothing is trained
    for it. With the gates of one site at a time it says which site matters.

    Args:
        model: The network.
        means: What `gate_means` returns; None takes, for image i, the gate of image i - B // 2 of the batch.
        at: Names of the gates to replace; None replaces all.

    Returns:
        A context manager, which puts the gates back.

    Raises:
        ValueError: if the network has no such gate, or `means` lacks it.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.blocks.controls import gate_means, gates_replaced
        >>> network = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> _ = cva.insert(network, "se")
        >>> images = torch.randn(2, 3, 16, 16)
        >>> means = gate_means(network, [images])
        >>> for site in means:
        ...     with gates_replaced(network, means, [site]):
        ...         logits = network(images)
    """
    maps = _gates(model)
    wanted = list(maps) if at is None else list(at)
    for name in wanted:
        if name not in maps:
            raise ValueError(f"{name!r} is not a gate of the network{suggest(name, maps)}")
        if means is not None and name not in means:
            raise ValueError(f"means has no gate {name!r}")
    replacements = {name: None if means is None else means[name] for name in wanted}
    handles = [maps[name].register_forward_hook(partial(_replaced, mean)) for name, mean in replacements.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def has_gates(model: nn.Module) -> bool:
    """Returns whether a network has a gate that `gates_replaced` can replace.

    Args:
        model: The network.

    Returns:
        True if it has an attention map of the kind ``channel``, ``spatial`` or ``joint``.

    Examples:
        >>> import cv_attention as cva
        >>> from cv_attention.blocks.controls import has_gates
        >>> network = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> has_gates(network)
        False
        >>> _ = cva.insert(network, "se")
        >>> has_gates(network)
        True
    """
    return bool(_found(model))


def _found(model: nn.Module) -> dict[str, AttentionMap]:
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, AttentionMap) and module.kind in _GATES
    }


def _gates(model: nn.Module) -> dict[str, AttentionMap]:
    found = _found(model)
    if not found:
        raise ValueError(f"{type(model).__name__} has no gate: an attention map of the kind {', '.join(_GATES)}")
    return found


def _add(sums: dict[str, Tensor], counts: Counter[str], name: str, _: nn.Module, __: Any, gate: Tensor) -> None:
    counts[name] += len(gate)
    wide = torch.promote_types(gate.dtype, torch.float32)  # a sum of thousands of half-precision gates would not grow
    total = gate.detach().sum(0, keepdim=True, dtype=wide)
    sums[name] = sums[name] + total if name in sums else total


def _replaced(mean: Tensor | None, _: nn.Module, __: Any, gate: Tensor) -> Tensor:
    if mean is None:
        return gate.roll(max(1, len(gate) // 2), 0)
    return mean.to(gate).expand_as(gate)
