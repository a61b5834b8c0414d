"""Implements KernelSHAP (Lundberg and Lee, NeurIPS 2017), https://arxiv.org/abs/1705.07874."""

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.perturbation.segments import label_segments, paint, show


@explains
def kernel_shap(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    cells: int = 8,
    segments: Tensor | None = None,
    samples: int = 512,
    value: float = 0.0,
    seed: int = 0,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int = 64,
) -> Tensor:
    """Computes KernelSHAP (Lundberg and Lee, NeurIPS 2017), https://arxiv.org/abs/1705.07874: segments' Shapley values.

    A segment's Shapley value is the mean change of the score when the segment is shown, over all orders in which
    segments may appear. It is found by least squares over sets of shown segments, whose sizes k of M are drawn with
    probability (M - 1) / (k (M - k)), each with its complement; where `samples` suffice for all sets, all are used, and
    the values are exact. They sum to score(image) - score(covered image). Costs `samples` + 2 forward passes.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        cells: Number of grid cells along each side.
        segments: Integer labels such as superpixels, (1, 1, H, W) for all images or (B, 1, H, W); None uses the cells
            of a grid.
        samples: Number of sets of segments, at least twice as many as segments for a unique solution.
        value: Fill value of covered pixels; 0 is the mean colour of normalised images.
        seed: Seed of the draws, which are the same for all images of the batch.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images or targets, if the model does not return logits, or for bad `segments`.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.kernel_shap(model, images, targets=3, cells=2)  # 14 sets are all of them
        >>> with torch.no_grad():
        ...     change = (model.eval()(images) - model(torch.zeros_like(images)))[:, 3]
        >>> torch.allclose(heat[:, 0, ::16, ::16].sum((1, 2)), change, atol=1e-4)
        True
    """
    if samples < 2:
        raise ValueError(f"samples must be at least 2, got {samples}")
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:
        parts = label_segments(segments, cells, scores.images)
        counts = [int(part.amax()) + 1 for part in parts]
        values = torch.zeros(len(images), len(scores.targets), max(counts), device=images.device)
        for count in sorted(set(counts)):  # images whose segments are as many share their draws
            shown, weights = coalitions(count, samples, Source(seed))
            nothing = torch.zeros(1, count, dtype=torch.bool)
            rows = F.pad(torch.cat([nothing, shown]), (0, max(counts) - count)).to(images.device)

            def shows(k: int, rows: Tensor = rows) -> Tensor:
                return show(scores.images, parts, rows[k], value)

            empty, *found = [score for _, score in scores.variants(shows, len(rows))]
            changes = torch.stack(found) - empty if found else empty.new_zeros(0, *empty.shape)
            solved = solve(shown.to(images.device), weights.to(images.device), changes, scores.clean() - empty)
            of_images = [i for i in range(len(images)) if counts[i % len(counts)] == count]
            values[of_images, :, :count] = solved[of_images].float()
        return paint(parts, values)


def coalitions(count: int, samples: int, source: Source) -> tuple[Tensor, Tensor]:
    """Returns sets of shown segments, bool (sets, segments), without the empty and the full one, and their weights.

    Args:
        count: Number of segments M.
        samples: Number of sets; all 2^M - 2 with Shapley's kernel as weights where that is not more.
        source: Draws sizes and segments; the weights are then equal.
    """
    if count < 2:
        return torch.zeros(0, count, dtype=torch.bool), torch.zeros(0)
    if count < 30 and 2**count - 2 <= samples:
        sets = [chosen for size in range(1, count) for chosen in combinations(range(count), size)]
        shown = torch.zeros(len(sets), count, dtype=torch.bool)
        for row, chosen in zip(shown, sets, strict=True):
            row[list(chosen)] = True
        kernel = [(count - 1) / (math.comb(count, len(s)) * len(s) * (count - len(s))) for s in sets]
        return shown, torch.tensor(kernel)
    sizes = torch.tensor([1 / (k * (count - k)) for k in range(1, count)])
    edges = (sizes / sizes.sum()).cumsum(0)
    like, rows = torch.empty(0), []
    while len(rows) < samples:
        size = min(int(torch.searchsorted(edges, source.uniform((1,), like))), count - 2) + 1
        row = torch.zeros(count, dtype=torch.bool)
        row[source.uniform((count,), like).argsort()[:size]] = True
        rows += [row, ~row]
    shown = torch.stack(rows[:samples])
    return shown, torch.ones(len(shown))


def solve(shown: Tensor, weights: Tensor, changes: Tensor, total: Tensor) -> Tensor:
    """Returns the values (B, T, segments) that explain the changes best by sums over shown segments.

    Args:
        shown: bool (sets, segments).
        weights: (sets,).
        changes: (sets, B, T), score of each set less that of the covered image.
        total: (B, T), what the values sum to.
    """
    z, last = shown.double(), shown.shape[1] - 1
    if last == 0:
        return total.double().unsqueeze(2)
    root = weights.double().sqrt()[:, None]
    design = (z[:, :last] - z[:, last:]) * root
    wanted = (changes.double() - z[:, last, None, None] * total.double()).flatten(1) * root
    first = torch.linalg.pinv(design) @ wanted
    first = first.view(last, *total.shape).movedim(0, 2)
    return torch.cat([first, total.double().unsqueeze(2) - first.sum(2, keepdim=True)], 2)
