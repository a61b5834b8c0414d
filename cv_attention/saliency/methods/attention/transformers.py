"""Implements gradient-weighted attention (Chefer) and attention rollout for transformers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cv_attention.maps.rollouts import chain, residual_share
from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.engine import check_images, check_targets, plain
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs, run
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import grid_of_tokens
from cv_attention.saliency.core.outputs.results import Result
from cv_attention.saliency.core.places.layouts import Grid
from cv_attention.saliency.core.places.lineage import from_images
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets, score_columns
from cv_attention.saliency.core.unfused import Unfused


@explains
def gradient_attention(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes gradient-weighted attention (Chefer et al., ICCV 2021), https://arxiv.org/abs/2103.15679.

    R = product over blocks, last times ... times first, of I + mean_heads(relu(dy / dA * A)). The map is the class
    token's row of R - I; without a class token, the mean over rows. Costs one forward pass and a backward pass per
    target; keeps all attention maps in memory.

    Args:
        model: A transformer with global self-attention over image patches, all blocks on the same grid.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        upsample: Resize to the images' size (bilinear); False keeps the grid of patches.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0.

    Raises:
        ValueError: for bad images or targets, or if the model has no such attention.

    Examples:
        >>> import torch
        >>> from torchvision.models import VisionTransformer
        >>> import cv_attention as cva
        >>> model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=10)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.gradient_attention(model, images, upsample=False).shape  # patches of 8 x 8 pixels
        torch.Size([2, 1, 4, 4])
    """
    images = check_images(images)
    bare = unwrap(model)
    mode = Unfused(bare)
    with undisturbed(bare, images.device.type):
        with torch.enable_grad(), mode:
            pixels = plain(images).requires_grad_()
            result = Result(run(bare, pixels), len(images), type(bare).__name__)
            attention, pool = layers_of_attention(mode.seen, bare, pixels)
            columns = score_columns(result, targets).unbind(1)
            both = [*attention, *([] if pool is None else [pool])]
            # within the mode, so that checkpointed layers run in the same way again
            found = [torch.autograd.grad(s.sum(), both, allow_unused=True, retain_graph=True) for s in columns]
        heats = [
            over_patches(*_relevance(both, gradients, bare, pool is not None), images, bare) for gradients in found
        ]
        return fuse([torch.cat(heats, 1)], images, upsample)


def _relevance(
    attention: list[Tensor], gradients: Sequence[Tensor | None], model: nn.Module, pooled: bool
) -> tuple[Tensor, Tensor | None]:
    """Returns R - I, (B, tokens, tokens), and, with attention pooling as the last, its row (B, 1, tokens) of R."""
    shares = [
        None if gradient is None else (gradient.float() * values.detach().float()).relu().mean(1)
        for values, gradient in zip(attention, gradients, strict=True)  # behind the last use of the class token: None
    ]
    pool = shares.pop() if pooled else None
    layers = [share for share in shares if share is not None]
    if not layers:
        raise ValueError(f"the target scores of {type(model).__name__} do not depend on its attention")
    one = torch.eye(layers[0].shape[-1], device=layers[0].device)
    product = chain(one + share for share in layers)
    return product - one, None if pool is None else pool @ product


