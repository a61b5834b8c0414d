"""Implements DeepLIFT (Shrikumar et al., ICML 2017), https://arxiv.org/abs/1704.02685, with the rescale rule."""

from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Several, Targets, each_target, has_callable
from cv_attention.saliency.methods.gradient.gradients import Channels, join
from cv_attention.saliency.methods.gradient.integrated_gradients import broadcast
from cv_attention.saliency.methods.relevance._differences import Beside, Scored


@explains
def deep_lift(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    baseline: Tensor | float = 0.0,
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes DeepLIFT (Shrikumar et al., ICML 2017), https://arxiv.org/abs/1704.02685, by the rescale rule.

    The difference of the score between image and baseline is divided among the pixels: through each activation by the
    quotient of differences in place of the derivative. Products, softmax and normalisations are divided exactly, too:
    the map sums to score(x) - score(x') also for gates and transformers. Costs two forward passes and a backward pass:
    a fast stand-in for `integrated_gradients`.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        baseline: A value, or an image or batch of them that broadcasts to `images`; 0 is the mean colour of
            normalised images.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images, targets or baseline, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.deep_lift(model, images, targets=3)
        >>> with torch.no_grad():
        ...     change = (model.eval()(images) - model(torch.zeros_like(images)))[:, 3]
        >>> torch.allclose(heat.sum((1, 2, 3)), change, rtol=1e-2, atol=1e-3)  # distributes the change of the score
        True
    """
    check_images(images, "deep_lift")
    if any(map(has_callable, each_target(targets))):  # whose differences count as the model's do
        with scorer(model, images, targets, several=True) as scores:
            model = Scored(scores.model, scores.targets)
        targets = Several(*range(len(model.targets)))
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        start = broadcast(baseline, scores.images)
        scores.model = Beside(scores.model, start)
        multipliers = scores.gradient(scores.images)
        return join(multipliers * (scores.images - start).float().unsqueeze(1), channels)
