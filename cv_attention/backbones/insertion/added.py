"""Counts the FLOPs that a block adds per image, for hosts that run several times or at several sizes."""

from collections import Counter

from torch import nn

from cv_attention.backbones.attachment.on_patches import block_of
from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.attachment.replacement import Replacement
from cv_attention.backbones.insertion.rehearsal import conv_flops, rehearse
from cv_attention.backbones.positions.traced_site import shape_of
from cv_attention.backbones.tracing.trace import Trace


def added_flops(
    seen: Trace,
    host: str,
    place: Place,
    block: nn.Module,
    label: str,
    replaced: nn.Conv2d | None,
    known: dict[tuple[int, int, int], int],
) -> int:
    """Returns floating-point operations for one image, a multiply-add as two.

    A host may take more maps than the model takes images, as a detector's head for regions does, or fewer.

    Args:
        seen: The dry run.
        host: Name of the block's host.
        place: Where the block is relative to its host.
        block: The block.
        label: How messages call it.
        replaced: A convolution that the block replaces, whose operations are subtracted.
        known: Operations of the block on one map, by the map's shape (C, H, W), as far as they are known.
    """
    maps: Counter[tuple[int, int, int]] = Counter()
    for call in seen.calls.get(host, ()):
        value = call.output if place == "after" else call.first
        if value is not None:
            maps[shape_of(value)] += value.shape[0]
    total = 0
    for shape, count in maps.items():
        one = known[shape] if shape in known else rehearse(block, shape, host, label).flops
        total += count * (one - (0 if replaced is None else conv_flops(replaced, shape)))
    return round(total / seen.batch)


def attached_flops(seen: Trace, name: str, host: nn.Module, child: str, place: Place) -> int:
    """Returns the operations of a block that is there already, which the dry run left out."""
    replaced = host.conv if place == "instead" and isinstance(host, Replacement) else None
    return added_flops(seen, name, place, block_of(host.get_submodule(child)), child, replaced, {})
