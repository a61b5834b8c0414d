"""Attention and its weights equal torch's own and the equations rewritten plainly."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from cv_attention.blocks.functional import attend, attend_linearly, attention_weights
from tests.blocks.cases import feature_map


def parts(queries=5, keys=7, depth=4, dtype=torch.float32, heads=3):
    sizes = ((queries, depth), (keys, depth), (keys, depth))
    return [feature_map(2, heads, *size, seed=seed, dtype=dtype) for seed, size in enumerate(sizes)]


def plain_weights(query, key, bias=0.0, scale=None):
    """The equation, one query at a time, in float64."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.stack([(q[..., None, :] * key.double()).sum(-1) for q in query.double().unbind(-2)], -2)
    scores = scale * scores + bias
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


MASKS = {
    "none": lambda: {},
    "scale": lambda: {"scale": 0.3},
    "bias": lambda: {"attn_mask": feature_map(2, 1, 5, 7, seed=9)},
    "bias of fewer axes": lambda: {"attn_mask": feature_map(5, 7, seed=9)},
    "hidden keys": lambda: {"attn_mask": torch.zeros(5, 7).masked_fill(torch.eye(5, 7).bool(), -torch.inf)},
    "boolean": lambda: {"attn_mask": feature_map(2, 1, 5, 7, seed=9) > 0},
    "boolean that shows nothing": lambda: {"attn_mask": torch.arange(5)[:, None].expand(5, 7) > 0},
    "boolean for all keys": lambda: {"attn_mask": torch.ones(5, 1, dtype=torch.bool)},
    "causal": lambda: {"is_causal": True},
}


@pytest.mark.parametrize("options", MASKS.values(), ids=MASKS)
def test_weights_are_those_of_torchs_kernel(options):
    query, key, _ = parts()
    options = options()
    # With one-hot values, attention returns its weights.
    values = torch.eye(7).expand(2, 3, 7, 7)
    expected = F.scaled_dot_product_attention(query, key, values, **options)
    assert_close(attention_weights(query, key, **options), expected)


def test_weights_of_grouped_queries_are_those_of_torchs_kernel():
    query, key, _ = parts(heads=6)
    key = key[:, :2]
    values = torch.eye(7).expand(2, 2, 7, 7)
    expected = F.scaled_dot_product_attention(query, key, values, enable_gqa=True)
    assert_close(attention_weights(query, key, enable_gqa=True), expected)


def test_a_bias_for_every_score_goes_one_pass():
    query, key, value = parts(7)
    bias = feature_map(2, 3, 7, 7, seed=9)
    expected = plain_weights(query, key, bias)
    assert_close(attention_weights(query, key, attn_mask=bias).double(), expected, rtol=1e-5, atol=1e-6)
    assert_close(attend(query, key, value, bias=bias), (expected @ value.double()).float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_weights_of_half_precision_are_computed_in_float32(dtype):
    query, key, _ = parts(dtype=dtype)
    query = 2000 * query  # whose scores are beyond 65,504
    weights = attention_weights(query, 100 * key)
    assert weights.dtype == torch.float32
    assert_close(weights.double(), plain_weights(query, 100 * key), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("depth", [4, 6])
@pytest.mark.parametrize("bias", [None, (2, 1, 5, 7), (1, 3, 5, 1)], ids=str)
def test_attention_is_the_equation_seen_or_not(bias, depth, grad):
    query, key, _ = parts()
    value, seen = feature_map(2, 3, 7, depth, seed=4), []
    bias = None if bias is None else feature_map(*bias, seed=9).requires_grad_(grad)
    expected = (plain_weights(query, key, 0.0 if bias is None else bias.double()) @ value.double()).float()
    assert_close(attend(query, key, value, bias=bias), expected)
    assert_close(attend(query, key, value, bias=bias, observe=lambda w: seen.append(w) or w), expected)
    assert_close(seen[0] @ value, expected)


def test_what_looks_may_change_the_weights():
    query, key, value = parts()
    assert_close(attend(query, key, value, observe=torch.zeros_like), torch.zeros(2, 3, 5, 4))


def test_linear_attention_is_the_equation_seen_or_not():
    query, key, value = (part.abs() for part in parts())
    expected, seen = torch.zeros(2, 3, 5, 4), []
    for i in range(5):
        features = (query[:, :, i, None] * key).sum(-1)  # (B, heads, K)
        expected[:, :, i] = (features[..., None] * value).sum(2) / (features.sum(2)[..., None] + 1e-6)
    assert_close(attend_linearly(query, key, value), expected)
    assert_close(attend_linearly(query, key, value, observe=lambda w: seen.append(w) or w), expected)
    assert_close(seen[0].sum(-1), torch.ones(2, 3, 5), rtol=0, atol=1e-4)
