"""Scores equal their equations, rewritten plainly: one query and one key at a time."""

import math

import pytest
import torch
from torch.testing import assert_close

from cv_attention.blocks.functional import (
    additive_scores,
    concat_scores,
    dot_scores,
    gated_scores,
    general_scores,
    local_scores,
)
from tests.blocks.cases import feature_map


def one_by_one(query, key, score):
    return torch.stack([torch.stack([score(q, k) for k in key.unbind(-2)], -1) for q in query.unbind(-2)], -2)


def test_dot():
    query, key = feature_map(2, 3, 4, 5), feature_map(2, 3, 6, 5, seed=2)
    assert_close(dot_scores(query, key), one_by_one(query, key, lambda q, k: (q * k).sum(-1)))


@pytest.mark.parametrize("autocast", [False, True])
def test_dot_of_half_precision_does_not_overflow(autocast):
    query = torch.full((1, 2, 4), 300.0, dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        scores = dot_scores(query, query)
    assert scores.dtype == torch.float32
    assert scores.tolist() == [[[360_000.0] * 2] * 2]


def test_concat():
    query, key, weight = feature_map(2, 4, 5), feature_map(2, 6, 3, seed=2), feature_map(1, 8, seed=3)
    expected = one_by_one(query, key, lambda q, k: torch.cat([q, k], -1) @ weight[0])
    assert_close(concat_scores(query, key, weight), expected)


def test_concat_with_tanh():
    query, key = feature_map(2, 4, 5), feature_map(2, 6, 3, seed=2)
    weight, outer = feature_map(7, 8, seed=3), feature_map(7, seed=4)
    expected = one_by_one(query, key, lambda q, k: torch.tanh(torch.cat([q, k], -1) @ weight.T) @ outer)
    assert_close(concat_scores(query, key, weight, outer), expected)


def test_concat_with_weights_for_each_head():
    query, key = feature_map(2, 3, 4, 5), feature_map(2, 3, 6, 5, seed=2)
    weight, outer = feature_map(3, 7, 10, seed=3), feature_map(3, 7, seed=4)
    heads = [concat_scores(query[:, h], key[:, h], weight[h], outer[h]) for h in range(3)]
    assert_close(concat_scores(query, key, weight, outer), torch.stack(heads, 1))


def test_additive():
    query, key, weight = feature_map(2, 3, 4, 5), feature_map(2, 3, 6, 5, seed=2), feature_map(3, 5, seed=3)
    expected = one_by_one(query, key, lambda q, k: (weight * torch.tanh(q + k)).sum(-1))
    assert_close(additive_scores(query, key, weight), expected)
    assert_close(additive_scores(query[:1], key, weight)[0], expected[0])


def test_general():
    query, key, weight = feature_map(2, 3, 4, 5), feature_map(2, 3, 6, 7, seed=2), feature_map(3, 5, 7, seed=3)
    expected = one_by_one(query, key, lambda q, k: torch.einsum("bhd,hde,bhe->bh", q, weight, k))
    assert_close(general_scores(query, key, weight), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gated", [True, False])
def test_gated(gated):
    key, gate, weight = feature_map(2, 3, 6, 5), feature_map(2, 3, 6, 5, seed=2), feature_map(3, 5, seed=3)
    factor = 1 / (1 + torch.exp(-gate)) if gated else torch.ones_like(gate)
    expected = [(weight * torch.tanh(key[:, :, j]) * factor[:, :, j]).sum(-1) for j in range(6)]
    assert_close(gated_scores(key, gate if gated else None, weight), torch.stack(expected, -1)[:, :, None])


@pytest.mark.parametrize("window", [True, False])
def test_local(window):
    centre = torch.tensor([[2.5, 0.0], [1.75, 6.0]], dtype=torch.float64)
    scores = local_scores(centre, (5, 6), 2, window=window)
    for sample, (row, column) in enumerate(centre.tolist()):
        for i in range(5):
            for j in range(6):
                down, across = i + 0.5 - row, j + 0.5 - column
                gaussian = math.exp(-(down**2 + across**2) / (2 * (2 / 2) ** 2))
                expected = 0.0 if window and max(abs(down), abs(across)) > 2 else gaussian
                assert scores[sample, 6 * i + j].exp().item() == pytest.approx(expected)


@pytest.mark.parametrize("score", [additive_scores, lambda q, k, w: gated_scores(k, k, w)])
def test_scores_of_half_precision_are_wide(score):
    key = torch.full((1, 2, 4), 300.0, dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = score(torch.zeros_like(key), key, torch.full((4,), 30_000.0, dtype=torch.float16))
    assert scores.dtype == torch.float32
    assert scores.unique().tolist() == [120_000.0]
