"""Attention over tokens equals that of other libraries, with their weights copied over."""

from functools import partial

import timm.layers
import torch
from timm.models.vision_transformer import Block
from torch import nn
from torch.testing import assert_close

from cv_attention import blocks
from cv_attention.blocks.tokens.position import sincos_2d
from tests.blocks.cases import feature_map, hooked


def tokens(x):
    return x.flatten(2).transpose(1, 2)


def test_mhsa_is_torchs_with_its_map():
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    ours = blocks.MultiHeadSelfAttention(16, heads=4)
    ours.qkv.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
    ours.project.load_state_dict(theirs.out_proj.state_dict())
    x = feature_map(2, 16, 3, 5)
    expected, expected_map = theirs(tokens(x), tokens(x), tokens(x), average_attn_weights=False)
    with hooked(ours) as maps:
        actual = ours(x)
    assert_close(tokens(actual), expected)
    assert_close(maps[0][1].flatten(3), expected_map)
    assert_close(tokens(ours(x)), expected)


def test_vit_without_positions_is_timms():
    theirs = Block(16, 4, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6))
    ours = blocks.ViTBlock(16, heads=4, position="none")
    names = {
        "attn.qkv": "attention.qkv",
        "attn.proj": "attention.project",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.2",
    }
    state = {}
    for name, value in theirs.state_dict().items():
        layer, leaf = name.rsplit(".", 1)
        state[f"{names.get(layer, layer)}.{leaf}"] = value
    ours.load_state_dict(state)
    x = feature_map(2, 16, 3, 5)
    assert_close(tokens(ours(x)), theirs(tokens(x)))


def test_positions_are_timms():
    theirs = timm.layers.build_sincos2d_pos_embed([3, 5], 32).unflatten(1, (2, 2, 8))
    # timm's order is sin rows, sin columns, cos rows, cos columns.
    assert_close(sincos_2d(32, 3, 5), theirs.transpose(1, 2).reshape(3, 5, 32))
    # What no quarter can hold is zero, and the rest as without it.
    assert_close(sincos_2d(35, 3, 5), torch.cat([sincos_2d(32, 3, 5), torch.zeros(3, 5, 3)], 2))
