"""Measures whether a map points at the object: the pointing game, by its maximum and by its energy."""

import torch
import torch.nn.functional as F
from torch import Tensor


def pointing_game(heat: Tensor, boxes: Tensor, tolerance: float = 0.0) -> Tensor:
    """Returns for each map whether its maximum lies on the object; the hit rate is the mean.

    The pointing game (Zhang et al., ECCV 2016), https://arxiv.org/abs/1608.00507. Of equal maxima the first counts, row
    by row, as in TorchRay's benchmark: a constant map points at the upper left corner.

    Args:
        heat: Maps (B, 1, H, W).
        boxes: Boxes (B, 4) as x0, y0, x1, y1 in pixels, x1 and y1 outside the box; or segmentation masks (B, 1, H, W),
            whose values above 0 are the object.
        tolerance: Pixels by which a maximum may miss the object along each axis; the paper uses 15 at 224.

    Returns:
        bool (B,).

    Raises:
        ValueError: if shapes do not fit, or an object is empty.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> heat = torch.zeros(2, 1, 8, 8)
        >>> heat[:, 0, 2, 5] = 1  # row 2, column 5
        >>> boxes = torch.tensor([[4, 0, 8, 4], [0, 4, 4, 8]])  # x0, y0, x1, y1
        >>> metrics.pointing_game(heat, boxes)
        tensor([ True, False])
        >>> metrics.pointing_game(heat, boxes).float().mean()  # the hit rate
        tensor(0.5000)
    """
    if heat.ndim == 4 and boxes.shape == heat.shape and heat.shape[1] == 1:
        return _on_mask(heat, boxes.to(heat.device) > 0, tolerance)
    if heat.ndim != 4 or heat.shape[1] != 1 or boxes.shape != (len(heat), 4):
        raise ValueError(
            f"expected maps (B, 1, H, W) and boxes (B, 4) or masks, got {(*heat.shape,)} and {(*boxes.shape,)}"
        )
    x0, y0, x1, y1 = boxes.to(heat.device).unbind(1)
    if bool(((x1 <= x0) | (y1 <= y0)).any()):
        empty = int(((x1 <= x0) | (y1 <= y0)).nonzero()[0])
        raise ValueError(f"box {empty} is empty: {boxes[empty].tolist()}")
    peak = heat.flatten(1).argmax(1)
    y, x = peak // heat.shape[3] + 0.5, peak % heat.shape[3] + 0.5  # the position of a pixel is its centre
    inside_x = (x >= x0 - tolerance) & (x <= x1 + tolerance)
    return inside_x & (y >= y0 - tolerance) & (y <= y1 + tolerance)


def _on_mask(heat: Tensor, masks: Tensor, tolerance: float) -> Tensor:
    _refuse_empty(masks)
    peak = heat.flatten(1).argmax(1)
    near = int(tolerance)
    if near:
        masks = F.max_pool2d(masks.float(), 2 * near + 1, 1, near) > 0
    return masks.flatten(1).gather(1, peak[:, None])[:, 0]


def relevance_rank_accuracy(heat: Tensor, objects: Tensor) -> Tensor:
    """Returns the fraction of the K largest values that lie on the object, which has K pixels.

    The measure is that of Arras et al. (2022), https://arxiv.org/abs/2003.07258. Unlike `energy_pointing_game`, only
    the order of the values matters; of equal values the first counts, row by row.

    Args:
        heat: Maps (B, 1, H, W).
        objects: Boxes (B, 4) as x0, y0, x1, y1 in pixels, which hold the pixels whose centre they cover, or masks (B,
            1, H, W), whose values above 0 are the object.

    Returns:
        (B,) in [0, 1].

    Raises:
        ValueError: if shapes do not fit, or an object is empty.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> heat = torch.arange(16.0).view(1, 1, 4, 4)  # the lower half has the largest values
        >>> metrics.relevance_rank_accuracy(heat, torch.tensor([[0, 1, 4, 3]]))  # rows 1 and 2
        tensor([0.5000])
    """
    masks = _masks(heat, objects) >= 0.5 if objects.ndim == 2 else objects.to(heat.device) > 0
    if heat.ndim != 4 or heat.shape[1] != 1 or masks.shape != heat.shape:
        raise ValueError(
            f"expected maps (B, 1, H, W) and boxes (B, 4) or masks, got {(*heat.shape,)} and {(*objects.shape,)}"
        )
    _refuse_empty(masks)
    order = heat.flatten(1).argsort(dim=1, descending=True, stable=True)
    inside = masks.flatten(1).gather(1, order)
    sizes = inside.sum(1)
    first = torch.arange(inside.shape[1], device=heat.device) < sizes[:, None]
    return (inside & first).sum(1).float() / sizes


def energy_pointing_game(heat: Tensor, objects: Tensor) -> Tensor:
    """Returns the fraction of each map's positive values on the object: the energy-based pointing game.

    From Score-CAM (Wang et al., 2020), https://arxiv.org/abs/1910.01279; Arras et al. (2022) call it relevance mass
    accuracy. A map without positive values points
    everywhere equally, and gets the object's fraction of the area.

    Args:
        heat: Maps (B, 1, H, W).
        objects: Boxes (B, 4) as x0, y0, x1, y1 in pixels, whose border pixels may count in part, or masks (B, 1, H, W),
            bool or fractions in [0, 1].

    Returns:
        (B,) in [0, 1].

    Raises:
        ValueError: if shapes do not fit, or an object is empty.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> heat = torch.ones(1, 1, 8, 8)
        >>> metrics.energy_pointing_game(heat, torch.tensor([[0, 0, 4, 8]]))  # the box is half of the image
        tensor([0.5000])
    """
    if heat.ndim != 4 or heat.shape[1] != 1 or objects.shape not in ((len(heat), 4), heat.shape):
        raise ValueError(
            f"expected maps (B, 1, H, W) and boxes (B, 4) or masks, got {(*heat.shape,)} and {(*objects.shape,)}"
        )
    masks = _masks(heat, objects)
    _refuse_empty(masks)
    energy = heat.double().relu()
    total = energy.sum((1, 2, 3))
    share = (energy * masks).sum((1, 2, 3)) / total.clamp(min=torch.finfo(torch.double).tiny)
    return torch.where(total > 0, share, masks.mean((1, 2, 3))).float()


def _masks(heat: Tensor, objects: Tensor) -> Tensor:
    """Returns masks (B, 1, H, W) of boxes (B, 4) or masks, in double precision."""
    objects = objects.to(heat.device).double()
    return objects if objects.ndim == 4 else _fill(objects, heat)


def _refuse_empty(masks: Tensor) -> None:
    empty = (masks.sum((1, 2, 3)) <= 0).nonzero()
    if len(empty):
        raise ValueError(f"object {int(empty[0])} is empty")


def _fill(boxes: Tensor, heat: Tensor) -> Tensor:
    """Converts boxes (B, 4) to masks (B, 1, H, W) of the covered fraction of each pixel."""

    def cover(low: Tensor, high: Tensor, size: int) -> Tensor:
        edges = torch.arange(size, device=heat.device, dtype=torch.double)
        return (torch.minimum(high[:, None], edges + 1) - torch.maximum(low[:, None], edges)).clamp(min=0)

    x0, y0, x1, y1 = boxes.unbind(1)
    return (cover(y0, y1, heat.shape[2])[:, :, None] * cover(x0, x1, heat.shape[3])[:, None]).unsqueeze(1)
