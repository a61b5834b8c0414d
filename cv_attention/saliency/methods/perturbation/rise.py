"""Implements RISE (Petsiuk et al., BMVC 2018), https://arxiv.org/abs/1806.07421."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import columns, resize
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.outputs.links import Link
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets


@explains
def rise(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    masks: int = 1000,
    cells: int = 7,
    keep: float = 0.5,
    link: Link | None = None,
    seed: int = 0,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int = 64,
) -> Tensor:
    """Averages random masks, weighted by the target's probability on the masked image: sum(p m) / (masks keep).

    Paper: RISE (Petsiuk et al., BMVC 2018), https://arxiv.org/abs/1806.07421.

    A mask is a grid of cells, each kept with probability `keep`, resized bilinearly and shifted by part of a cell.
    Costs `masks` forward passes; the paper uses 4000 to 8000.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Normalised images (B, C, H, W): masked pixels become 0.
        targets: Class indices, or a callable from the model's output to scores (B,); what is followed is their `link`.
        masks: Number of masks, the same for all images of the batch.
        cells: Number of cells along each side.
        keep: Probability of keeping a cell.
        link: What turns the output into the score: ``softmax``, ``sigmoid`` or ``identity``. None follows the softmax
            of classes, the sigmoid of a single logit, and of a callable its scores, or what the target says.
        seed: Seed of the masks.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass.

    Returns:
        (B, T, H, W) float32, at least 0.

    Raises:
        ValueError: for bad images or targets, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.rise(model, images, targets=3, masks=20).shape  # use 1,000 masks or more
        torch.Size([2, 1, 32, 32])
    """
    if masks < 1 or cells < 1 or not 0 < keep < 1:
        raise ValueError(f"masks and cells must be at least 1 and keep in (0, 1), got {masks}, {cells} and {keep}")
    source = Source(seed)
    drawn: dict[int, Tensor] = {}  # masks currently in use
    with scorer(model, images, targets, chunk=batch_size, several=True, link=link) as scores:

        def masked(k: int) -> Tensor:
            drawn[k] = random_mask(source, scores.images, cells, keep)
            return scores.images * drawn[k].to(scores.images.dtype)

        heat = torch.zeros((), device=images.device)
        for k, score in scores.variants(masked, masks, probabilities=True):
            heat = heat + columns(score, drawn[k]) * drawn.pop(k)
        return heat / (masks * keep)


def random_mask(source: Source, images: Tensor, cells: int, keep: float) -> Tensor:
    """Returns one mask (1, 1, H, W) float32 in [0, 1], of volumes (1, 1, D, H, W)."""
    size = tuple(images.shape[2:])
    cell = [-(-side // cells) for side in size]
    grid = (source.uniform((1, 1, *[cells] * len(size)), torch.empty(0)) < keep).float()
    large = resize(grid, tuple((cells + 1) * side for side in cell))
    starts = [source.index(side) for side in cell]
    return large[(..., *(slice(at, at + side) for at, side in zip(starts, size, strict=True)))].to(images.device)
