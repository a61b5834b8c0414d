"""Gated scores of attention-based multiple-instance learning (Ilse et al., ICML 2018), https://arxiv.org/abs/1802.04712."""

from torch import Tensor

from cv_attention.blocks.functional.half_precision import widened, without_autocast


def gated_scores(key: Tensor, gate: Tensor | None, weight: Tensor) -> Tensor:
    """Computes ``w · (tanh(k_j) * sigmoid(u_j))``, in float32 or wider: equation 9, or 8 without a gate.

    There is no query: the scores are those of a single one that is part of the weights.

    Args:
        key: k, (..., K, d), projected already: the paper's V h.
        gate: u, (..., K, d), projected already: the paper's U h; None leaves the sigmoid out.
        weight: w, (..., d), whose leading axes broadcast with those of `key`.

    Returns:
        (..., 1, K), in float32, or float64 where the keys are.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.gated_scores(torch.tensor([[0.0], [9.0]]), None, torch.tensor([2.0]))
        tensor([[0.0000, 2.0000]])
    """
    with without_autocast(key):
        hidden = widened(key).tanh()
        if gate is not None:
            hidden = hidden * widened(gate).sigmoid()
        return (hidden @ widened(weight)[..., None]).transpose(-2, -1)
