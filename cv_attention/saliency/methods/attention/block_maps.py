"""Combines the gates of several stages into one saliency map."""

from typing import Literal

from torch import Tensor, nn

from cv_attention.globs import Globs
from cv_attention.maps import record, to_heatmap
from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.engine import check_images, check_logits, plain
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets, score_columns


@explains
def block_maps(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    only: Globs | None = None,
    combine: Literal["mean", "product"] = "mean",
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """All attention blocks' maps over positions as one, each scaled to [0, 1]; of a single one, itself.

    The maps of all stages are resized to one size; their mean says where any block looks, their product where all of
    them let something through, as gates do one after the other. Pairwise maps count as the attention that each position
    receives, joint ones as their mean over channels; channel maps have no positions and are left out. The same for
    every target, and computed before the classification: it tells where the model looks, not what for. Costs one
    forward.

    Args:
        model: With attention blocks, ours or those that `cv_attention.record` knows.
        images: (B, C, H, W) as the model takes them.
        targets: Makes no difference.
        only: Names or globs of the maps; None takes all.
        combine: ``mean`` or ``product``.
        upsample: Resize to the images' size (bilinear); False takes the largest map's.
        batch_size: Images of one forward at most; larger batches are explained in pieces, of which a callable target
            sees one at a time. None takes all images at once.

    Returns:
        (B, 1, H, W) float32.

    Raises:
        ValueError: for bad images, or if the model has no map over positions.
    """
    if combine not in ("mean", "product"):
        raise ValueError(f"combine must be 'mean' or 'product', got {combine!r}")
    heats = list(block_heatmaps(model, images, targets, only=only).values())
    return fuse(heats, images, upsample, product=combine == "product")


def block_heatmaps(
    model: nn.Module, images: Tensor, targets: Targets = None, *, only: Globs | None = None
) -> dict[str, Tensor]:
    """Returns each block's own map (B, 1, h, w) by name, at its own size; arguments as in `block_maps`."""
    images = check_images(images)
    bare = unwrap(model)
    with undisturbed(bare, images.device.type):
        with record(bare, only=only) as maps:
            logits = check_logits(bare(plain(images)), len(images), bare)
        score_columns(logits, targets)  # wrong ones are told, though they make no difference
        heats = {
            name: to_heatmap(map)
            for name, map in maps.items()
            if map.kind in ("spatial", "joint", "pairwise") and len(map.values) == len(images)
        }
    if not heats:
        kinds = ", ".join(sorted({map.kind for map in maps.values()}))
        raise ValueError(f"{type(bare).__name__} has no attention map over positions, only of kind {kinds}")
    return heats
