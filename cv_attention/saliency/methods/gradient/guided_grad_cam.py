"""Implements Guided Grad-CAM (Selvaraju et al., ICCV 2017), https://arxiv.org/abs/1610.02391."""

from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.cam.grad_cam import grad_cam
from cv_attention.saliency.methods.gradient.gradients import Channels, join
from cv_attention.saliency.methods.gradient.guided_backprop import guided_gradients


@explains
def guided_grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes Guided Grad-CAM (Selvaraju et al., ICCV 2017), https://arxiv.org/abs/1610.02391.

    This is `guided_backprop` times `grad_cam`, resized: fine detail where Grad-CAM points. The detail itself hardly
    depends on the weights (Adebayo et al., 2018). Costs two forward and backward passes.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last spatial stage.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images, targets or layers, or if the model runs no ReLU.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.guided_grad_cam(model, images, targets=3, layers="layer3").shape
        torch.Size([2, 1, 32, 32])
    """
    check_images(images, "guided_grad_cam")
    coarse = grad_cam(model, images, targets, layers=layers)
    return join(guided_gradients(model, images, targets) * coarse.unsqueeze(2), channels)
