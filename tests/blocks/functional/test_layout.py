"""Positions as rows, tiles of a map, and gates over it, compared with indexing by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from cv_attention.blocks import functional
from cv_attention.blocks.functional.local import along
from tests.blocks.cases import feature_map

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_positions_are_rows_and_back(layout):
    x = feature_map(2, 3, 4, 5).contiguous(memory_format=layout)
    tokens = functional.to_tokens(x)
    assert tokens.is_contiguous()
    for row in range(4):
        for column in range(5):
            assert torch.equal(tokens[:, 5 * row + column], x[:, :, row, column])
    back = functional.to_map(tokens, x)
    assert torch.equal(back, x)
    assert back.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_linear_layer_is_applied_to_channels(layout):
    x, layer = feature_map(2, 3, 4, 5).contiguous(memory_format=layout), nn.Linear(3, 7)
    y = functional.project(x, layer)
    assert_close(y, torch.einsum("bchw,dc->bdhw", x, layer.weight) + layer.bias[:, None, None])
    assert y.is_contiguous(memory_format=layout)


@pytest.mark.parametrize(("tile", "halo"), [((2, 3), (0, 0)), ((2, 2), (1, 2)), ((4, 5), (0, 0))])
def test_tiles_hold_what_lies_there(tile, halo):
    x = feature_map(1, 4, 5, 6)  # (B, H, W, C)
    cut = functional.cut(x, 2, tile, halo)
    axes = [along(length, *sizes) for length, sizes in zip((4, 5), zip(tile, halo, strict=True), strict=True)]
    rows, columns = (keys for _, keys in axes)
    assert cut.shape == (1, 2, len(rows) * len(columns), rows.shape[1] * columns.shape[1], 3)
    for number in range(cut.shape[2]):
        for place in range(cut.shape[3]):
            row = int(rows[number // len(columns), place // columns.shape[1]])
            column = int(columns[number % len(columns), place % columns.shape[1]])
            inside = 0 <= row < 4 and 0 <= column < 5
            expected = x[0, row, column] if inside else torch.zeros(6)
            assert torch.equal(cut[0, :, number, place].flatten(), expected)
    if halo == (0, 0):
        assert torch.equal(functional.join(cut, tile, (4, 5)), x)


def test_a_gate_of_a_coarser_grid_goes_to_the_nearest_position():
    gate = feature_map(2, 3, 2, 3)
    assert torch.equal(functional.spread(gate, (4, 6)), gate.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert functional.spread(gate[:, :, :1, :1], (4, 6)).shape == (2, 3, 4, 6)


@pytest.mark.parametrize("grad", [False, True])
def test_rows_and_columns_multiply_seen_or_not(grad):
    x, seen = feature_map(2, 3, 4, 5).requires_grad_(grad), []
    rows, columns = feature_map(2, 3, 4, 1, seed=2), feature_map(2, 3, 1, 5, seed=3)
    expected = torch.einsum("bchw,bch,bcw->bchw", x, rows[..., 0], columns[:, :, 0]) / 0.25
    assert_close(functional.gate_by_row_and_column(x, rows, columns, start=0.5), expected)
    y = functional.gate_by_row_and_column(x, rows, columns, start=0.5, observe=lambda gate: seen.append(gate) or gate)
    assert_close(y, expected)
    assert_close(seen[0], rows * columns)


def test_attention_in_tiles_is_attention_that_hides_the_rest():
    """Windows of 2 x 3 on a map that they divide."""
    size, tile, heads = (4, 6), (2, 3), 2
    query, key, value = (feature_map(1, *size, 8, seed=seed) for seed in range(3))
    axes = [along(length, side) for length, side in zip(size, tile, strict=True)]
    places = tuple(own for own, _ in axes)
    parts = (functional.cut(part, heads, tile) for part in (query, key, value))
    options = {"size": size, "queries": places, "keys": places, "bias": torch.zeros(1, 1, 1, 6, 6)}
    seen = []
    flat = [part.flatten(1, 2).unflatten(2, (heads, -1)).transpose(1, 2) for part in (query, key, value)]
    number = torch.arange(4)[:, None] // 2 * 2 + torch.arange(6) // 3
    together = number.flatten()[:, None] == number.flatten()
    expected = F.scaled_dot_product_attention(*flat, attn_mask=together).transpose(1, 2).flatten(2).unflatten(1, size)
    parts = list(parts)
    assert_close(functional.join(functional.attend_in_tiles(*parts, **options), tile, size), expected)
    mixed = functional.attend_in_tiles(*parts, **options, observe=lambda w: seen.append(w) or w)
    assert_close(functional.join(mixed, tile, size), expected)
    assert_close(seen[0], functional.attention_weights(*flat[:2], attn_mask=together))
