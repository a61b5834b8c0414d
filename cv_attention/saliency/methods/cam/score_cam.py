"""Implements Score-CAM (Wang et al., CVPR workshops 2020), https://arxiv.org/abs/1910.01279."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse, resize, sides
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.scores import Scorer, scorer
from cv_attention.saliency.core.targets import Targets


@explains
def score_cam(
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
    """Weights each channel by the target's score on the image masked with it: relu(sum_c softmax_c(y(x M_c)) A_c).

    Paper: Score-CAM (Wang et al., CVPR workshops 2020), https://arxiv.org/abs/1910.01279.

    M_c is the channel resized to the image and scaled to [0, 1]. The score is the logit; that of the blank image, which
    the paper subtracts, cancels in the softmax. Costs a forward pass per channel: 512 for the last stage of a
    ResNet-18.

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
        >>> cva.saliency.score_cam(model, images, targets=3).shape
        torch.Size([2, 1, 32, 32])
    """
    seen = trace(model, images, targets, layers, layout=layout, gradients=False)
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:
        heats = []
        for activations in seen.activations.values():
            weights = _weigh(scores, activations.float())
            heats.append(torch.einsum("bct,bc...->bt...", weights, activations.float()).relu())
        return fuse(heats, images, upsample)


def _weigh(scores: Scorer, activations: Tensor) -> Tensor:
    """Computes the weights (B, C, T)."""

    def masked(k: int) -> Tensor:
        mask = resize(activations[:, k : k + 1], tuple(scores.images.shape[2:]))
        low, high = mask.amin(sides(mask), keepdim=True), mask.amax(sides(mask), keepdim=True)
        return scores.images * ((mask - low) / (high - low + 1e-8)).to(scores.images.dtype)

    channels = [score for _, score in scores.variants(masked, activations.shape[1])]
    return torch.stack(channels, dim=1).softmax(1)
