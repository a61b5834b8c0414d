"""Costs equal those worked out by hand, multiplications and additions counting separately."""

import pytest
from torch import nn

from cv_attention import blocks

C, H, W, R = 32, 7, 5, 16
N = H * W


def test_squeeze_excite():
    hidden = C // R
    cost = blocks.cost("se", C, H, W)
    assert cost.parameters == 2 * C * hidden + hidden + C
    assert cost.products == 2 * 2 * C * hidden
    # mean and product over the map, relu, sigmoid
    assert cost.elementwise == 2 * C * N + hidden + C
    assert cost.flops == cost.products + cost.elementwise


def test_cbam():
    cost = blocks.cost({"name": "cbam", "bias": False}, C, H, W)
    assert cost.parameters == 2 * C * (C // R) + 2 * 7 * 7 + 2
    # The shared MLP's first layer runs twice, its second once.
    assert cost.products == 3 * 2 * C * (C // R) + 2 * 2 * 7 * 7 * N


@pytest.mark.parametrize("heads", [1, 4])
def test_vit(heads):
    cost = blocks.cost({"name": "vit", "heads": heads}, C, H, W)
    assert cost.parameters == 12 * C * C + 13 * C
    assert cost.products == 24 * N * C * C + 4 * N * N * C
    # The softmax, four passes over the logits, is part of it.
    assert cost.elementwise > 4 * heads * N * N


def test_counts_a_block_that_stays_where_it_was():
    block = blocks.create("cbam", C).train()
    state = {name: value.clone() for name, value in block.state_dict().items()}
    assert blocks.cost(block, C, H, W) == blocks.cost("cbam", C, H, W)
    assert block.training
    assert all((value == state[name]).all() for name, value in block.state_dict().items())


def test_moving_elements_costs_nothing():
    class Turn(nn.Module):
        def forward(self, x):
            return x.transpose(2, 3).contiguous().double().clone() + 1

    assert blocks.cost(Turn(), C, H, W).flops == C * N
