"""Lays out the steps of episodes: which image each shows, which label arrives, and which answer is asked for."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

NONE = -1  # no image, no label, no answer


class Steps(NamedTuple):
    """Holds the steps of a batch of episodes, all tensors (B, S).

    Attributes:
        place: Which image a step shows, from 0 on; -1 for none.
        told: The label that arrives; -1 for none.
        asked: Whether an answer is asked for, bool.
        answer: The right answer; -1 where none is asked for.
        nth: How often the answer has been shown by then, 1 for the first time; 0 where none is asked for, and where
            that means nothing.
    """

    place: Tensor
    told: Tensor
    asked: Tensor
    answer: Tensor
    nth: Tensor


def lay_out(kind: str, batch: Mapping[str, Tensor]) -> Steps:
    """Lays out the steps of a batch.

    Args:
        kind: ``classify``: every image is to be named, and its label arrives one step later. ``copy``: images, then as
            many steps without one, in which they are to be named in order. ``associate``: images, the last of which
            asks for a partner, and one more step, in which that is to be named.
        batch: ``labels`` int64 (B, T), -1 behind the end of an episode; ``instances`` for ``classify``, ``target``
            int64 (B,) for ``associate``.
    """
    labels = batch["labels"]
    real, positions = labels >= 0, torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
    place = torch.where(real, positions, NONE)
    if kind == "classify":
        first = torch.full_like(labels[:, :1], NONE)
        return Steps(place, torch.cat([first, labels[:, :-1]], 1), real, labels, batch["instances"])
    length = real.sum(1, keepdim=True)
    if kind == "copy":
        steps = torch.arange(2 * labels.shape[1], device=labels.device).expand(len(labels), -1)
        asked = (steps >= length) & (steps < 2 * length)
        place = torch.where(steps < length, steps, NONE)
        named = labels.gather(1, (steps - length).clamp(0, labels.shape[1] - 1))
    else:
        steps = torch.arange(labels.shape[1] + 1, device=labels.device).expand(len(labels), -1)
        asked = steps == length
        place = torch.where(steps < length, steps, NONE)
        named = batch["target"][:, None].expand_as(steps)
    answer = torch.where(asked, named, NONE)
    # the query of an association is announced: it is the image before the answer
    announced = asked if kind == "copy" else asked | (steps == length - 1)
    return Steps(place, torch.full_like(place, NONE), announced, answer, torch.zeros_like(place))
