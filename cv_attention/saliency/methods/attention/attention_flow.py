"""Implements attention flow (Abnar and Zuidema, ACL 2020), https://arxiv.org/abs/2005.00928."""

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.extras import require_for
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.places.layouts import Grid
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.attention.transformers import over_patches, patches, residual_attention


@explains
def attention_flow(
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
    """Computes how much each patch can send to the class token, with attention as edge capacity (attention flow).

    This is attention flow (Abnar and Zuidema, ACL 2020), https://arxiv.org/abs/2005.00928. For each patch, it is the
    maximum flow through the layered graph with edge capacities (A + I) / 2 to the class
    token of the last block; without a class token, to all of its tokens, divided by their number. While rollout
    multiplies along paths and sums over them, a flow is limited by the smallest capacity of each path. The map is the
    same for every target. Computes a maximum flow for each patch of each image on the CPU: slow, and meant for few
    images.

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
        (B, 1, H, W) float32 in [0, 1].

    Raises:
        MissingPackage: if scipy is not installed.
        ValueError: for bad images or targets, or if the model has no such attention.

    Examples:
        >>> import torch
        >>> from torchvision.models import VisionTransformer
        >>> import cv_attention as cva
        >>> model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=10)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.attention_flow(model, images, upsample=False).shape
        torch.Size([2, 1, 4, 4])
    """
    require_for("attention_flow")
    layers, pool = residual_attention(model, images, targets, heads)
    if pool is not None:
        raise ValueError(f"{type(model).__name__} pools its tokens by attention, which attention_flow does not follow")
    shares = torch.stack(layers, 1).double().cpu()
    tokens = shares.shape[-1]
    if len(shares) != len(images):
        over_patches(shares[:, 0], None, images, model)  # attention within windows is refused
    grid = patches(model, images, tokens)
    order = _grid_last(grid, tokens)
    shares = shares[:, :, order][:, :, :, order]
    extra = grid.before + grid.after
    flows = np.stack([patch_flows(of_image.numpy(), extra) for of_image in shares])
    heat = torch.tensor(flows, dtype=torch.float32).unflatten(1, grid.size).unsqueeze(1)
    return fuse([heat.to(images.device)], images, upsample)


def _grid_last(grid: Grid, tokens: int) -> list[int]:
    """Returns the order of the tokens in which those of the grid come last."""
    behind = tokens - grid.after
    return [*range(grid.before), *range(behind, tokens), *range(grid.before, behind)]


def patch_flows(shares: np.ndarray, extra: int) -> np.ndarray:
    """Returns each patch's maximum flow to the last layer's class token, or to all of its tokens / their number.

    Args:
        shares: Capacities (layers, tokens, tokens) of the edges from a token (column) to one of the next layer (row).
        extra: Tokens before the patches; the first of them is the class token, 0 means that there is none.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    layers, tokens, _ = shares.shape
    sink = (layers + 1) * tokens
    read = np.arange(1 if extra else tokens, dtype=np.int32)  # older scipy accepts no other index type
    unit = (1 << 30) // len(read)  # scipy's flows are 32-bit integers
    targets, sources = np.divmod(np.arange(tokens * tokens, dtype=np.int32), tokens)
    start = [level * tokens + sources for level in range(layers)]
    end = [(level + 1) * tokens + targets for level in range(layers)]
    capacity = [np.rint(share.ravel() * unit).astype(np.int32) for share in shares]
    start.append(layers * tokens + read)
    end.append(np.full(len(read), sink, dtype=np.int32))
    capacity.append(np.full(len(read), unit, dtype=np.int32))
    edges = (np.concatenate(capacity), (np.concatenate(start), np.concatenate(end)))
    graph = csr_array(edges, shape=(sink + 1, sink + 1), dtype=np.int32)
    graph.eliminate_zeros()
    flows = [maximum_flow(graph, patch, sink).flow_value for patch in range(extra, tokens)]
    return np.array(flows) / (unit * len(read))
