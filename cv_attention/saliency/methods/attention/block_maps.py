"""Combines the gates of several stages into one saliency map."""

from typing import Literal

from torch import Tensor, nn

from cv_attention.globs import Globs
from cv_attention.maps import record, to_heatmap
from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.engine import check_images, check_targets, plain
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs, run
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.outputs.results import Result
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets


@explains
def block_maps(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    only: Globs | None = None,
    combine: Literal["mean", "product"] = "mean",
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Combines the spatial maps of all attention blocks, each scaled to [0, 1]; a single map is returned unscaled.

    The maps of all stages are resized to one size; their mean shows where any block attends, their product where all of
    them do, like gates in series. Pairwise maps enter as the attention that each position receives, joint ones as their
    mean over channels; channel maps have no positions and are left out. The map is the same for every target: it shows
    where the model attends, not for which class. Costs one forward pass.

    Args:
        model: A model with attention blocks, ours or others that `cv_attention.record` supports.
        images: Model inputs (B, C, H, W).
        targets: Validated, but without effect.
        only: Names or globs of the maps; None uses all.
        combine: ``mean`` or ``product``.
        upsample: Resize to the images' size (bilinear); False uses the size of the largest map.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, 1, H, W) float32.

    Raises:
        ValueError: for bad images, or if the model has no map over positions.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> plan = cva.insert(model, "cbam", at="stage")
        >>> cva.saliency.block_maps(model, torch.randn(2, 3, 32, 32), combine="product").shape
        torch.Size([2, 1, 32, 32])
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
            result = Result(run(bare, plain(images)), len(images), type(bare).__name__)
        check_targets(result, targets)  # which have no effect
        heats = {
            name: to_heatmap(map)
            for name, map in maps.items()
            if map.kind in ("spatial", "joint", "pairwise") and len(map.values) == len(images)
        }
    if not heats:
        kinds = ", ".join(sorted({map.kind for map in maps.values()}))
        raise ValueError(f"{type(bare).__name__} has no attention maps over positions, only of kind {kinds}")
    return heats
