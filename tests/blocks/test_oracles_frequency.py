"""Frequency channel attention squeezes to scipy's cosine transform."""

import numpy as np
import pytest
import scipy.fft
import torch
from torch.testing import assert_close

from cv_attention import blocks
from tests.blocks.cases import feature_map
from tests.references.channel import FREQUENCIES, fca


@pytest.mark.parametrize("size", [(7, 7), (14, 21), (28, 7)])
@pytest.mark.parametrize("frequencies", ["top16", "low32", "bot8"])
def test_fca_squeezes_to_scipys_dct(frequencies, size):
    block, x = blocks.FrequencyChannelAttention(64, frequencies=frequencies), feature_map(2, 64, *size)
    spectrum = scipy.fft.dctn(x.numpy(), axes=(2, 3), norm="ortho")
    vertical, horizontal = FREQUENCIES[frequencies[:3]]
    repeat = 64 // int(frequencies[3:])
    squeezed = [
        spectrum[:, c, vertical[c // repeat] * size[0] // 7, horizontal[c // repeat] * size[1] // 7] for c in range(64)
    ]
    z = torch.from_numpy(np.stack(squeezed, 1))
    assert_close(block(x), x * block.expand(block.reduce(z).relu()).sigmoid()[:, :, None, None])


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 5), (8, 8), (9, 16), (2, 32)])
def test_fca_takes_a_dct_coefficient_that_the_size_has(size):
    block, x = blocks.FrequencyChannelAttention(32, frequencies="top32"), feature_map(2, 32, *size)
    coefficients = scipy.fft.dctn(x.numpy(), axes=(2, 3), norm="ortho").reshape(2, 32, -1)
    squeezed = (x * block._basis(x)).sum((2, 3))
    distance = (torch.from_numpy(coefficients) - squeezed[..., None]).abs().amin(2)
    assert distance.max() < 1e-4


@pytest.mark.parametrize(("channels", "frequencies"), [(6, "top4"), (3, "low16"), (20, "bot16")])
def test_fca_shares_channels_out_where_they_do_not_divide(channels, frequencies):
    block, x = blocks.FrequencyChannelAttention(channels, frequencies=frequencies), feature_map(2, channels, 4, 5)
    assert_close(block(x), fca(block, x)[0])


def test_fca_at_frequency_zero_is_se():
    fca_, se = blocks.FrequencyChannelAttention(32, frequencies="low1"), blocks.SqueezeExcite(32, bias=False)
    se.expand.weight.data.copy_(fca_.expand.weight.data)
    se.reduce.weight.data.copy_(fca_.reduce.weight * 6)  # sqrt(H W)
    x = feature_map(2, 32, 4, 9)
    assert_close(fca_(x), se(x))


def test_fcas_lists_hold_every_frequency_once():
    for vertical, horizontal in FREQUENCIES.values():
        assert len(set(zip(vertical, horizontal, strict=True))) == 32
        assert {*vertical, *horizontal} == set(range(7))
