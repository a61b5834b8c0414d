"""Implements FullGrad (Srinivas and Fleuret, NeurIPS 2019), https://arxiv.org/abs/1905.00780."""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.relevance._functions import Functions, Through, depends, names


@explains
def full_grad(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    rescale: Literal["layer", "channel"] = "layer",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Sums the contributions of the input and of all biases to the score: psi(g x) and psi(g_l b_l) over layers l.

    Paper: FullGrad (Srinivas and Fleuret, NeurIPS 2019), https://arxiv.org/abs/1905.00780.

    psi takes the absolute value, scales it to [0, 1] and resizes it to the image. Biases are those of convolutions, of
    BatchNorms, the latter including the normalisation: beta - mean gamma / sqrt(var + eps), and constants that are
    added to a feature map; each call counts, whatever module makes it. The decomposition is complete for networks of
    such layers, ReLUs and linear heads; contributions of gates, SiLU and LayerNorm are not included. Costs a forward
    pass and a full backward pass.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        rescale: ``"layer"`` scales the channels of a layer together, as the authors' code does; ``"channel"`` scales
            each separately, as pytorch-grad-cam does.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0.

    Raises:
        ValueError: for bad images or targets, if the model does not return logits, or if no convolution or BatchNorm
            has a bias.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.full_grad(model, images, targets=3)
        >>> heat.shape, bool((heat >= 0).all())
        (torch.Size([2, 1, 32, 32]), True)
    """
    if rescale not in ("layer", "channel"):
        raise ValueError(f"rescale must be 'layer' or 'channel', got {rescale!r}")
    check_images(images, "full_grad")
    entries, inputs = collect(model, images, targets, lambda share: _psi(share, images, rescale))
    return torch.stack([_psi(share, images, rescale) for share in inputs.unbind(1)], 1)[:, :, 0] + sum(entries)


def collect(
    model: nn.Module, images: Tensor, targets: Targets, of: Callable[[Tensor], Tensor]
) -> tuple[list[Tensor], Tensor]:
    """Returns what `of` makes of each bias's share of the scores, and the shares of the images.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: See `full_grad`.
        of: From the shares (B, C, h, w) of a function's biases to a tensor (B, 1, ...); others than of feature maps
            are left out.

    Returns:
        (B, T, ...) for each function with biases on the way to the scores, and (B, T, C, H, W).
    """
    mode = Biases(of)
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        scores.model = Through(scores.model, mode)
        inputs = scores.gradient(scores.images) * scores.images.float().unsqueeze(1)
        if not mode.entries:
            name = type(unwrap(model)).__name__
            raise ValueError(f"{name} has no convolution or BatchNorm with a bias, which FullGrad needs")
        return [torch.cat(entry, 1) for entry in mode.entries if entry], inputs


class Biases(Functions):
    """Watches the biases of convolutions, BatchNorms and sums with a constant, by whatever module they are called.

    Args:
        of: Reduces the shares of a function's biases, (B, C, h, w).

    Attributes:
        entries: For each function, what `of` made of its shares, for each target; empty if off the way to the scores.
    """

    def __init__(self, of: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.of = of
        self.entries: list[list[Tensor]] = []
        self.rules = (
            dict.fromkeys(("conv2d", "conv_transpose2d"), self._convolution)
            | dict.fromkeys(names("add", "sub"), self._sum)
            | {"batch_norm": self._batch_norm}
        )

    def _watch(self, y: Tensor, bias: Tensor) -> Tensor:
        if y.dim() == 4:
            entry, bias = [], bias.detach().float()
            self.entries.append(entry)
            y.register_hook(lambda g: entry.append(self.of(g.float() * bias)))
        return y

    def _convolution(
        self, func: Callable, x: Tensor, weight: Tensor, bias: Any = None, *rest: Any, **options: Any
    ) -> Tensor:
        bias = options.pop("bias", bias)
        y = func(x, weight, bias, *rest, **options)
        return y if bias is None else self._watch(y, bias[:, None, None])

    def _batch_norm(
        self, func: Callable, x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *rest: Any
    ) -> Tensor:
        y = func(x, weight, bias, mean, var, training, *rest)
        if training or mean is None:
            return y
        shift = (0 if bias is None else bias) - mean * (1 if weight is None else weight) / torch.sqrt(var + rest[1])
        return self._watch(y, shift[:, None, None])

    def _sum(self, func: Callable, a: Any, b: Any, *rest: Any, **options: Any) -> Tensor:
        y = func(a, b, *rest, **options)
        if depends(a) and depends(b):
            return y
        constant = torch.as_tensor(b if depends(a) else a, device=y.device) * options.get("alpha", 1)
        second = depends(a) and "rsub" not in func.__name__
        return self._watch(y, -constant if second and "sub" in func.__name__ else constant)


def _psi(share: Tensor, images: Tensor, rescale: str) -> Tensor:
    over = (1, 2, 3) if rescale == "layer" else (2, 3)
    share = share.abs()
    share = share - share.amin(over, keepdim=True)
    share = share / (share.amax(over, keepdim=True) + 1e-7)
    resized = F.interpolate(share, images.shape[2:], mode="bilinear", align_corners=False)
    return resized.sum(1, keepdim=True)
