"""Determines which axis of a tensor holds the channels, from the operation that computed it."""

from typing import Any

from torch import Tensor

# Operations by what they say about the axis of the channels in their output.
_CHANNELS_SECOND = {
    "convolution", "native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
    "native_group_norm", "max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d",
}  # fmt: skip
_CHANNELS_LAST = {"native_layer_norm", "_fused_rms_norm", "mm", "addmm", "bmm", "linear", "_softmax"}
_VIEWS = {"view", "_unsafe_view", "reshape", "expand", "_reshape_copy", "view_copy"}

# The shape of a tensor, and the axis of its channels.
Parent = tuple[tuple[int, ...], int | None]


def channel_axis(op: str, args: tuple[Any, ...], out: Tensor, parents: list[Parent]) -> int | None:
    """Returns the axis of the channels in an operation's output; None where it is unknown.

    Args:
        op: Name of the operation.
        args: Its arguments.
        out: What it returned.
        parents: Shape and axis of the channels of each tensor that it took.
    """
    if op in _CHANNELS_SECOND or op.startswith("upsample"):
        return 1
    if op in _CHANNELS_LAST or op.startswith("_scaled_dot_product"):
        return out.dim() - 1
    shape, axis = parents[0]
    rank = len(shape)
    if axis is None:
        return None
    if op in ("squeeze", "unsqueeze"):
        return _axis_of_size_one(op, args, axis, shape)
    if op == "permute":
        return [d % rank for d in args[1]].index(axis)
    if op in ("transpose", "t"):
        one, two = (args[1] % rank, args[2] % rank) if op == "transpose" else (0, rank - 1)
        return {one: two, two: one}.get(axis, axis)
    if op in _VIEWS:
        if out.dim() > axis and tuple(out.shape[: axis + 1]) == shape[: axis + 1]:
            return axis
        return out.dim() - 1 if axis == rank - 1 and out.shape[-1] == shape[-1] else None
    same_rank = [axis for shape, axis in parents if len(shape) == out.dim()]
    return same_rank[0] if same_rank else None


def _axis_of_size_one(op: str, args: tuple[Any, ...], axis: int, shape: tuple[int, ...]) -> int | None:
    """Returns the axis of the channels after axes of size 1 came or went."""
    if op == "unsqueeze":
        return axis + (args[1] % (len(shape) + 1) <= axis)
    given = args[1] if len(args) > 1 else range(len(shape))
    gone = {d % len(shape) for d in ((given,) if isinstance(given, int) else given)}
    gone = {d for d in gone if shape[d] == 1}
    return None if axis in gone else axis - sum(d < axis for d in gone)
