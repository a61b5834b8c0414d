"""Relative, rotary and absolute positions equal timm's, or their equations rewritten plainly."""

import timm.layers
import torch
from torch.testing import assert_close

from cv_attention.blocks.functional import relative_bias, relative_index, relative_logits, rotate_2d, sincos_2d
from tests.blocks.cases import feature_map


def test_positions_are_timms():
    theirs = timm.layers.build_sincos2d_pos_embed([3, 5], 32).unflatten(1, (2, 2, 8))
    # timm's order is sin rows, sin columns, cos rows, cos columns.
    assert_close(sincos_2d(32, 3, 5), theirs.transpose(1, 2).reshape(3, 5, 32))
    # What no quarter can hold is zero, and the rest as without it.
    assert_close(sincos_2d(35, 3, 5), torch.cat([sincos_2d(32, 3, 5), torch.zeros(3, 5, 3)], 2))


def test_rotary_positions_are_timms_and_relative():
    x = feature_map(2, 3, 15, 8)
    sin, cos = timm.layers.build_rotary_pos_embed([3, 5], dim=8, temperature=100.0, in_pixels=False)
    assert_close(rotate_2d(x, 3, 5), timm.layers.apply_rot_embed(x, sin, cos))
    # The same query and key everywhere: the logits depend on the offset alone.
    q, k = (rotate_2d(feature_map(1, 1, 1, 11, seed=seed).expand(1, 1, 15, 11), 3, 5)[0, 0] for seed in (2, 3))
    logits = (q @ k.T).unflatten(0, (3, 5)).unflatten(2, (3, 5))
    assert_close(logits[1:, 1:, 1:, 1:], logits[:-1, :-1, :-1, :-1])


def test_offsets_are_numbered_and_clipped():
    index = relative_index(torch.tensor([0, 3]), torch.tensor([0, 1, 5]), reach=3)
    assert index.tolist() == [[2, 3, 4], [0, 0, 4]]  # offsets 0, 1, 5 and -3, -2, 2


def test_a_relative_bias_is_looked_up_by_both_offsets():
    heads, reach = 2, (2, 3)
    table = feature_map(3 * 5, heads)
    rows, columns = (torch.arange(length)[:, None] - torch.arange(length) for length in (2, 4))
    bias = relative_bias(table, rows[None], columns[None], reach)
    assert bias.shape == (heads, 1, 8, 8)
    for query in range(8):
        for key in range(8):
            down, across = query // 4 - key // 4, query % 4 - key % 4
            place = (max(min(down, 1), -1) + 1) * 5 + max(min(across, 2), -2) + 2
            assert_close(bias[:, 0, query, key], table[place])


def test_relative_logits_are_products_with_clipped_vectors():
    query, rows, columns = feature_map(2, 6, 4), feature_map(3, 4, seed=2), feature_map(5, 4, seed=3)
    grid = (torch.arange(2), torch.arange(3))
    logits = relative_logits(query, rows, columns, grid, grid)
    assert logits.shape == (2, 6, 6)
    for own in range(6):
        for other in range(6):
            down, across = other // 3 - own // 3, other % 3 - own % 3
            vector = rows[max(min(down, 1), -1) + 1] + columns[max(min(across, 2), -2) + 2]
            assert_close(logits[:, own, other], query[:, own] @ vector)
