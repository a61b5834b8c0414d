"""Bilinear scores, "general" (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025."""

from torch import Tensor

from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.functional.scores.dot import dot_scores


def general_scores(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """Computes ``q_i · W k_j``, in float32 or wider.

    Args:
        query: (..., Q, d).
        key: (..., K, e), whose leading axes broadcast with those of `query`.
        weight: W, (..., d, e), whose leading axes broadcast with those of `query`.

    Returns:
        (..., Q, K), in float32, or float64 where the queries are.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.general_scores(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]]), torch.tensor([[10.0], [1.0]]))
        tensor([[36.]])
    """
    with without_autocast(query):
        return dot_scores(widened(query) @ widened(weight), key)
