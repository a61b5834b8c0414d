"""Scores of the concatenated query and key (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025.

Without the tanh of that paper: the non-local block's (Wang et al., CVPR 2018), https://arxiv.org/abs/1711.07971.
"""

from torch import Tensor
from torch.nn import functional as F

from cv_attention.blocks.functional.scores.additive import additive_scores


def concat_scores(query: Tensor, key: Tensor, weight: Tensor, outer: Tensor | None = None) -> Tensor:
    """Computes ``v · tanh(W [q_i, k_j])``, or ``w · [q_i, k_j]`` without a v; no pair is written before its sum.

    Paper: Scores of the concatenated query and key (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025.

    Args:
        query: (..., Q, d).
        key: (..., K, e), whose leading axes are those of `query`.
        weight: w, (1, d + e), or W, (..., h, d + e): its first d columns are for the queries.
        outer: v, (..., h); None stands for the non-local block's scores, which have neither tanh nor v.

    Returns:
        (..., Q, K), in the dtype of `query`; with v in float32, or float64 where the queries are.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, key = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]])
        >>> functional.concat_scores(query, key, torch.tensor([[1.0, 1.0, 10.0]]))
        tensor([[33., 43.]])
    """
    first, second = weight.to(query.dtype).split([query.shape[-1], key.shape[-1]], dim=-1)
    if outer is None:
        return F.linear(query, first) + F.linear(key, second).transpose(-2, -1)
    return additive_scores(query @ first.transpose(-2, -1), key @ second.transpose(-2, -1), outer)
