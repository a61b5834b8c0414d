"""Implements extremal perturbation (Fong et al., ICCV 2019), https://arxiv.org/abs/1910.08485."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import Scorer, scorer
from cv_attention.saliency.core.targets import Score, Targets, target_scores
from cv_attention.saliency.methods.perturbation.smooth_mask import SmoothMask, blur_levels, reveal


@explains
def extremal_perturbation(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    areas: tuple[float, ...] = (0.1,),
    steps: int = 800,
    spacing: int | None = None,
    sigma: float | None = None,
    blur: float | None = None,
    levels: int = 8,
    rate: float = 0.01,
    constraint: float = 300.0,
    jitter: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Finds the smooth mask of a given area with the highest score; returns the mean of the masks of all `areas`.

    Paper: extremal perturbation (Fong et al., ICCV 2019), https://arxiv.org/abs/1910.08485.

    Pixels are blurred more the lower the mask is. Gradient ascent with momentum maximises the score minus
    ``constraint * mean((sorted mask - reference)^2)``, where the reference has as many ones as the area has pixels and
    zeros elsewhere; the weight grows by 0.35 % per step. This is the preservation game. Mask, blur, optimiser and their
    constants are those of the authors' code (TorchRay), with sizes given for 224 pixels scaled to the image. Unlike
    there, the area is a fraction of the image only, not of the image and its surroundings. Costs `steps` forward and
    backward passes for each area and target.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        areas: Fractions of the image in (0, 1).
        steps: Number of optimisation steps.
        spacing: Pixels between the cells of the coarse mask; None means 7 at 224 pixels.
        sigma: Width of the mask's kernel in pixels; None means 21 at 224 pixels.
        blur: The strongest blur's standard deviation in pixels; None means 20 at 224 pixels.
        levels: Number of blurred versions of the image, between which the mask interpolates.
        rate: Step size.
        constraint: Initial weight of the area constraint.
        jitter: Mirror the image in every other step.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32 in [0, 1].

    Raises:
        ValueError: for bad images or targets, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.extremal_perturbation(model, images, targets=3, areas=(0.2,), steps=2)
        >>> heat.shape  # two steps for brevity, where some hundred are needed
        torch.Size([2, 1, 32, 32])
    """
    if not areas or not all(0 < area < 1 for area in areas):
        raise ValueError(f"areas must be fractions in (0, 1), got {areas}")
    check_images(images, "extremal_perturbation")
    side = min(images.shape[-2:]) / 224
    spacing = max(round(7 * side), 1) if spacing is None else spacing
    sigma, blur = 21 * side if sigma is None else sigma, 20 * side if blur is None else blur
    if min(steps, spacing, levels - 1) < 1 or min(sigma, blur, rate) <= 0:
        raise ValueError(
            "steps, spacing, sigma, blur and rate must be positive and levels at least 2, "
            f"got {steps}, {spacing}, {sigma}, {blur}, {rate} and {levels}"
        )
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        mask = SmoothMask((images.shape[-2], images.shape[-1]), spacing, sigma, images.device)
        pyramid = blur_levels(scores.images.float(), levels, blur)
        heats = []
        for target in scores.targets:
            masks = []
            for area in areas:
                game = _Game(scores, target, mask, pyramid, area)
                masks.append(game.play(steps, rate, constraint, jitter))
            heats.append(torch.stack(masks).mean(0))
        return torch.cat(heats, 1)


class _Game:
    """Searches the masks of one target and one area."""

    def __init__(self, scores: Scorer, target: Tensor | Score, mask: SmoothMask, pyramid: Tensor, area: float) -> None:
        self.scores, self.target, self.mask, self.pyramid = scores, target, mask, pyramid
        self.coarse = torch.ones(len(scores.images), 1, *mask.cells, device=pyramid.device)
        height, width = mask.size
        wanted = torch.zeros((height + 2 * mask.margin) * (width + 2 * mask.margin), device=pyramid.device)
        wanted[len(wanted) - round(area * height * width) :] = 1
        self.wanted = wanted

    def play(self, steps: int, rate: float, constraint: float, jitter: bool) -> Tensor:
        """Returns the masks (B, 1, H, W)."""
        momentum = None
        for step in range(steps):
            gradient = self._gradient(constraint * 1.0035**step, jitter and step % 2 == 0)
            momentum = gradient if momentum is None else 0.9 * momentum + 0.1 * gradient
            self.coarse = (self.coarse + rate * momentum).clamp(0, 1)
        return self.mask.enlarge(self.coarse)[0]

    def _gradient(self, weight: float, mirrored: bool) -> Tensor:
        """Returns the derivative of the objective with respect to the coarse mask."""
        with torch.enable_grad():
            coarse = self.coarse.detach().requires_grad_()
            inner, outer = self.mask.enlarge(coarse)
            shown = reveal(self.pyramid, inner).to(self.scores.images.dtype)
            result = self.scores.forward(shown.flip(3) if mirrored else shown)
            distance = ((outer.flatten(1).sort(dim=1).values - self.wanted) ** 2).mean(1)
            scores, slope = target_scores(result, self.target).float(), None
            if scores.requires_grad:
                [slope] = torch.autograd.grad(scores.sum(), shown, allow_unused=True)
            if slope is None:
                raise ValueError(self.scores.no_gradient())
            return torch.autograd.grad(
                [shown, distance.sum()], coarse, [slope, torch.tensor(-weight, device=distance.device)]
            )[0]
