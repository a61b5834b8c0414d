"""The weights of scaled dot-product attention against torch's own: with the identity as values, its output is they."""

import pytest
import torch
import torch.nn.functional as F

from cv_attention.maps.attention_weights import additive_mask, attention_weights
from cv_attention.saliency.core.unfused import Unfused

torch.manual_seed(0)
Q, K = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 7, 8)
MASK = torch.rand(2, 1, 5, 7) > 0.4
MASK[..., 0] = True
CALLS = {
    "plain": {},
    "scale": {"scale": 0.7},
    "bool mask": {"attn_mask": MASK},
    "added mask": {"attn_mask": torch.randn(5, 7)},
    "causal": {"is_causal": True},
}


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_they_are_torchs(options):
    values = torch.eye(7).expand(2, 4, 7, 7)
    expected = F.scaled_dot_product_attention(Q, K, values, **options)
    torch.testing.assert_close(attention_weights(Q, K, values, **options), expected)
    with Unfused() as mode:
        torch.testing.assert_close(F.scaled_dot_product_attention(Q, K, values, **options), expected)
    torch.testing.assert_close(mode.seen, [expected])


def test_grouped_queries():
    values = torch.eye(7).expand(2, 2, 7, 7)
    expected = F.scaled_dot_product_attention(Q, K[:, :2], values, enable_gqa=True)
    torch.testing.assert_close(attention_weights(Q, K[:, :2], enable_gqa=True), expected)
    with Unfused() as mode:
        torch.testing.assert_close(F.scaled_dot_product_attention(Q, K[:, :2], values, enable_gqa=True), expected)
    assert mode.seen[0].shape == (2, 4, 5, 7)


def test_products_beyond_half_precision_do_not_overflow():
    """2,048 * 64 * 64 is above float16's 65,504; the scaled product is not."""
    q, k = torch.full((1, 1, 1, 2048), 8.0, dtype=torch.half), torch.full((1, 1, 2, 2048), 8.0, dtype=torch.half)
    k[0, 0, 1] -= 0.25
    expected = attention_weights(q.double(), k.double())
    torch.testing.assert_close(attention_weights(q, k).double(), expected, rtol=0.01, atol=1e-3)


def test_keys_beyond_a_mask_stay():
    mask = torch.tensor([[True, False]])
    assert additive_mask(mask, 4, torch.float32).tolist() == [[0, -torch.inf, 0, 0]]
    assert additive_mask(mask, 3, torch.float32, true_is_kept=False).tolist() == [[-torch.inf, 0, 0]]
