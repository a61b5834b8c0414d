"""The mathematics that blocks share, as functions of tensors that hold no parameters.

- `attention`: scaled dot-product attention, with or without its weights; `linear`: attention without a softmax;
  `local`: attention within tiles of a feature map; `graph`: nodes and edges, of a grid or of an image's segments.
- `scores`: what a query and a key make of each other before the softmax, one file per kind.
- `relative`, `rotary`, `sincos`, `fourier`: positions.
- `pooling`, `norms`: statistics of a feature map; `gating`: how a gate multiplies it.
- `layout`: between feature maps and rows of positions; `half_precision`: steps that leave its range.

Examples:
    >>> import torch
    >>> from cv_attention.blocks import functional
    >>> query, key, value = torch.randn(3, 2, 4, 49, 16).unbind()
    >>> y = functional.attend(query, key, value)  # the fastest kernel; no weights are kept
    >>> weights = functional.attention_weights(query, key)  # (..., queries, keys), rows sum to 1
    >>> torch.allclose(weights @ value, y, atol=1e-5)
    True
"""

from cv_attention.blocks.functional.attention import attend, attention_weights
from cv_attention.blocks.functional.fourier import fourier_features, grid_positions
from cv_attention.blocks.functional.gating import gate_by_row_and_column, over_start, softmax_gate, spread, times
from cv_attention.blocks.functional.graph import LabelGraph, from_labels, grid_edges, paint
from cv_attention.blocks.functional.half_precision import run_wide, widened, without_autocast
from cv_attention.blocks.functional.layout import expanded_like, laid_out_as, project, to_map, to_tokens
from cv_attention.blocks.functional.linear import attend_linearly
from cv_attention.blocks.functional.local import attend_in_tiles, cut, join
from cv_attention.blocks.functional.norms import l2_norm
from cv_attention.blocks.functional.pooling import average, channel_max, channel_mean, spatial_max
from cv_attention.blocks.functional.relative import relative_bias, relative_index, relative_logits
from cv_attention.blocks.functional.rotary import rotate_2d
from cv_attention.blocks.functional.scores import (
    additive_scores,
    concat_scores,
    dot_scores,
    gated_scores,
    general_scores,
    local_scores,
)
from cv_attention.blocks.functional.sincos import sincos_2d

__all__ = [
    "LabelGraph", "additive_scores", "attend", "attend_in_tiles", "attend_linearly", "attention_weights", "average",
    "channel_max", "channel_mean", "concat_scores", "cut", "dot_scores", "expanded_like", "fourier_features",
    "from_labels", "gate_by_row_and_column", "gated_scores", "general_scores", "grid_edges", "grid_positions", "join",
    "l2_norm", "laid_out_as", "local_scores", "over_start", "paint", "project", "relative_bias", "relative_index",
    "relative_logits", "rotate_2d", "run_wide", "sincos_2d", "softmax_gate", "spatial_max", "spread", "times", "to_map",
    "to_tokens", "widened", "without_autocast",
]  # fmt: skip
