"""The weights that `Unfused` keeps against torch's own: with the identity as values, attention returns its weights."""

import pytest
import torch
import torch.nn.functional as F

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
    with Unfused() as mode:
        torch.testing.assert_close(F.scaled_dot_product_attention(Q, K, values, **options), expected)
    torch.testing.assert_close(mode.seen, [expected])


def test_grouped_queries():
    values = torch.eye(7).expand(2, 2, 7, 7)
    expected = F.scaled_dot_product_attention(Q, K[:, :2], values, enable_gqa=True)
    with Unfused() as mode:
        torch.testing.assert_close(F.scaled_dot_product_attention(Q, K[:, :2], values, enable_gqa=True), expected)
    assert mode.seen[0].shape == (2, 4, 5, 7)
