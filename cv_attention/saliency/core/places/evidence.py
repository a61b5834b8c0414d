"""Says how well the places where an output changes fit those where the image was changed."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST = 0.4  # correlation below which there is no grid
_LEAST_OF_AXIS = 0.3  # the same of rows, and of columns


@dataclass(frozen=True)
class Change:
    """How much an output changes in each copy: axis of the channels -> (copies, ...), the norm over channels."""

    amount: dict[int, Tensor]
    moves: bool  # more than by rounding


def change_of(base: Tensor, output: Tensor) -> Change:
    """Returns how much the copies of an output differ from it."""
    square = (output.float() - base.float()) ** 2
    rounding = (32 if base.dtype == torch.float32 else 4) * torch.finfo(base.dtype).eps
    moves = float(square.amax().sqrt()) > rounding * float(base.abs().amax())
    amount = {-1: square.sum(-1).sqrt()}
    if square.dim() > 3:
        amount[1] = square.sum(1).sqrt()
    return Change(amount, moves)


def joined(changes: list[Change], copies: int) -> Change:
    """Returns the changes of several passes as those of one."""
    amount = {axis: torch.cat([one.amount[axis] for one in changes])[:copies] for axis in changes[0].amount}
    return Change(amount, any(one.moves for one in changes))


def evidence_of(amount: Tensor, codes: Tensor) -> tuple[float, float]:
    """Returns how well the places where an output changes (copies, h, w) fit those where the image did.

    Returns:
        The correlation, and how many standard deviations it is above chance, by Fisher's transformation. A correlation
        below 0.4 counts for nothing, however many positions there are; nor does any if the rows alone or the columns
        alone do not fit, as where one axis is not of the image, or the two are exchanged.
    """
    shown, hidden = amount[: len(codes)], amount[len(codes) :]
    contrast = (shown - hidden) / (shown + hidden).clamp(min=1e-30)
    wanted = F.interpolate(codes.to(contrast).unsqueeze(1), contrast.shape[1:], mode="area").squeeze(1)
    likeness = _likeness(contrast, wanted)
    if likeness < _LEAST:
        return likeness, 0.0
    for axis in range(1, contrast.dim()):
        others = [other for other in range(1, contrast.dim()) if other != axis]
        if contrast.shape[axis] > 1 and _likeness(contrast.mean(others), wanted.mean(others)) < _LEAST_OF_AXIS:
            return likeness, 0.0
    return likeness, math.atanh(min(likeness, 0.999)) * max(contrast.numel() - 3, 1) ** 0.5


def _likeness(found: Tensor, wanted: Tensor) -> float:
    """Returns the correlation of patterns (patterns, ...), each without its mean."""
    found, wanted = found.flatten(1), wanted.flatten(1)
    found, wanted = found - found.mean(1, keepdim=True), wanted - wanted.mean(1, keepdim=True)
    return float((found * wanted).sum() / (found.norm() * wanted.norm()).clamp(min=1e-30))
