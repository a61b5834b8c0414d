"""Dot-product scores (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025."""

from torch import Tensor

from cv_attention.blocks.functional.half_precision import widened, without_autocast


def dot_scores(query: Tensor, key: Tensor) -> Tensor:
    """Computes ``q_i · k_j``, in float32 or wider: half precision ends at 65,504.

    Paper: Dot-product scores (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025.

    Args:
        query: (..., Q, d), scaled already where they are to be.
        key: (..., K, d), whose leading axes broadcast with those of `query`.

    Returns:
        (..., Q, K), in float32, or float64 where the queries are.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.dot_scores(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]))
        tensor([[11., 17.]])
    """
    with without_autocast(query):
        return widened(query) @ widened(key).transpose(-2, -1)
