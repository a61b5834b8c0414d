"""Blocks take feature maps (B, C, H, W) alone, and say so by name; the check costs no graph anything."""

import pytest
import torch
from torch import nn

from cv_attention.blocks import AttentionMap, Gate
from tests.blocks.cases import DEFAULTS, feature_map

every_block = pytest.mark.parametrize("case", DEFAULTS, ids=str)


@every_block
def test_other_than_four_axes_are_refused_by_name(case):
    block = case.build()
    for axes in ((3, 5, 6), (6,), (), (2, 3, 5, 6)):
        shape = (2, case.channels, *axes)
        for training in (False, True):
            with pytest.raises(ValueError) as caught:
                block.train(training)(torch.zeros(shape))
            for part in (type(block).__name__, str(shape), "(B, C, H, W)"):
                assert part in str(caught.value)
    with pytest.raises(ValueError, match="B, C, H, W"):
        block(x=torch.zeros(2, case.channels, 5))


class OwnGate(Gate):
    kind = "channel"

    def attention(self, x):
        return x.mean((2, 3), keepdim=True).sigmoid()


class OwnForward(OwnGate):
    def forward(self, features):
        return super().forward(features) * 2


@pytest.mark.parametrize("block", [OwnGate(), OwnForward()], ids=lambda block: type(block).__name__)
def test_blocks_of_ones_own_do_too(block):
    with pytest.raises(
        ValueError, match=rf"{type(block).__name__} takes .*\(B, C, H, W\), got shape \(2, 4, 3, 5, 6\)"
    ):
        block(torch.zeros(2, 4, 3, 5, 6))
    x = feature_map(2, 4, 5, 6)
    assert block(x).shape == block(features=x).shape if isinstance(block, OwnForward) else block(x=x).shape
    assert torch.equal(torch.vmap(OwnGate())(x[None])[0], OwnGate()(x))  # four axes below vmap


def test_graphs_of_torch_fx_pass():
    graph = torch.fx.symbolic_trace(OwnForward())
    x = feature_map(2, 4, 5, 6)
    assert torch.equal(graph(x), OwnForward()(x))


def test_a_compiled_block_is_one_graph_and_still_refuses():
    torch.compiler.reset()
    block = nn.Sequential(OwnForward())
    compiled = torch.compile(block, backend="eager", fullgraph=True)
    x = feature_map(2, 4, 5, 6)
    assert torch.equal(compiled(x), block(x))
    with pytest.raises(ValueError, match="OwnForward takes"):
        OwnForward()(x[0])


def test_an_exported_block_keeps_a_free_batch():
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(OwnForward(), (feature_map(2, 4, 5, 6),), dynamic_shapes=({0: batch},))
    assert program.module()(feature_map(7, 4, 5, 6)).shape == (7, 4, 5, 6)


def test_maps_themselves_may_have_any_axes():
    assert AttentionMap("pairwise")(torch.zeros(1, 2, 3, 4, 5)).shape == (1, 2, 3, 4, 5)
