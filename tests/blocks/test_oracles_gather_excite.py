"""Gather-excite equals timm's, torch's layers in a row, and itself at another resolution."""

import pytest
import timm.layers
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.testing import assert_close

from cv_attention import blocks
from tests.blocks.cases import feature_map
from tests.references.channel import ge_plus


@pytest.mark.parametrize("extent", [None, 2, 4, 8])
def test_ge_minus_is_timms(extent):
    theirs = timm.layers.GatherExcite(6, extent=extent or 0, use_mlp=False)
    x = feature_map(2, 6, 11, 9)
    assert_close(blocks.GatherExciteFree(6, extent=extent)(x), theirs(x))


def plus(extent, reduction, kernel_size=7):
    """Returns gather-excite with parameters, every parameter away from its initial value, in double precision."""
    torch.manual_seed(0)
    block = blocks.GatherExcite(6, extent=extent, reduction=reduction, kernel_size=kernel_size).double()
    for parameter in block.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return block


@pytest.mark.parametrize("reduction", [None, 2])
@pytest.mark.parametrize("extent", [2, 4, 8])
def test_ge_plus_gathers_by_strided_convolutions(extent, reduction):
    block, x = plus(extent, reduction), feature_map(2, 6, 11, 9, dtype=torch.float64)
    assert sum(isinstance(layer, nn.Conv2d) for layer in block.gathers) == {2: 1, 4: 2, 8: 3}[extent]
    layers = []
    for gather, norm in zip(block.gathers, block.norms, strict=True):
        layers += [gather, norm, nn.ReLU()]
    composed = nn.Sequential(*layers[:-1], block.mlp, nn.Sigmoid(), nn.Upsample((11, 9)))
    expected, expected_map = ge_plus(block, x)
    assert_close(block(x), expected)
    assert_close(expected_map, composed(x))
    assert gradcheck(block, (feature_map(2, 6, 5, 6, dtype=torch.float64).requires_grad_(),), fast_mode=True)
    assert block(x[:1]).shape == (1, 6, 11, 9)  # several positions are left: one image is enough


@pytest.mark.parametrize("reduction", [None, 2])
def test_ge_plus_is_the_papers_global_convolution_where_the_kernel_has_the_maps_size(reduction):
    block, x = plus(None, reduction, kernel_size=5), feature_map(3, 6, 5, 5, dtype=torch.float64)
    whole = nn.Sequential(block.gathers[0], block.norms[0], block.mlp, nn.Sigmoid())
    assert_close(block(x), x * whole(x))


def test_ge_plus_sees_the_same_at_another_resolution():
    block, x = plus(None, 2, kernel_size=3).eval(), feature_map(2, 6, 6, 4, dtype=torch.float64)
    twice = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    gates = block.attention(x), block.attention(twice)
    assert_close(gates[1], gates[0][:, :, :1, :1].expand(2, 6, 12, 8))


@pytest.mark.parametrize("extent", [1, 3, 6, 0])
def test_ge_plus_needs_a_power_of_two(extent):
    with pytest.raises(ValueError, match=f"extent must be .*, got extent={extent}"):
        blocks.GatherExcite(6, extent=extent)
