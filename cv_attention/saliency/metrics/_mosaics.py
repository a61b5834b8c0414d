"""Implements the grid pointing game (Bohle et al., CVPR 2021), https://arxiv.org/abs/2104.00032."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.saliency.metrics.pointing import energy_pointing_game


class Mosaics(NamedTuple):
    """Holds mosaics: images of different classes side by side.

    Attributes:
        images: (M, C, grid H, grid W).
        labels: int64 (M, grid * grid), the class in each cell, row by row; all different within a mosaic.
        sources: int64 (M, grid * grid), the index of each cell's image.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> drawn = metrics.mosaics(torch.randn(8, 3, 16, 16), labels=range(8), count=2)
        >>> drawn.images.shape, drawn.labels.shape
        (torch.Size([2, 3, 32, 32]), torch.Size([2, 4]))
    """

    images: Tensor
    labels: Tensor
    sources: Tensor


def mosaics(images: Tensor, labels: Tensor | Sequence[int], count: int, *, grid: int = 2, seed: int = 0) -> Mosaics:
    """Draws `count` mosaics, each without two images of the same class.

    They are what the grid pointing game (Böhle et al., CVPR 2021), https://arxiv.org/abs/2104.00032, is played on.

    Args:
        images: (N, C, H, W), preferably those that the model is most confident about.
        labels: Classes of the images, (N,).
        count: Number of mosaics.
        grid: Number of cells along each side.
        seed: Seed of the draws.

    Returns:
        The mosaics, their cells' classes, and the index of each cell's image.

    Raises:
        ValueError: if there are fewer classes than cells.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> images = torch.arange(4.0).view(4, 1, 1, 1)  # four classes of one pixel
        >>> drawn = metrics.mosaics(images, labels=[0, 1, 2, 3], count=1, grid=2)
        >>> sorted(drawn.images.flatten().tolist()), torch.equal(drawn.labels, drawn.sources)
        ([0.0, 1.0, 2.0, 3.0], True)
    """
    labels = torch.as_tensor(labels)
    if labels.shape != (len(images),):
        raise ValueError(f"labels must have one entry per image ({len(images)}), got shape {tuple(labels.shape)}")
    if count < 1 or grid < 1:
        raise ValueError(f"count and grid must be positive, got {count} and {grid}")
    members = {int(k): (labels == k).nonzero()[:, 0].tolist() for k in labels.unique()}
    if len(members) < grid**2:
        raise ValueError(f"a mosaic of {grid}x{grid} needs {grid**2} classes, got {len(members)}")
    generator = torch.Generator().manual_seed(seed)

    def draw(below: int) -> int:
        return int(torch.randint(below, (), generator=generator))

    sources = []
    for _ in range(count):
        classes = [list(members)[i] for i in torch.randperm(len(members), generator=generator)[: grid**2]]
        sources.append([members[k][draw(len(members[k]))] for k in classes])
    chosen = torch.tensor(sources)
    cells = images[chosen.to(images.device)].unflatten(1, (grid, grid))  # (M, row, column, C, H, W)
    pictures = cells.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return Mosaics(pictures, labels.to(chosen.device)[chosen], chosen)


def grid_pointing_game(
    method: Callable[..., Tensor], model: nn.Module, drawn: Mosaics, *, batch_size: int = 16, **options: object
) -> Tensor:
    """Explains each class of each mosaic, and returns the fraction of positive values in its own cell.

    This is the grid pointing game (Böhle et al., CVPR 2021), https://arxiv.org/abs/2104.00032. An uninformative map
    gets 1 / cells. The model must accept images of any size, as models do that end in a mean over positions.

    Args:
        method: A saliency method (model, images, targets, ...) -> (B, 1, H, W).
        model: The explained model.
        drawn: The mosaics, from `mosaics`.
        batch_size: Number of mosaics per batch.
        **options: Options of the method.

    Returns:
        (M, grid * grid) in [0, 1].

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> drawn = metrics.mosaics(torch.randn(4, 3, 16, 16), labels=[0, 1, 2, 3], count=2)
        >>> metrics.grid_pointing_game(cva.saliency.grad_cam, model, drawn).shape
        torch.Size([2, 4])
        >>> def constant(model, images, targets):
        ...     return torch.ones_like(images[:, :1])
        >>> metrics.grid_pointing_game(constant, model, drawn)[0]
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    cells = drawn.labels.shape[1]
    grid = round(cells**0.5)
    height, width = (side // grid for side in drawn.images.shape[2:])
    columns = []
    for cell in range(cells):
        shares = []
        for images, labels in zip(drawn.images.split(batch_size), drawn.labels[:, cell].split(batch_size), strict=True):
            heat = method(model, images, labels, **options)
            x, y = cell % grid * width, cell // grid * height
            box = torch.tensor([x, y, x + width, y + height]).expand(len(images), 4)
            shares.append(energy_pointing_game(heat, box))
        columns.append(torch.cat(shares))
    return torch.stack(columns, dim=1)
