"""One recorded attention map, and the table of all that a forward gave."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cv_attention.blocks.base import MapKind


@dataclass(frozen=True)
class Windows:
    """Tells where the keys of a windowed map lie.

    Attributes:
        keys: (queries, h * w) whole numbers: the position of each query's keys on the grid, counted by rows; -1 where a
            key is padding outside the grid.
        grid: Height and width of the grid.

    Examples:
        >>> import torch
        >>> from cv_attention.maps import RecordedMap, Windows
        >>> windows = Windows(torch.tensor([[0, 1], [0, 1], [2, 3], [2, 3]]), grid=(2, 2))  # one window per row
        >>> map = RecordedMap(torch.full((1, 1, 4, 1, 2), 0.5), "pairwise", windows=windows)
        >>> map.dense().values[0, 0, 0]  # the first query, on the whole grid
        tensor([[0.5000, 0.5000],
                [0.0000, 0.0000]])
    """

    keys: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True, repr=False)
class RecordedMap:
    """Holds one attention map of a batch.

    Attributes:
        values: The map, shaped as its kind says.
        kind: ``channel`` (B, C, 1, 1), ``spatial`` (B, 1, H, W), ``joint`` (B, C, H, W), ``pairwise``
            (B, heads, queries, H, W), ``alignment`` (B, heads, queries, keys) or ``places`` (B, steps, 2): points
            (x, y) of the image, from -1, its left or upper edge, to 1.
        prefix: Number of class and register tokens before the grid. `values` is the attention among the grid's own
            positions; `from_prefix` and `to_prefix` hold the rest.
        tokens: The whole attention (B, heads, queries, keys) where there is a prefix; its rows sum to 1, those of
            `values` to less. `values` is a view into it.
        windows: Where each query attends to a window only, `values` is (B, heads, queries, h, w) over the positions of
            its window, and this says where they lie; `dense` puts them back in their place.
        extents: Of places: how much was seen around each, (B, steps, scales, 2), half of the width and of the height in
            the unit of the places; None where that is unknown. `place_boxes` makes boxes in pixels of it.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> block = cva.blocks.MultiHeadSelfAttention(8, heads=2)
        >>> with cva.record(block) as maps:
        ...     y = block(torch.randn(1, 8, 3, 4))
        >>> map = maps["map"]
        >>> map.kind, map.values.shape  # (B, heads, queries, H, W)
        ('pairwise', torch.Size([1, 2, 12, 3, 4]))
        >>> map.values.sum((-2, -1)).round().unique()  # each query's weights sum to 1
        tensor([1.])
    """

    values: Tensor
    kind: MapKind
    prefix: int = 0
    tokens: Tensor | None = None
    windows: Windows | None = None
    extents: Tensor | None = None

    @property
    def from_prefix(self) -> Tensor:
        """What the prefix tokens attend to on the grid: (B, heads, prefix, H, W); the class token is the first.

        Raises:
            ValueError: if there are no prefix tokens among the queries.
        """
        if self.tokens is None or self.tokens.shape[2] != self.values.shape[2] + self.prefix:
            raise ValueError(f"{self} has no class or register token among its queries")
        return self.tokens[:, :, : self.prefix, self.prefix :].unflatten(-1, self.values.shape[-2:])

    @property
    def to_prefix(self) -> Tensor:
        """What the queries of `values` attend to among the prefix tokens: (B, heads, queries, prefix).

        Raises:
            ValueError: if there are no prefix tokens among the keys.
        """
        if self.tokens is None:
            raise ValueError(f"{self} has no class or register token among its keys")
        return self.tokens[:, :, -self.values.shape[2] :, : self.prefix]

    def dense(self) -> "RecordedMap":
        """Returns a windowed map over the whole grid, (B, heads, queries, H, W), zero outside windows.

        It is as large as queries times positions: 118 MB for one image in Swin's first stage. Other maps are returned
        as they are.
        """
        if self.windows is None:
            return self
        height, width = self.windows.grid
        flat = self.values.flatten(3)
        keys = self.windows.keys.to(flat.device).expand(flat.shape)
        # padding goes into one more position, which is then cut off
        whole = flat.new_zeros(*flat.shape[:3], height * width + 1)
        whole = whole.scatter_add(3, keys.where(keys >= 0, height * width), flat)
        return RecordedMap(whole[..., :-1].unflatten(3, (height, width)), self.kind)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "RecordedMap":
        """Converts the map to another device or floating type.

        Args:
            device: Device of the result; None keeps it.
            dtype: Floating type of the result; None keeps it.

        Returns:
            A new map.
        """
        return self._map(lambda whole: whole.to(device=device, dtype=dtype))

    def detach(self) -> "RecordedMap":
        """Returns a map with the same values that is detached from the autograd graph."""
        return self._map(Tensor.detach)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "RecordedMap":
        if self.tokens is None:
            return replace(
                self, values=change(self.values), extents=None if self.extents is None else change(self.extents)
            )
        return over_tokens(change(self.tokens), (self.values.shape[-2], self.values.shape[-1]), self.prefix)

    def __repr__(self) -> str:
        extra = f", prefix={self.prefix}" if self.prefix else ""
        extra += f", windows on {by_sizes(self.windows.grid)}" if self.windows else ""
        return f"RecordedMap({self.kind}, {tuple(self.values.shape)}, {span_of(self.values)}{extra})"


def check_map(found: object) -> RecordedMap:
    """Returns `found` if it is one recorded map; ValueError otherwise."""
    if isinstance(found, RecordedMap):
        return found
    what = "all maps of a record; take one, as in maps['name']" if isinstance(found, dict) else type(found).__name__
    raise ValueError(f"a recorded map is needed, one value of what record gives, got {what}")


def place_boxes(map: RecordedMap, size: tuple[int, int]) -> Tensor:
    """Returns the boxes in pixels that a network has looked at.

    Args:
        map: A map of kind ``places`` with `extents`, as the backbones ``glimpse`` and ``spatial_transformer`` give.
        size: Height and width of the images.

    Returns:
        (B, steps, scales, 4) float32: x0, y0, x1, y1 of each patch; the finest first. Boxes may leave the image.

    Raises:
        ValueError: for maps of other kinds, and places without extents.

    Examples:
        >>> import torch
        >>> from cv_attention.maps import RecordedMap, place_boxes
        >>> centre, half = torch.zeros(1, 1, 2), torch.full((1, 1, 1, 2), 0.5)
        >>> place_boxes(RecordedMap(centre, "places", extents=half), (32, 64))  # half of the image's width and height
        tensor([[[[16.,  8., 48., 24.]]]])
    """
    if check_map(map).kind != "places":
        raise ValueError(f"only places have boxes, got kind {map.kind!r}")
    if map.extents is None:
        raise ValueError(f"{map} does not say how much was seen around its places")
    unit = torch.tensor([size[1] / 2, size[0] / 2], device=map.values.device)
    centre, half = (map.values.float()[:, :, None] + 1) * unit, map.extents.float() * unit
    return torch.cat([centre - half, centre + half], -1)


def over_tokens(attention: Tensor, grid: tuple[int, int], prefix: int = 0) -> RecordedMap:
    """Returns attention to the tokens of a grid as a pairwise map.

    Args:
        attention: (B, heads, queries, prefix + H * W). With as many queries as keys, the queries begin with the prefix,
            too; otherwise they are others, such as latents.
        grid: Height H and width W.
        prefix: Number of class and register tokens before the grid.
    """
    rows = prefix if attention.shape[2] == attention.shape[3] else 0
    values = attention[:, :, rows:, prefix:].unflatten(3, grid)
    return RecordedMap(values, "pairwise", prefix, attention if prefix else None)


def over_windows(attention: Tensor, queries: Tensor, keys: Tensor, grid: tuple[int, int]) -> RecordedMap:
    """Returns attention within windows as a pairwise map, queries in the order of the rows of their grid.

    Args:
        attention: (B, heads, windows, queries, keys).
        queries: (windows, queries) position of each query, -1 for padding, which is left out.
        keys: (windows, h, w) position of each key, -1 for padding.
        grid: Height and width of the keys' grid.
    """
    flat = queries.flatten()
    order = flat.argsort(stable=True)[int((flat < 0).sum()) :]
    window = order // queries.shape[1]
    values = attention.flatten(2, 3)[:, :, order.to(attention.device)].unflatten(3, keys.shape[1:])
    return RecordedMap(values, "pairwise", windows=Windows(keys.flatten(1)[window], grid))


def by_sizes(sizes: tuple[int, ...]) -> str:
    """Returns a shape in words: ``2x1x7x7``."""
    return "x".join(map(str, sizes))


def span_of(values: Tensor) -> str:
    """Returns the smallest and the largest value in words."""
    if values.numel() == 0 or values.is_meta:
        return "empty"
    low, high = (float(bound) for bound in values.detach().aminmax())
    return f"{low:.3g}..{high:.3g}"
