"""Implements Ablation-CAM (Desai and Ramaswamy, WACV 2020), https://ieeexplore.ieee.org/document/9093360."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import bare_modules
from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.outputs.results import Result
from cv_attention.saliency.core.places.layouts import Grid, Layout
from cv_attention.saliency.core.scores import Scorer, scorer
from cv_attention.saliency.core.targets import Targets


@explains
def ablation_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int = 64,
) -> Tensor:
    """Weights each channel by the drop of the score without it: relu(sum_c (y - y_c) / y A_c), y_c with A_c zeroed.

    Paper: Ablation-CAM (Desai and Ramaswamy, WACV 2020), https://ieeexplore.ieee.org/document/9093360.

    The part before the layer runs once per image and chunk of channels, if the part after it accepts a larger batch
    than the input. Costs a partial forward pass, from the layer on, for each channel and image.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass; a callable
            receives single images' logits (1, classes), repeatedly.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last map of the image.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass.

    Returns:
        (B, T, H, W) float32, at least 0.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.ablation_cam(model, images, targets=3, batch_size=32).shape
        torch.Size([2, 1, 32, 32])
    """
    seen = trace(model, images, targets, layers, layout=layout, gradients=False)
    heats = []
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:
        modules = bare_modules(scores.model)
        clean = scores.clean()
        for name, activations in seen.activations.items():
            ablation = _Ablation(scores, modules[name], seen.layouts[name])
            without = torch.stack([ablation.scores_without(len(a), i) for i, a in enumerate(activations)])
            safe = torch.where(clean == 0, 1e-7, clean)[:, None]
            weights = (safe - without) / safe
            heats.append(torch.einsum("bct,bc...->bt...", weights, activations.float()).relu())
        return fuse(heats, images, upsample)


class _Ablation:
    """Runs a model without single channels of one module."""

    def __init__(self, scores: Scorer, module: nn.Module, layout: Callable[[Tensor], Tensor]) -> None:
        self.scores, self.module, self.layout = scores, module, layout

    def scores_without(self, channels: int, number: int) -> Tensor:
        """Returns the scores (C, T) of image `number` without each of the module's channels."""
        image = self.scores.images[number : number + 1]
        part = slice(number, number + 1)
        rows = []
        for start in range(0, channels, self.scores.chunk):
            some = list(range(start, min(start + self.scores.chunk, channels)))
            rows += [self.scores.of(result, part=part) for result in self._run(image, some, part)]
        return torch.cat(rows)

    def _run(self, image: Tensor, channels: list[int], part: slice) -> list[Result]:
        """Returns what the model makes of one `image`, each time with another of the `channels` zeroed."""
        with self._ablated(channels):
            try:
                result = self._forward(image, len(channels), part)
            except (RuntimeError, ValueError):  # concatenates with or reshapes to the input batch size
                result = self._forward(image.expand(len(channels), *image.shape[1:]), len(channels), part)
        split = result.split(1)
        return [self._run(image, [channel], part)[0] for channel in channels] if split is None else split

    def _forward(self, images: Tensor, count: int, part: slice) -> Result:
        result = replace(self.scores.forward(images, part), batch=count)
        if isinstance(result.value, Tensor) and len(result.value) != count:
            raise ValueError(f"{result.model} returns {len(result.value)} outputs for {count} images")
        return result

    @contextmanager
    def _ablated(self, channels: list[int]) -> Iterator[None]:
        thread = threading.get_ident()

        def ablate(_: nn.Module, args: object, given: Tensor) -> Tensor:
            if threading.get_ident() != thread:
                return given
            if len(given) not in (1, len(channels)):
                raise ValueError(
                    f"ablation_cam needs a layer whose output has an entry for each image, got {tuple(given.shape)}"
                )
            return self._without(given[:1], channels)

        handle = self.module.register_forward_hook(ablate)
        try:
            yield
        finally:
            handle.remove()

    def _without(self, given: Tensor, channels: list[int]) -> Tensor:
        """Returns copies of an output (1, ...), each with another channel zeroed, of tokens also outside the grid."""
        result = given.repeat(len(channels), *[1] * (given.dim() - 1))
        if isinstance(self.layout, Grid):
            result.movedim(self.layout.axis, 1)[range(len(channels)), channels] = 0
            return result
        places = self.layout(torch.arange(given.numel(), device=given.device).view_as(given))[0]
        for row, channel in zip(result.flatten(1), channels, strict=True):
            row[places[channel].flatten()] = 0
        return result
