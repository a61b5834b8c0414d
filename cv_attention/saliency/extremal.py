"""Extremal perturbation (Fong et al., ICCV 2019), https://arxiv.org/abs/1910.08485."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.scores import Scorer, scorer
from cv_attention.saliency.targets import Targets


def extremal_perturbation(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    areas: tuple[float, ...] = (0.1,),
    steps: int = 200,
    cell: int = 8,
    rate: float = 0.1,
) -> Tensor:
    """The smooth mask of a given area that keeps the score as high as it can; the mean of the masks of all `areas`.

    A coarse mask is resized bilinearly, made smooth by its own resolution, and what it leaves out is the blurred
    image. Gradient ascent on the score minus the distance of the sorted mask from that of an exact area, whose weight
    grows in the course. Simpler than the paper's: no smooth-max convolution and no jitter. Costs `steps`
    forwards and backwards for each area.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, C, H, W) as the model takes them.
        targets: As in `grad_cam`.
        areas: Shares of the image in (0, 1).
        steps: Steps of the optimisation.
        cell: Pixels of a cell of the coarse mask.
        rate: Step size (Adam).

    Returns:
        (B, 1, H, W) float32 in [0, 1].
    """
    if not areas or not all(0 < area < 1 for area in areas):
        raise ValueError(f"areas must be shares in (0, 1), got {areas}")
    if steps < 1 or cell < 1 or rate <= 0:
        raise ValueError(f"steps, cell and rate must be positive, got {steps}, {cell} and {rate}")
    height, width = images.shape[-2:]
    grid = (-(-height // cell), -(-width // cell))
    with scorer(model, images, targets) as scores:
        blurred = _blur(scores.images, cell)
        heat = torch.zeros(len(images), 1, height, width, device=images.device)
        for area in areas:
            coarse = torch.zeros(len(images), 1, *grid, device=images.device)
            first, second = torch.zeros_like(coarse), torch.zeros_like(coarse)
            for step in range(steps):
                weight = 3 * 100 ** (step / steps) if step else 0.0  # at first all values are equal, in no order
                gradient = _gradient(scores, blurred, coarse, area, weight)
                # Adam, written out: torch.optim would ask for parameters
                first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
                corrected = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
                coarse = coarse - rate * corrected[0] / (corrected[1].sqrt() + 1e-8)
            heat += _mask(coarse, (height, width)) / len(areas)
        return heat


def _gradient(scores: Scorer, blurred: Tensor, coarse: Tensor, area: float, weight: float) -> Tensor:
    """The derivative of the loss by the coarse mask's logits."""
    coarse = coarse.detach().requires_grad_()
    images = scores.images
    with torch.enable_grad():
        mask = _mask(coarse, (images.shape[2], images.shape[3]))
        mixed = images * mask.to(images.dtype) + blurred * (1 - mask).to(images.dtype)
        score = scores.of(scores.model(mixed).float())
        order = mask.flatten(1).sort(dim=1, stable=True).values
        wanted = torch.zeros_like(order)
        wanted[:, round((1 - area) * order.shape[1]) :] = 1
        loss = -score.sum() + weight * ((order - wanted) ** 2).mean(1).sum()
        return torch.autograd.grad(loss, coarse)[0]


def _mask(coarse: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(coarse.sigmoid(), size, mode="bilinear", align_corners=False)


def _blur(images: Tensor, radius: int) -> Tensor:
    """Three box filters, which together are nearly a Gaussian."""
    for _ in range(3):
        padded = F.pad(images, [radius] * 4, mode="replicate")
        images = F.avg_pool2d(padded, 2 * radius + 1, stride=1)
    return images
