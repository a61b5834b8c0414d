"""Scores of the concatenated query and key (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025.

Without the tanh of that paper: as in the non-local block (Wang et al., CVPR 2018), https://arxiv.org/abs/1711.07971.
"""

from torch import Tensor
from torch.nn import functional as F


def concat_scores(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """Computes ``w · [q_i, k_j]`` without writing the pairs: ``w_1 · q_i + w_2 · k_j``.

    Paper: Scores of the concatenated query and key (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025.

    Args:
        query: (..., Q, d).
        key: (..., K, e), whose leading axes are those of `query`.
        weight: w, (1, d + e): its first d numbers are for the queries.

    Returns:
        (..., Q, K), in the dtype of `query`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, key = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]])
        >>> functional.concat_scores(query, key, torch.tensor([[1.0, 1.0, 10.0]]))
        tensor([[33., 43.]])
    """
    first, second = weight.to(query.dtype).split([query.shape[-1], key.shape[-1]], dim=1)
    return F.linear(query, first) + F.linear(key, second).transpose(-2, -1)
