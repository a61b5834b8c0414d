"""Maps from the attention of transformers: Chefer's gradient-weighted attention, and rollout."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cv_attention.maps.grids import grid_of
from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.engine import check_images, check_logits, plain
from cv_attention.saliency.fusion import fuse
from cv_attention.saliency.state import undisturbed
from cv_attention.saliency.targets import Targets, target_scores
from cv_attention.saliency.unfused import Unfused


def gradient_attention(model: nn.Module, images: Tensor, targets: Targets = None, *, upsample: bool = True) -> Tensor:
    """Gradient-weighted attention (Chefer et al., ICCV 2021), https://arxiv.org/abs/2103.15679, for self-attention.

    R = product over blocks, last times ... times first, of I + mean_heads(relu(dy / dA * A)). The map is the class
    token's row of R - I; without a class token, the mean over rows. Costs one forward and backward and holds every
    attention.

    Args:
        model: A transformer with global self-attention over patches of the image, all blocks on one grid.
        images: (B, C, H, W) as the model takes them.
        targets: As in `grad_cam`.
        upsample: Resize to the images' size (bilinear); False keeps the grid of patches.

    Returns:
        (B, 1, H, W) float32, at least 0.

    Raises:
        ValueError: for bad images or targets, or if the model has no such attention.
    """
    images = check_images(images)
    bare = unwrap(model)
    mode = Unfused()
    with undisturbed(bare, images.device.type):
        with torch.enable_grad(), mode:
            entrance = plain(images).requires_grad_()
            logits = check_logits(bare(entrance), len(images), bare)
            attention = _square(mode.seen, bare)
            scores = target_scores(logits, targets)
            gradients = torch.autograd.grad(scores.sum(), attention, allow_unused=True)
        product = None
        for values, gradient in zip(attention, gradients, strict=True):
            if gradient is None:  # what comes after the last use of the class token
                continue
            share = (gradient.float() * values.detach().float()).relu().mean(1)
            share = share + torch.eye(share.shape[-1], device=share.device)
            product = share if product is None else share @ product
        if product is None:
            raise ValueError(f"the target scores of {type(bare).__name__} do not depend on its attention")
        return fuse([_patches(product - torch.eye(product.shape[-1], device=product.device), images)], images, upsample)


def attention_rollout(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    heads: str = "mean",
    upsample: bool = True,
) -> Tensor:
    """Attention rollout (Abnar and Zuidema, ACL 2020), https://arxiv.org/abs/2005.00928: the same for every target.

    The product over blocks of (A + I) / 2 with rows normalised, A fused over heads. Costs one forward.

    Args:
        model: As in `gradient_attention`; so are `images` and `upsample`.
        images: Likewise.
        targets: Makes no difference.
        heads: How heads are fused: ``mean``, ``max`` or ``min``.
        upsample: Likewise.
    """
    fuse_heads: dict[str, Callable[[Tensor], Tensor]] = {
        "mean": lambda a: a.mean(1), "max": lambda a: a.amax(1), "min": lambda a: a.amin(1)
    }  # fmt: skip
    if heads not in fuse_heads:
        raise ValueError(f"heads must be one of {', '.join(fuse_heads)}, got {heads!r}")
    images = check_images(images)
    bare = unwrap(model)
    mode = Unfused()
    with undisturbed(bare, images.device.type):
        # asking for gradients keeps torch's fast path of whole encoder layers away, which has no attention to see
        with torch.enable_grad(), mode:
            logits = check_logits(bare(plain(images).requires_grad_()), len(images), bare)
        target_scores(logits, targets)  # wrong ones are told
        product = None
        for values in _square(mode.seen, bare):
            share = fuse_heads[heads](values.detach().float())
            share = (share + torch.eye(share.shape[-1], device=share.device)) / 2
            share = share / share.sum(-1, keepdim=True)
            product = share if product is None else share @ product
        assert product is not None
        return fuse([_patches(product, images)], images, upsample)


def _square(seen: list[Tensor], model: nn.Module) -> list[Tensor]:
    """The self-attentions of one grid among what was seen."""
    square = [a for a in seen if a.dim() == 4 and a.shape[-1] == a.shape[-2] and a.shape[-1] > 1]
    if not square:
        raise ValueError(
            f"{type(model).__name__} runs no scaled dot-product self-attention over positions; for gates and other "
            "blocks' own maps take block_maps"
        )
    sizes = sorted({a.shape[-1] for a in square} | {a.shape[0] for a in square if a.shape[0] != seen[0].shape[0]})
    if len({(a.shape[0], a.shape[-1]) for a in square}) > 1:
        raise ValueError(
            f"{type(model).__name__} attends over grids of several sizes ({', '.join(map(str, sizes))} tokens), whose "
            "attention cannot be multiplied; take block_maps or a CAM"
        )
    return square


def _patches(relevance: Tensor, images: Tensor) -> Tensor:
    """(B, tokens, tokens) -> (B, 1, h, w): the class token's row, or the mean row, over the patches' grid."""
    tokens = relevance.shape[-1]
    if len(relevance) != len(images):
        raise ValueError(
            f"attention within windows ({len(relevance)} of them for {len(images)} images) has no row for the whole "
            "image; take block_maps or a CAM"
        )
    grid = grid_of(tokens, images.shape[-2] / images.shape[-1])
    if grid is None:
        raise ValueError(f"{tokens} tokens are no grid of images of {images.shape[-2]}x{images.shape[-1]}")
    extra = tokens - grid[0] * grid[1]
    row = relevance[:, 0] if extra else relevance.mean(1)
    return row[:, extra:].unflatten(1, grid).unsqueeze(1)