@explains
def attention_rollout(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    heads: str = "mean",
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes attention rollout (Abnar and Zuidema, ACL 2020), https://arxiv.org/abs/2005.00928, for any target.

    This is the product over blocks of (A + I) / 2 with rows normalised, A fused over heads. Costs one forward pass.

    Args:
        model: A transformer with global self-attention over image patches, all blocks on the same grid.
        images: Model inputs (B, C, H, W).
        targets: Validated, but without effect.
        heads: How heads are fused: ``mean``, ``max`` or ``min``.
        upsample: Resize to the images' size (bilinear); False keeps the grid of patches.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0, the same map for each of T targets.

    Raises:
        ValueError: for bad images or targets, or if the model has no such attention.

    Examples:
        >>> import torch
        >>> from torchvision.models import VisionTransformer
        >>> import cv_attention as cva
        >>> model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=10)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.attention_rollout(model, images, heads="max").shape
        torch.Size([2, 1, 32, 32])
    """
    layers, pool = residual_attention(model, images, targets, heads)
    product = chain(layers)
    return fuse([over_patches(product, None if pool is None else pool @ product, images, model)], images, upsample)


def residual_attention(
    model: nn.Module, images: Tensor, targets: Targets, heads: str
) -> tuple[list[Tensor], Tensor | None]:
    """Runs the model once and returns (A + I) / 2 of each block, (B, tokens, tokens) float32, rows summing to 1.

    Args:
        model: A transformer with global self-attention over image patches, all blocks on the same grid.
        images: Model inputs (B, C, H, W).
        targets: Checked, though they make no difference.
        heads: How heads are fused: ``mean``, ``max`` or ``min``.

    Returns:
        The blocks' shares, and the weights (B, 1, tokens) of attention pooling behind them, or None.
    """
    images = check_images(images)
    bare = unwrap(model)
    mode = Unfused(bare)
    with undisturbed(bare, images.device.type):
        # enabling gradients disables torch's fast path for whole encoder layers, which hides the attention
        with torch.enable_grad(), mode:
            pixels = plain(images).requires_grad_()
            result = Result(run(bare, pixels), len(images), type(bare).__name__)
        check_targets(result, targets)  # which have no effect
        layers, pool = layers_of_attention(mode.seen, bare, pixels)
        shares = [residual_share(values.detach(), heads) for values in layers]
        return shares, None if pool is None else pool.detach().float().mean(1)


def layers_of_attention(seen: list[Tensor], model: nn.Module, pixels: Tensor) -> tuple[list[Tensor], Tensor | None]:
    """Returns the self-attention maps over one grid of the image, (B, heads, tokens, tokens), and that of a pool.

    Args:
        seen: All attention maps of a forward pass, with their graph.
        model: The model, named in errors.
        pixels: The images, a leaf of the graph. Maps that were not computed from them, as of a text, are left out.

    Returns:
        The maps of the layers, and the map (B, heads, 1, tokens) of a single query behind them, or None.

    Raises:
        ValueError: if there are none, they are over several grids, or some are from other queries than the tokens.
    """
    seen = [one for one, own in zip(seen, from_images(seen, pixels), strict=True) if own and one.dim() == 4]
    square = [a for a in seen if a.shape[-1] == a.shape[-2] and a.shape[-1] > 1]
    name = type(model).__name__
    if not square:
        raise ValueError(
            f"{name} runs no scaled dot-product self-attention over positions; for gates and other blocks' own maps "
            "use block_maps"
        )
    reduced = [a for a in seen if len(a) == len(pixels) and 1 < a.shape[-1] < a.shape[-2]]
    sizes = sorted({a.shape[-1] for a in square} | {a.shape[0] for a in square if a.shape[0] != seen[0].shape[0]})
    if reduced or len({(a.shape[0], a.shape[-1]) for a in square}) > 1:
        sizes = sorted({*sizes, *(a.shape[-2] for a in reduced)})
        raise ValueError(
            f"{name} attends over grids of several sizes ({', '.join(map(str, sizes))} tokens), whose attention cannot "
            "be multiplied; use block_maps or a CAM"
        )
    others = [a for a in seen if a.shape[-1] > a.shape[-2]]
    if not others:
        return square, None
    [tokens] = {a.shape[-1] for a in square}
    if len(others) == 1 and others[0] is seen[-1] and tuple(others[0].shape[-2:]) == (1, tokens):
        return square, others[0]
    queries = ", ".join(f"{a.shape[-2]} to {a.shape[-1]}" for a in others[:4])
    raise ValueError(
        f"{name} also attends from other queries to the image's tokens ({queries}), which a product of self-attention "
        "leaves out; use block_maps or a CAM"
    )


def over_patches(relevance: Tensor, pooled: Tensor | None, images: Tensor, model: nn.Module) -> Tensor:
    """Returns the class token's row of (B, tokens, tokens), or the mean row, over the patches' grid: (B, 1, h, w).

    The class token is the first one before the grid, or the first one behind it. With attention pooling behind the
    layers, `pooled` (B, 1, tokens) is the row.

    Raises:
        ValueError: if the tokens do not form a grid of the images.
    """
    tokens = relevance.shape[-1]
    if len(relevance) != len(images):
        raise ValueError(
            f"attention within windows ({len(relevance)} of them for {len(images)} images) has no row for the whole "
            "image; use block_maps or a CAM"
        )
    grid = patches(model, images, tokens)
    behind = tokens - grid.after
    row = relevance[:, 0] if grid.before else relevance[:, behind] if grid.after else relevance.mean(1)
    row = row if pooled is None else pooled[:, 0]
    return row[:, grid.before : behind].unflatten(1, grid.size).unsqueeze(1)


def patches(model: nn.Module, images: Tensor, tokens: int) -> Grid:
    """Returns where the patches of the images are among `tokens` tokens, as measured; ValueError if they are not."""
    bare = unwrap(model)
    with undisturbed(bare, images.device.type):
        grid = grid_of_tokens(bare, plain(images), tokens)
    if grid is None:
        raise ValueError(f"{tokens} tokens do not form a grid of images of {images.shape[-2]}x{images.shape[-1]}")
    return grid
