"""Implements Smooth Grad-CAM++ (Omeiza et al., 2019), https://arxiv.org/abs/1908.01224."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.noise import Source, span
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.targets import Several, Targets, fix_targets
from cv_attention.saliency.methods.cam.gradient_cams import weigh_plus_plus


@explains
def smooth_grad_cam_plus_plus(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    upsample: bool = True,
    samples: int = 5,
    noise: float = 0.1,
    seed: int = 0,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes Grad-CAM++ with activations and the three derivatives averaged over noisy copies of the image.

    Paper: Smooth Grad-CAM++ (Omeiza et al., 2019), https://arxiv.org/abs/1908.01224.

    Costs `samples` times as much as `grad_cam`, plus one forward pass for the prediction without noise.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last map of the image.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        samples: Number of noisy copies per image.
        noise: Standard deviation of the noise, as a fraction of the image's range (maximum - minimum).
        seed: Seed of the noise, which is the same for all images.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.smooth_grad_cam_plus_plus(model, images, targets=3, samples=3).shape
        torch.Size([2, 1, 32, 32])
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"samples must be positive and noise not negative, got samples={samples}, noise={noise}")
    clean = trace(model, images, targets, layers, layout=layout, gradients=False)
    fixed = Several(*fix_targets(clean.result, targets))
    source = Source(seed)
    sums: list[dict[str, list[Tensor]]] = [{} for _ in fixed.targets]
    with torch.no_grad():
        spread = noise * span(images)
        for _ in range(samples):
            noisy = images + spread * source.normal((1, *images.shape[1:]), images)
            seen = trace(model, noisy, fixed, list(clean.activations), layout=layout)
            for of_target, gradients in zip(sums, seen.gradients, strict=True):
                for name, a in seen.activations.items():
                    g = gradients[name].float()
                    terms = [a.float(), g, g**2, g**3]
                    old = of_target.get(name)
                    of_target[name] = terms if old is None else [x + y for x, y in zip(old, terms, strict=True)]
        heats = [[weigh_plus_plus(*(x / samples for x in terms)) for terms in of_target.values()] for of_target in sums]
        return torch.cat([fuse(of_layers, images, upsample) for of_layers in heats], 1)
