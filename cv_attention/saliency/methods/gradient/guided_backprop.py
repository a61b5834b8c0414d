"""Implements guided backpropagation (Springenberg et al., ICLR workshop 2015), https://arxiv.org/abs/1412.6806."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.gradient.gradients import Channels, join

_RELUS = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}


@explains
def guided_backprop(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    channels: Channels = "max_abs",
    batch_size: int | None = None,
) -> Tensor:
    """Computes the gradient, letting only positive gradients pass back through each ReLU.

    The maps are sharp, but largely reconstruct the image: they hardly change when the network's weights are randomised
    (Adebayo et al., 2018). ReLUs may be modules, functions, or used several times.
    Arguments as in `gradient`.

    Raises:
        ValueError: as for `gradient`, or if the model runs no ReLU.
    """
    mode = _Guide()
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        with mode:
            result = scores.gradient(scores.images)
        if not mode.seen:
            raise ValueError(f"{type(model).__name__} runs no ReLU, which guided backpropagation requires")
        return join(result, channels)


class _Guide(TorchFunctionMode):
    """Passes only positive gradients back to the output of a ReLU; the ReLU's own backward does the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in _RELUS:
            self.seen += 1
            if output.requires_grad:
                output.register_hook(lambda g: g.clamp(min=0))
        return output
