"""Implements class activation mapping (Zhou et al., CVPR 2016), https://arxiv.org/abs/1512.04150."""

import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import bare_modules
from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.targets import Targets, classes_of, each_target


@explains
def cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes the map from the head's weights: sum_c W[target, c] A_c, signed; needs no gradient.

    Paper: class activation mapping (Zhou et al., CVPR 2016), https://arxiv.org/abs/1512.04150.

    This distributes the target's logit over positions, and is valid only if the head is just the mean over positions
    and one linear layer, which is checked for the given images. `hires_cam` is the same map for such heads (up to the
    number of positions), and is defined for all others.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: Class indices, not a callable.
        layers: One layer; None selects the last map of the image.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        upsample: Resize to the images' size.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32; without resizing, the mean over positions plus the head's bias equals the logit.

    Raises:
        ValueError: for bad images, targets or layers, if the model does not return logits, or if its head is another
            one.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.cam(model, images, targets=3, upsample=False)
        >>> logits = model.eval()(images)[:, 3]
        >>> torch.allclose(heat.mean((1, 2, 3)) + model.fc.bias[3], logits, atol=1e-4)
        True
    """
    if any(callable(target) for target in each_target(targets)):
        raise ValueError("CAM uses the weights of a class; give class indices as targets, not a callable")
    seen = trace(model, images, targets, layers, layout=layout, gradients=False)
    if len(seen.activations) != 1:
        raise ValueError(f"CAM takes one layer, got {len(seen.activations)}: {', '.join(seen.activations)}")
    ((name, activations),) = seen.activations.items()
    with torch.no_grad():
        weight, bias = _head(model, activations.shape[1], seen.logits.shape[1])
        logits = activations.float().flatten(2).mean(2) @ weight.T + bias
        if not torch.allclose(logits, seen.logits.float(), rtol=0, atol=0.05 * float(seen.logits.abs().max()) + 1e-6):
            raise ValueError(
                f"the head of {type(model).__name__} is more than a mean over positions and a linear layer after "
                f"{name!r}, so CAM is not defined; use hires_cam"
            )
        chosen = torch.stack([weight[classes_of(seen.logits, target)] for target in each_target(targets)], 1)
        heat = torch.einsum("btc,bc...->bt...", chosen, activations.float())
        return fuse([heat], images, upsample)


def _head(model: nn.Module, channels: int, classes: int) -> tuple[Tensor, Tensor]:
    """Returns the weight (classes, channels) and bias of the last module that can be the head."""
    for module in reversed(bare_modules(model).values()):
        weight = getattr(module, "weight", None)
        if not isinstance(module, nn.Linear | nn.Conv2d) or not isinstance(weight, Tensor):
            continue
        if weight.numel() == classes * channels and weight.shape[:2] == (classes, channels):
            bias = torch.zeros_like(weight[:, 0].flatten()) if module.bias is None else module.bias
            return weight.detach().flatten(1).float(), bias.detach().float()
    raise ValueError(
        f"{type(model).__name__} has no linear layer from {channels} channels to {classes} classes, so CAM is not "
        "defined; use hires_cam"
    )
