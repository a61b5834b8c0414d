"""Additive scores (Bahdanau et al., ICLR 2015), https://arxiv.org/abs/1409.0473."""

from torch import Tensor

from cv_attention.blocks.functional.half_precision import widened, without_autocast


def additive_scores(query: Tensor, key: Tensor, weight: Tensor) -> Tensor:
    """Computes ``v · tanh(q_i + k_j)``, in float32 or wider: the paper's section 3.1 and appendix A.1.2.

    Memory grows with Q * K * d.

    Args:
        query: (..., Q, d), projected already: the paper's W_a s.
        key: (..., K, d), projected already: the paper's U_a h. Its leading axes broadcast with those of `query`.
        weight: v, (..., d), whose leading axes broadcast with those of the others.

    Returns:
        (..., Q, K), in float32, or float64 where the queries are.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, key = torch.tensor([[1.0, 2.0]]), torch.tensor([[-1.0, 9.0]])
        >>> functional.additive_scores(query, key, torch.tensor([5.0, 1.0]))
        tensor([[1.]])
    """
    with without_autocast(query):
        hidden = (widened(query)[..., :, None, :] + widened(key)[..., None, :, :]).tanh()
        return (hidden @ widened(weight)[..., None, :, None])[..., 0]
