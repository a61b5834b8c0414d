"""Implements guided backpropagation (Springenberg et al., ICLR workshop 2015), https://arxiv.org/abs/1412.6806."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.gradient.gradients import Channels, join

_RELUS = {F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
_LIMITED = {F.hardtanh, F.hardtanh_}  # what `nn.ReLU6` calls, from 0 on


@explains
def guided_backprop(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    channels: Channels = "max_abs",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes the gradient, letting only positive gradients pass back through each ReLU.

    The maps are sharp, but largely reconstruct the image: they hardly change when the network's weights are randomised
    (Adebayo et al., 2018). ReLUs, and ReLU6, may be modules, functions, or used several times. The method is that of
    Springenberg et al. (ICLR workshop 2015), https://arxiv.org/abs/1412.6806.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images or targets, or if the model runs no ReLU.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.guided_backprop(model, images, targets=3).shape
        torch.Size([2, 1, 32, 32])
    """
    return join(guided_gradients(model, images, targets), channels)


def guided_gradients(model: nn.Module, images: Tensor, targets: Targets) -> Tensor:
    """Returns the gradient (B, T, C, H, W) of which only the positive part passes each ReLU; see `guided_backprop`."""
    mode = _Guide()
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        with mode:
            result = scores.gradient(scores.images)
        if not mode.seen:
            raise ValueError(f"{type(model).__name__} runs no ReLU, which guided backpropagation requires")
        return result


class _Guide(TorchFunctionMode):
    """Passes only positive gradients back to the output of a ReLU; the ReLU's own backward does the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in _RELUS or (func in _LIMITED and _least(args, kwargs or {}) == 0):
            self.seen += 1
            if output.requires_grad:
                output.register_hook(lambda g: g.clamp(min=0))
        return output


def _least(args: tuple, kwargs: dict[str, Any]) -> float:
    """Returns the lower limit of a call of `F.hardtanh`."""
    return kwargs.get("min_val", args[1] if len(args) > 1 else -1.0)
