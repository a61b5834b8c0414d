"""Numbers from recorded maps: how far and how narrowly heads look, and what gates do."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from cv_attention.maps.maps_table import Maps
from cv_attention.maps.recorded import RecordedMap, check_map


def attention_distance(map: RecordedMap, patch: float | tuple[float, float] = 1.0) -> Tensor:
    """Computes how far each head looks (Dosovitskiy et al., ICLR 2021, appendix D.7), https://arxiv.org/abs/2010.11929.

    The distance between a query's position and each position, weighted by the attention and averaged over queries. What
    a query pays to class and register tokens or to padding is left out; the rest is scaled to sum to 1.

    Args:
        map: A pairwise map over its own positions, windowed or not.
        patch: Size of a position in pixels, or height and width: the image's size over the grid's. 1 gives positions.

    Returns:
        (B, heads) float32, in the unit of `patch`.

    Raises:
        ValueError: if the map is of another kind, or its queries are not its positions.

    Examples:
        >>> import torch
        >>> from cv_attention.maps import RecordedMap, attention_distance
        >>> itself = torch.eye(4).view(1, 1, 4, 2, 2)  # one head in which each of 2 x 2 positions looks at itself
        >>> everywhere = torch.full((1, 1, 4, 2, 2), 0.25)
        >>> map = RecordedMap(torch.cat([itself, everywhere], 1), "pairwise")
        >>> attention_distance(map, patch=16)  # in pixels, for patches of 16 pixels
        tensor([[ 0.0000, 13.6569]])
    """
    grid = _own_grid(map)
    height, width = (patch, patch) if isinstance(patch, int | float) else patch
    attention = map.values.float().flatten(3)
    unit = torch.tensor([height, width], dtype=torch.float32, device=attention.device)
    places = torch.cartesian_prod(*(torch.arange(side, device=attention.device) for side in grid)) * unit
    keys = places.expand(len(places), -1, -1)
    if map.windows:
        index = map.windows.keys.to(attention.device)
        attention = attention * (index >= 0)
        keys = places[index.clamp(min=0)]
    distance = torch.linalg.vector_norm(keys - places[:, None], dim=2)  # (queries, keys)
    total = attention.sum(3).clamp(min=torch.finfo(torch.float32).tiny)
    return (torch.einsum("bhqk,qk->bhq", attention, distance) / total).mean(2)


def attention_entropy(map: RecordedMap, *, normalised: bool = False) -> Tensor:
    """Computes how widely each head looks: -Σ a ln a over the keys, averaged over queries.

    All keys count, class and register tokens and padding too, so that the weights sum to 1 as in the model.

    Args:
        map: A pairwise or alignment map.
        normalised: Divide by ln(keys), the entropy of looking everywhere alike.

    Returns:
        (B, heads) float32: nats from 0, one key alone, to ln(keys); or the share of that.

    Raises:
        ValueError: if the map is of another kind.

    Examples:
        >>> import torch
        >>> from cv_attention.maps import RecordedMap, attention_entropy
        >>> itself, everywhere = torch.eye(4).view(1, 1, 4, 2, 2), torch.full((1, 1, 4, 2, 2), 0.25)
        >>> map = RecordedMap(torch.cat([itself, everywhere], 1), "pairwise")
        >>> attention_entropy(map, normalised=True).abs()
        tensor([[0., 1.]])
    """
    if check_map(map).kind not in ("pairwise", "alignment"):
        raise ValueError(f"only pairwise and alignment maps have an entropy, got kind {map.kind!r}")
    whole = map.tokens if map.tokens is not None else map.values
    attention = whole.float().flatten(3)
    entropy = torch.special.entr(attention).sum(3).mean(2)
    return entropy / math.log(attention.shape[3]) if normalised and attention.shape[3] > 1 else entropy


@dataclass(frozen=True)
class GateSummary:
    """Summarises what a gate does over a set of images.

    Attributes:
        mean: (C,) mean of each channel over images and positions; C is 1 for spatial maps.
        spread: (C,) standard deviation of each channel over images and positions, biased: how much the gate depends on
            what it sees. 0 where it is a constant factor.
        saturated: Share of all values within `tolerance` of 0 or of 1.
        dead: (D,) numbers of the channels whose values never exceed `tolerance`: what they carry is lost.

    Examples:
        >>> import torch
        >>> from cv_attention.maps import RecordedMap, gate_statistics
        >>> gate = torch.tensor([[0.0, 0.4], [0.0, 0.6]])[:, :, None, None]  # two images, two channels
        >>> summary = gate_statistics(RecordedMap(gate, "channel"))
        >>> summary.mean, summary.dead, summary.saturated
        (tensor([0.0000, 0.5000]), tensor([0]), 0.5)
    """

    mean: Tensor
    spread: Tensor
    saturated: float
    dead: Tensor

    def __repr__(self) -> str:
        return (
            f"GateSummary(mean {float(self.mean.mean()):.3f}, spread {float(self.spread.mean()):.3f}, "
            f"saturated {self.saturated:.1%}, {len(self.dead)} of {len(self.mean)} channels dead)"
        )


def gate_statistics(maps: RecordedMap | Iterable[RecordedMap], *, tolerance: float = 0.01) -> GateSummary:
    """Summarises a gate over images.

    Args:
        maps: The gate's map of one batch, or of several.
        tolerance: How close to 0 or 1 a value counts as closed or open.

    Returns:
        Mean and spread of each channel, and how many values are closed or open.

    Raises:
        ValueError: if there is no map, one is not a gate (``channel``, ``spatial`` or ``joint``), or channels differ.

    Examples:
        >>> import torch
        >>> from cv_attention.maps import RecordedMap, gate_statistics
        >>> batches = [RecordedMap(torch.full((8, 2, 1, 1), value), "channel") for value in (0.2, 0.6)]
        >>> summary = gate_statistics(batches)
        >>> summary.mean, summary.spread
        (tensor([0.4000, 0.4000]), tensor([0.2000, 0.2000]))
    """
    batches = [check_map(maps)] if isinstance(maps, RecordedMap | Maps) else [check_map(map) for map in maps]
    if not batches:
        raise ValueError("gate_statistics needs at least one map, got none")
    for map in batches:
        if map.kind not in ("channel", "spatial", "joint"):
            raise ValueError(f"only channel, spatial and joint maps are gates, got kind {map.kind!r}")
        if map.values.shape[1] != batches[0].values.shape[1]:
            raise ValueError(f"maps of one gate have one number of channels, got {batches[0]} and {map}")
    values = torch.cat([map.values.float().transpose(0, 1).flatten(1) for map in batches], dim=1)  # (C, all)
    return GateSummary(
        mean=values.mean(1),
        spread=values.std(1, correction=0),
        saturated=float(((values.abs() <= tolerance) | ((values - 1).abs() <= tolerance)).float().mean()),
        dead=(values.abs().amax(1) <= tolerance).nonzero()[:, 0],
    )


def _own_grid(map: RecordedMap) -> tuple[int, int]:
    """Returns the grid of a map whose queries are its positions."""
    if check_map(map).kind == "pairwise":
        grid = map.windows.grid if map.windows else (map.values.shape[3], map.values.shape[4])
        if grid[0] * grid[1] == map.values.shape[2]:
            return grid
    raise ValueError(f"attention distance needs a pairwise map with one query for each position, got {map}")
