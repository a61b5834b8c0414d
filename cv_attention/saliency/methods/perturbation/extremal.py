"""Extremal perturbation (Fong et al., ICCV 2019), https://arxiv.org/abs/1910.08485."""

import torch
from torch import Tensor, nn

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
    batch_size: int | None = None,
) -> Tensor:
    """The smooth mask of a given area that keeps the score as high as it can; the mean of the masks of all `areas`.

    What the mask leaves out is blurred, the more the lower the mask. Ascent by momentum on the score minus
    ``constraint * mean((sorted mask - reference)^2)``, the reference zeros and then as many ones as the area has
    pixels; the weight grows by 0.35 % a step. The game is preservation. Mask, blur, optimiser and their constants are
    those of the authors' code (TorchRay), with sizes given for 224 pixels scaled to the image. Unlike there, the mask
    may fill the area within the image, where theirs counts a share of the image and its surroundings. Costs `steps`
    forwards and backwards for each area and target.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, C, H, W) as the model takes them.
        targets: None or ``"predicted"`` for each image's largest logit, a class, classes (B,) such as the true ones,
            ``Difference(a, b)`` for why a rather than b, or a callable logits (B, classes) -> scores (B,). Several for
            each image: classes (B, T), or ``Several(...)`` of any; they share one forward.
        areas: Shares of the image in (0, 1).
        steps: Steps of the optimisation.
        spacing: Pixels between the cells of the coarse mask; None takes 7 at 224 pixels.
        sigma: Width of the mask's kernel in pixels; None takes 21 at 224 pixels.
        blur: The strongest blur's standard deviation in pixels; None takes 20 at 224 pixels.
        levels: Blurred versions of the image, between which the mask chooses.
        rate: Step size.
        constraint: Weight of the area against the score at first.
        jitter: Mirror the image in every other step.
        batch_size: Images of one forward at most; larger batches are explained in pieces, of which a callable target
            sees one at a time. None takes all images at once.

    Returns:
        (B, T, H, W) float32 in [0, 1].
    """
    if not areas or not all(0 < area < 1 for area in areas):
        raise ValueError(f"areas must be shares in (0, 1), got {areas}")
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
            found = []
            for area in areas:
                game = _Game(scores, target, mask, pyramid, area)
                found.append(game.play(steps, rate, constraint, jitter))
            heats.append(torch.stack(found).mean(0))
        return torch.cat(heats, 1)


class _Game:
    """The search for one target's masks of one area."""

    def __init__(self, scores: Scorer, target: Tensor | Score, mask: SmoothMask, pyramid: Tensor, area: float) -> None:
        self.scores, self.target, self.mask, self.pyramid = scores, target, mask, pyramid
        self.coarse = torch.ones(len(scores.images), 1, *mask.cells, device=pyramid.device)
        height, width = mask.size
        wanted = torch.zeros((height + 2 * mask.margin) * (width + 2 * mask.margin), device=pyramid.device)
        wanted[len(wanted) - round(area * height * width) :] = 1
        self.wanted = wanted

    def play(self, steps: int, rate: float, constraint: float, jitter: bool) -> Tensor:
        """The masks (B, 1, H, W)."""
        momentum = None
        for step in range(steps):
            gradient = self._gradient(constraint * 1.0035**step, jitter and step % 2 == 0)
            momentum = gradient if momentum is None else 0.9 * momentum + 0.1 * gradient
            self.coarse = (self.coarse + rate * momentum).clamp(0, 1)
        return self.mask.enlarge(self.coarse)[0]

    def _gradient(self, weight: float, mirrored: bool) -> Tensor:
        """The derivative of what is to grow by the coarse mask."""
        with torch.enable_grad():
            coarse = self.coarse.detach().requires_grad_()
            inner, outer = self.mask.enlarge(coarse)
            shown = reveal(self.pyramid, inner).to(self.scores.images.dtype)
            logits = self.scores.forward(shown.flip(3) if mirrored else shown).float()
            distance = ((outer.flatten(1).sort(dim=1).values - self.wanted) ** 2).mean(1)
            gain = target_scores(logits, self.target) - weight * distance
            return torch.autograd.grad(gain.sum(), coarse)[0]
