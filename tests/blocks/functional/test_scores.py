"""Scores equal their equations, rewritten plainly: one query and one key at a time."""

import pytest
import torch
from torch.testing import assert_close

from cv_attention.blocks.functional import concat_scores, dot_scores
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
