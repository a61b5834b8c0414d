"""Linear attention (Katharopoulos et al., ICML 2020), https://arxiv.org/abs/2006.16236."""

from torch import Tensor

from cv_attention.blocks.functional.attention import Observe
from cv_attention.blocks.functional.half_precision import widened, without_autocast


def attend_linearly(query: Tensor, key: Tensor, value: Tensor, *, observe: Observe | None = None) -> Tensor:
    """Computes ``q_i Σ_j k_j v_jᵀ / (q_i Σ_j k_j + 1e-6)``: attention whose cost is linear in the positions.

    Paper: Linear attention (Katharopoulos et al., ICML 2020), https://arxiv.org/abs/2006.16236.

    Queries and keys are features φ(q) and φ(k) that are not negative, such as ``elu(x) + 1``.

    Args:
        query: φ(q), (B, heads, Q, d).
        key: φ(k), (B, heads, K, d).
        value: (B, heads, K, v).
        observe: Is given the weights of all pairs (B, heads, Q, K), in float32 or wider, and returns those to multiply
            the values by; None computes no weights.

    Returns:
        (B, heads, Q, v), in the dtype of `value`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, key, value = torch.rand(3, 2, 4, 3136, 16).unbind()  # all pairs would be 315 MB
        >>> functional.attend_linearly(query, key, value).shape
        torch.Size([2, 4, 3136, 16])
    """
    # Sums over positions overflow in half precision, and 1e-6 vanishes.
    with without_autocast(value):
        query, key, wide = widened(query), widened(key), widened(value)
        total = query @ key.sum(-2)[..., None] + 1e-6
        if observe is None:
            return (query @ (key.transpose(-2, -1) @ wide) / total).to(value.dtype)
        return (observe(query @ key.transpose(-2, -1) / total) @ wide).to(value.dtype)
