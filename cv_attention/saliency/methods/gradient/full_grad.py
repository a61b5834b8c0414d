"""Implements FullGrad (Srinivas and Fleuret, NeurIPS 2019), https://arxiv.org/abs/1905.00780."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.maps.wrappers import bare_modules, unwrap
from cv_attention.saliency.core.engine import check_images, trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets


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

    psi takes the absolute value, scales it to [0, 1] and resizes it to the image. Biases are those of convolutions and
    of BatchNorms, the latter including the normalisation: beta - mean gamma / sqrt(var + eps). The decomposition is
    complete for networks of such layers, ReLUs and linear heads; contributions of gates, SiLU and LayerNorm are not
    included. Costs a forward pass and a full backward pass, and keeps the outputs of all such layers.

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
    biases = {}
    for name, module in bare_modules(model).items():
        bias = _bias(module)
        if bias is not None and name:
            biases[name] = bias
    if not biases:
        raise ValueError(f"{type(model).__name__} has no convolution or BatchNorm with a bias, which FullGrad needs")
    bare = unwrap(model)
    with undisturbed(bare, images.device.type):
        seen = trace(_Entrance(bare), images, targets, ["entrance", *(f"model.{name}" for name in biases)])
    shares: dict[str, Tensor] = {f"model.{name}": bias for name, bias in biases.items()}
    with torch.no_grad():
        shares["entrance"] = images.float()
        totals = [
            torch.stack([_psi(g.float() * shares[name], images, rescale) for name, g in gradients.items()]).sum(0)
            for gradients in seen.gradients
        ]
        return torch.cat(totals, 1)


class _Entrance(nn.Module):
    """Puts an identity before the model, at which the gradient of the image is taken."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.entrance = nn.Identity()
        self.model = model

    def forward(self, images: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Returns what the model returns."""
        return self.model(self.entrance(images), *args, **kwargs)


@torch.no_grad()
def _bias(module: nn.Module) -> Tensor | None:
    """Returns the bias of a layer, (C, 1, 1), or None."""
    if isinstance(module, nn.BatchNorm2d) and module.bias is not None and module.running_mean is not None:
        assert module.running_var is not None
        shift = module.running_mean * module.weight / torch.sqrt(module.running_var + module.eps)
        return (module.bias - shift).float()[:, None, None]
    if isinstance(module, nn.Conv2d) and module.bias is not None:
        return module.bias.float()[:, None, None]
    return None


def _psi(share: Tensor, images: Tensor, rescale: str) -> Tensor:
    over = (1, 2, 3) if rescale == "layer" else (2, 3)
    share = share.abs()
    share = share - share.amin(over, keepdim=True)
    share = share / (share.amax(over, keepdim=True) + 1e-7)
    resized = F.interpolate(share, images.shape[2:], mode="bilinear", align_corners=False)
    return resized.sum(1, keepdim=True)
