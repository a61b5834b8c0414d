"""Compares features with those that are remembered: the equations, without a network."""

from typing import NamedTuple

import torch
from torch import Tensor

STRENGTHS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Values of the strength that leave-one-out chooses from."""

DEFAULT_STRENGTH = 20.0
"""The strength where every class has one image, so that none can be left out."""

_EPS = 1e-6


class Compared(NamedTuple):
    """Holds what B images have in common with N remembered ones of C classes.

    Attributes:
        probabilities: float32 (B, C).
        weights: float32 (B, N), of the remembered images; those of one class add up to its probability.
        similarities: float32 (B, N), cosine similarity.
    """

    probabilities: Tensor
    weights: Tensor
    similarities: Tensor


def similarities(queries: Tensor, keys: Tensor) -> Tensor:
    """Returns the cosine similarity of features (B, D) with those remembered (N, D), float32 (B, N)."""
    return unit(queries) @ unit(keys).T


def unit(values: Tensor) -> Tensor:
    """Scales vectors to unit length; a vector of zeros stays one."""
    return values / (values.norm(dim=-1, keepdim=True) + _EPS)


def by_list(similar: Tensor, numbers: Tensor, classes: int, strength: float) -> Compared:
    """Attends to all remembered images, every class alike however many images it has.

    The weight of image i is proportional to exp(β · cosine) / (images of its class), and the probability of a class is
    the sum of its images' weights.

    Args:
        similar: float32 (B, N), cosine similarities; -inf takes an image out.
        numbers: int64 (N,), the class of each remembered image.
        classes: Number of classes C.
        strength: β.
    """
    members = torch.nn.functional.one_hot(numbers, classes).float()  # (N, C)
    there = torch.isfinite(similar).float()
    counts = (there @ members).clamp_min(1)[:, numbers]  # (B, N)
    weights = (strength * similar - counts.log()).softmax(1)
    return Compared(weights @ members, weights, similar)


def by_prototypes(queries: Tensor, keys: Tensor, numbers: Tensor, classes: int, strength: float) -> Compared:
    """Compares features with the mean of each class; an image has an equal share of the weight of its class's mean.

    Args:
        queries: float32 (B, D).
        keys: float32 (N, D), of the remembered images.
        numbers: int64 (N,), their classes.
        classes: Number of classes C, each with at least one image.
        strength: β, by which the cosine similarities of the means are multiplied before the softmax.
    """
    members = torch.nn.functional.one_hot(numbers, classes).float()
    means = members.T @ unit(keys) / members.sum(0)[:, None]
    probabilities = (strength * similarities(queries, means)).softmax(1)
    weights = probabilities[:, numbers] / members.sum(0)[numbers]
    return Compared(probabilities, weights, similarities(queries, keys))


def leave_one_out(keys: Tensor, numbers: Tensor, classes: int, strength: float, prototypes: bool) -> Tensor:
    """Returns the probabilities (N, C) of every remembered image by all the others.

    Args:
        keys: float32 (N, D).
        numbers: int64 (N,).
        classes: Number of classes C.
        strength: β.
        prototypes: Whether features are compared with the classes' means.
    """
    if not prototypes:
        similar = similarities(keys, keys).fill_diagonal_(-torch.inf)
        return by_list(similar, numbers, classes, strength).probabilities
    every = unit(keys)
    members = torch.nn.functional.one_hot(numbers, classes).float()
    sums, own = members.T @ every, numbers[:, None]
    cosines = every @ unit(sums).T
    without = ((sums[numbers] - every) / members.sum(0)[numbers, None]).contiguous()  # of its class, but for itself
    alone = (members.sum(0)[own] == 1).any(1, keepdim=True)
    itself = (unit(without) * every).sum(1, keepdim=True).masked_fill(alone, -torch.inf)
    return (strength * cosines.scatter(1, own, itself)).softmax(1)


def best_strength(keys: Tensor, numbers: Tensor, classes: int, prototypes: bool) -> tuple[float, int]:
    """Chooses the strength under which the left-out images have the largest mean logarithm of probability.

    Images that are alone in their class are not counted, as nothing else could be known of it.

    Args:
        keys: float32 (N, D).
        numbers: int64 (N,).
        classes: Number of classes C.
        prototypes: Whether features are compared with the classes' means.

    Returns:
        The strength, and the number of images that it was chosen on; `DEFAULT_STRENGTH` and 0 without any.
    """
    counted = torch.bincount(numbers, minlength=classes)[numbers] > 1
    if not bool(counted.any()) or classes < 2:
        return DEFAULT_STRENGTH, 0
    scores = []
    for strength in STRENGTHS:
        found = leave_one_out(keys, numbers, classes, strength, prototypes)
        true = found.gather(1, numbers[:, None])[counted, 0]
        scores.append(float(true.clamp_min(1e-9).log().mean()))
    return STRENGTHS[scores.index(max(scores))], int(counted.sum())
