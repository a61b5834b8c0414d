"""Follows the patches of an image through a forward: the axis of a tensor along which they lie, among other tokens."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

# Operations that keep the order of elements in memory.
_VIEWS = {"view", "_unsafe_view", "reshape", "_reshape_copy", "view_copy", "_reshape_alias", "squeeze", "unsqueeze"}
# Operations whose rows are those of one operand, by that operand's place.
_ROWS = {
    "mm": 0, "bmm": 0, "linear": 0, "addmm": 1, "baddbmm": 1, "_native_multi_head_attention": 0,
    "_transformer_encoder_layer_fwd": 0,
}  # fmt: skip
# Operations that change axes.
_PERMUTING, _CUTTING, _DROPPING = {"permute", "transpose"}, {"slice", "split", "split_with_sizes"}, {"select", "unbind"}
# Operations that may keep a shape and move or mix positions.
_MIXING = {
    "convolution", "roll", "flip", "index", "gather", "index_select", "take", "sort", "index_put", "index_put_",
    "cumsum", "scatter", "scatter_", "masked_scatter", "masked_scatter_", "repeat", "t",
}  # fmt: skip

# The axis of the tokens, or the two of the grid.
_Axes = tuple[int, ...]


@dataclass(frozen=True)
class Tokens:
    """Describes the axis of a tensor along which the positions of a feature map lie, between other tokens.

    Attributes:
        left: Product of the axes before it.
        count: Number of tokens along it.
        first: Number of tokens before the patches, such as a class token and registers.
        grid: Height and width (h, w) of the feature map, whose rows follow one another.
        source: Index of the value that was the feature map.
    """

    left: int
    count: int
    first: int
    grid: tuple[int, int]
    source: int

    @property
    def last(self) -> int:
        """Number of tokens behind the patches."""
        return self.count - self.first - math.prod(self.grid)

    @property
    def place(self) -> tuple[int, int, tuple[int, int]]:
        """What two tensors share whose tokens stand for the same positions."""
        return self.count, self.first, self.grid


def of_feature_map(shape: tuple[int, ...], source: int) -> Tokens:
    """Describes the positions of a feature map (B, C, H, W) itself."""
    return Tokens(shape[0] * shape[1], shape[2] * shape[3], 0, (shape[2], shape[3]), source)


def follow(
    op: str, args: tuple[Any, ...], out: Tensor, number: int, known: Callable[[Any], Tokens | None]
) -> Tokens | None:
    """Returns where the patches are in an operation's output; None where there are none, or nobody knows.

    Args:
        op: Name of the operation.
        args: Its arguments.
        out: What it returned, or one of several tensors.
        number: Which of them.
        known: Returns where the patches are in an argument.
    """
    if op in _MIXING:
        return None
    if op == "cat":
        return _joined(args, tuple(out.shape), known)
    changes = op in _PERMUTING | _CUTTING | _DROPPING or op == "expand"
    rows = op in _ROWS or op.startswith("_scaled_dot_product")
    if rows:
        taken = [args[_ROWS.get(op, 0)]]
    elif op in _VIEWS or changes:
        taken = [args[0]]
    else:
        taken = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.shape == out.shape]
    found = [(tensor, tokens) for tensor in taken if (tokens := known(tensor)) is not None]
    if not found or len({tokens.place for _, tokens in found}) > 1:
        return None
    before, tokens = found[0]
    if rows:
        right = before.numel() // (tokens.left * tokens.count)
        return tokens if right % before.shape[-1] == 0 and out.numel() % (tokens.left * tokens.count) == 0 else None
    return _changed(op, args, tuple(before.shape), tuple(out.shape), number, tokens) if changes else tokens


def _axes(tokens: Tokens, shape: tuple[int, ...]) -> _Axes | None:
    """Returns the axis of the tokens, or the two of the grid; None where they are part of other axes."""
    for axis, size in enumerate(shape):
        if math.prod(shape[:axis]) == tokens.left:
            if size == tokens.count:
                return (axis,)
            if tokens.count == math.prod(tokens.grid) and shape[axis : axis + 2] == tokens.grid:
                return axis, axis + 1
    return None


def _moved(tokens: Tokens, axis: int, shape: tuple[int, ...]) -> Tokens | None:
    """Returns the tokens at an axis of a new shape, if they can be there."""
    moved = replace(tokens, left=math.prod(shape[:axis]))
    return None if _axes(moved, shape) is None else moved


def _changed(
    op: str, args: tuple[Any, ...], before: tuple[int, ...], after: tuple[int, ...], number: int, tokens: Tokens
) -> Tokens | None:
    """Follows operations that permute, cut, drop or add axes."""
    axes, rank = _axes(tokens, before), len(before)
    if axes is None:
        return None
    if op in _PERMUTING:
        return _permuted(args, rank, axes, after, tokens)
    if op in _CUTTING:
        return _cut(op, args, before, after, number, axes, tokens)
    if op in _DROPPING:
        axis = (args[1] if len(args) > 1 else 0) % rank
        return None if axis in axes else _moved(tokens, axes[0] - (axis < axes[0]), after)
    return _moved(tokens, axes[0] + len(after) - rank, after)  # expand


def _permuted(args: tuple[Any, ...], rank: int, axes: _Axes, after: tuple[int, ...], tokens: Tokens) -> Tokens | None:
    if len(args) == 2:
        order = [axis % rank for axis in args[1]]
    else:
        order, one, two = list(range(rank)), args[1] % rank, args[2] % rank
        order[one], order[two] = two, one
    now = [order.index(axis) for axis in axes]
    in_order = len(now) == 1 or now[1] == now[0] + 1
    return _moved(tokens, now[0], after) if in_order else None


def _cut(
    op: str, args: tuple[Any, ...], before: tuple[int, ...], after: tuple[int, ...], number: int, axes: _Axes,
    tokens: Tokens,
) -> Tokens | None:  # fmt: skip
    if op == "slice":
        given: list[Any] = [0, 0, None, 1]  # the defaults of axis, start, end and step
        given[: len(args) - 1] = args[1:]
        axis, start, step = given[0], given[1], given[3]
    else:
        _, sizes, *rest = args
        axis, step = rest[0] if rest else 0, 1
        start = number * sizes if op == "split" else sum(sizes[:number])
    axis, start = axis % len(before), start or 0
    if axis not in axes:
        return _moved(tokens, axes[0], after)
    if len(axes) == 2 or step != 1:
        return None
    kept = replace(tokens, first=tokens.first - (start + before[axis] if start < 0 else start), count=after[axis])
    return _moved(kept, axis, after) if kept.first >= 0 and kept.last >= 0 else None


def _joined(args: tuple[Any, ...], after: tuple[int, ...], known: Callable[[Any], Tokens | None]) -> Tokens | None:
    parts, axis = args[0], (args[1] if len(args) > 1 else 0) % len(after)
    found = [(number, tokens) for number, part in enumerate(parts) if (tokens := known(part)) is not None]
    if not found:
        return None
    number, tokens = found[0]
    axes = _axes(tokens, tuple(parts[number].shape))
    if axes is None:
        return None
    if axis not in axes:
        return _moved(tokens, axes[0], after) if len({tokens.place for _, tokens in found}) == 1 else None
    if len(found) > 1 or len(axes) == 2:
        return None
    before = sum(part.shape[axis] for part in parts[:number])
    return _moved(replace(tokens, first=tokens.first + before, count=after[axis]), axis, after)
