"""Implements LeGrad (Bousselham et al., 2024), https://arxiv.org/abs/2404.03214."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.engine import check_images, plain
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs, run
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.outputs.results import Result, bare_logits
from cv_attention.saliency.core.places.lineage import from_images
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets, each_target, fix_targets, has_callable, target_scores
from cv_attention.saliency.core.unfused import Unfused
from cv_attention.saliency.methods.attention.transformers import layers_of_attention, over_patches


@explains
def le_grad(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes LeGrad (Bousselham et al., 2024), https://arxiv.org/abs/2404.03214, from all layers' attention.

    The end of the model, after its last block, is applied to the output of each block, which gives a score for each.
    A layer's map is the positive part of the derivative of its own score with respect to its attention, mean over heads
    and queries; the result is the mean over layers. Where the model has no sequence of equal blocks that attend once
    each, the score of the whole model counts for all layers. Costs one forward pass, and for each target a backward
    pass through about one block per layer.

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
        (B, T, H, W) float32, at least 0, raw: the paper scales each map to [0, 1].

    Raises:
        ValueError: for bad images or targets, or if the model has no such attention.

    Examples:
        >>> import torch
        >>> from torchvision.models import VisionTransformer
        >>> import cv_attention as cva
        >>> model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=10)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.le_grad(model, images, upsample=False).shape  # patches of 8 x 8 pixels
        torch.Size([2, 1, 4, 4])
    """
    images = check_images(images, "le_grad")
    bare = unwrap(model)
    mode, batch = Unfused(bare), len(images)
    with undisturbed(bare, images.device.type):
        with torch.enable_grad(), ExitStack() as stack:
            pixels = plain(images).requires_grad_()
            blocks = _Blocks(bare, mode, pixels, stack)
            with mode:
                output = run(bare, pixels)
            if not any(map(has_callable, each_target(targets))):
                output = bare_logits(output)
            layers = blocks.layers
            joined = Result(output, batch * max(len(layers), 1), type(bare).__name__)
            results = _split(joined, batch)
            attention = [weights for weights, _ in layers] if layers else mode.seen
            attention, pool = layers_of_attention(attention, bare, pixels)
            if pool is not None:
                raise ValueError(f"le_grad does not know the attention pooling of {joined.model}; use block_maps")
            fixed = fix_targets(results[-1], targets)
            parts = results if layers else results * len(attention)
        heats = [_explain(parts, attention, target, images, bare) for target in fixed]
        assert len(heats) == len(each_target(targets))
        return fuse([torch.cat(heats, 1)], images, upsample)


class _Blocks:
    """Hooks the longest sequence of equal blocks, and replaces the output of the last one by those of all of them.

    Of several that are as long, as in models of images and texts, the one that was computed from the images counts.

    Attributes:
        layers: The attention and the output of each block that ran; empty if there is no such sequence.
    """

    def __init__(self, model: nn.Module, mode: Unfused, pixels: Tensor, stack: ExitStack) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self._mode, self._pixels, self._before = mode, pixels, 0
        self._thread = threading.get_ident()  # another one may run the same model
        self._blocks: list[nn.Module] | None = None  # not yet known
        found = [
            list(part)
            for part in model.modules()
            if isinstance(part, nn.Sequential | nn.ModuleList) and len(part) > 1 and len({type(m) for m in part}) == 1
        ]
        found = [blocks for blocks in found if all(len(list(block.modules())) > 3 for block in blocks)]
        longest = max(map(len, found), default=0)
        for blocks in found:
            for block in blocks if len(blocks) == longest else ():
                leave = partial(self._leave, blocks)
                stack.callback(block.register_forward_pre_hook(self._enter).remove)
                stack.callback(block.register_forward_hook(leave).remove)

    def _enter(self, *_: Any) -> None:
        if threading.get_ident() == self._thread:
            self._before = len(self._mode.seen)

    def _leave(self, blocks: list[nn.Module], block: nn.Module, _: Any, output: Any) -> Any:
        if threading.get_ident() != self._thread:
            return None
        tokens = output[0] if isinstance(output, tuple) else output
        if self._blocks is None and isinstance(tokens, Tensor) and from_images([tokens], self._pixels)[0]:
            self._blocks = blocks
        if self._blocks is not blocks:
            return None
        seen = self._mode.seen[self._before :]
        fits = isinstance(tokens, Tensor) and tokens.dim() == 3 and len(seen) == 1
        if not fits or any(tokens.shape != other.shape for _, other in self.layers):
            self._blocks, self.layers = [], []  # another kind of model
            return None
        self.layers.append((seen[0], tokens))
        if block is not blocks[-1]:
            return None
        joined = torch.cat([tokens for _, tokens in self.layers])
        return (joined, *output[1:]) if isinstance(output, tuple) else joined


def _split(joined: Result, batch: int) -> list[Result]:
    """Returns what the model made of each block's output; of dicts and tuples, tensors with an entry for each row."""

    def of(start: int, value: Any) -> Any:
        rows = isinstance(value, Tensor) and value.dim() > 0 and len(value) == joined.batch
        return value[start : start + batch] if rows else value

    starts = range(0, joined.batch, batch)
    return [Result(tree_map(partial(of, start), joined.value), batch, joined.model) for start in starts]


def _explain(
    parts: Sequence[Result], attention: Sequence[Tensor], target: Any, images: Tensor, model: nn.Module
) -> Tensor:
    """Returns the mean over layers of the positive derivatives with respect to their attention, (B, 1, h, w)."""
    rows = []
    with torch.enable_grad():
        for result, weights in zip(parts, attention, strict=True):
            score = target_scores(result, target).sum()
            [g] = torch.autograd.grad(score, weights, retain_graph=True, allow_unused=True)
            if g is not None:
                rows.append(g.float().relu().mean((1, 2)))
    if not rows:
        raise ValueError(f"the target scores of {type(model).__name__} do not depend on its attention")
    row = torch.stack(rows).mean(0)
    return over_patches(row[:, None].expand(-1, row.shape[1], -1), None, images, model)
