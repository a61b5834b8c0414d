"""Attention over tokens equals that of other libraries, with their weights copied over."""

from functools import partial

import pytest
import timm.layers
import torch
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.halo_attn import HaloAttn
from timm.layers.lambda_layer import LambdaLayer
from timm.models import swin_transformer, xcit
from timm.models.vision_transformer import Block
from torch import nn
from torch.testing import assert_close
from torchvision.models.swin_transformer import ShiftedWindowAttention

from cv_attention import blocks
from cv_attention.blocks.tokens.relative import RelativeEmbedding
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


def ported(ours, theirs, names, extra=None):
    """Copies the weights of `theirs` into `ours`; names: {their part: our part}."""
    state = {}
    for name, value in theirs.state_dict().items():
        part, _, leaf = name.rpartition(".")
        if name in names or part in names:
            own = names.get(name) or f"{names[part]}.{leaf}"
            state[own] = value.reshape(ours.state_dict()[own].shape)
    ours.load_state_dict({**state, **(extra or {})})
    return ours.eval()


def mixed(block):
    """Gives every parameter values of its own."""
    for seed, parameter in enumerate(block.parameters()):
        parameter.data = 0.3 * feature_map(*parameter.shape, seed=seed)
    return block.eval()


@pytest.mark.parametrize(
    ("window", "shift", "size"), [(4, 0, (8, 12)), (4, 2, (8, 12)), (3, 1, (3, 6)), (5, 2, (5, 5))]
)
def test_window_is_torchvisions_where_windows_fit(window, shift, size):
    theirs = mixed(ShiftedWindowAttention(16, [window, window], [shift, shift], 4))
    ours = blocks.WindowAttention(16, heads=4, window_size=window, shift=shift)
    names = {"qkv": "qkv", "proj": "project", "relative_position_bias_table": "position.table"}
    ours = ported(ours, theirs, names)
    x = feature_map(2, 16, *size)
    expected = theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert_close(ours(x), expected)
    with hooked(ours) as maps:
        assert_close(ours(x), expected)
    assert_close(maps[0][1].sum((-2, -1)), torch.ones(2, 4, size[0] * size[1]))


def test_window_is_timms_swin():
    theirs = mixed(swin_transformer.WindowAttention(16, 4, window_size=4))
    ours = blocks.WindowAttention(16, heads=4, window_size=4)
    names = {"qkv": "qkv", "proj": "project", "relative_position_bias_table": "position.table"}
    x = feature_map(2, 16, 4, 4)
    assert_close(tokens(ported(ours, theirs, names)(x)), theirs(tokens(x)))


@pytest.mark.parametrize(("kernel", "size"), [(3, (7, 10)), (5, (4, 9)), (3, (8, 13)), (7, (22, 15)), (3, (61, 1))])
def test_neighbourhood_is_torchs_attention_under_a_mask(kernel, size):
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    ours = blocks.NeighbourhoodAttention(8, heads=2, kernel_size=kernel, relative_bias=False)
    ours.qkv.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
    ours.project.load_state_dict(theirs.out_proj.state_dict())
    near = []
    for length in size:
        # The kernel's K nearest, the window moved inwards at the border.
        starts = [max(min(i - kernel // 2, length - kernel), 0) for i in range(length)]
        near.append(torch.tensor([[s <= j < s + kernel for j in range(length)] for s in starts]))
    hidden = ~torch.kron(near[0].int(), near[1].int()).bool()
    x = feature_map(2, 8, *size)
    expected, expected_map = theirs(tokens(x), tokens(x), tokens(x), attn_mask=hidden, average_attn_weights=False)
    assert_close(tokens(ours(x)), expected)
    with hooked(ours) as maps:
        assert_close(tokens(ours(x)), expected)
    assert_close(maps[0][1].flatten(3), expected_map)


@pytest.mark.parametrize("scaled", [False, True])
def test_botnet_is_timms(scaled):
    theirs = mixed(BottleneckAttn(32, feat_size=(3, 5), num_heads=4, scale_pos_embed=scaled))
    names = {"qkv": "qkv"}
    rows, columns = theirs.pos_embed.height_rel, theirs.pos_embed.width_rel
    ours = blocks.BottleneckAttention(32, size=6, scale_position=scaled)
    # Ours reach further than this feature map.
    extra = {
        "position.rows.weight": nn.functional.pad(rows, (0, 0, 3, 3)),
        "position.columns.weight": nn.functional.pad(columns, (0, 0, 1, 1)),
    }
    x = feature_map(2, 32, 3, 5)
    assert_close(ported(ours, theirs, names, extra)(x), theirs(x))


def test_halo_is_timms_inside_the_map():
    theirs = mixed(HaloAttn(32, num_heads=4, block_size=3, halo_size=2))
    ours = blocks.HaloAttention(32, heads=4, block_size=3, halo_size=2, scale_position=False)
    # timm numbers keys from the corner of the halo, so that some of its vectors are never used.
    extra = {
        "query.weight": theirs.q.weight.flatten(1),
        "key_value.weight": theirs.kv.weight.unflatten(0, (4, 2, 8)).transpose(0, 1).flatten(0, 2).flatten(1),
        "position.rows.weight": theirs.pos_embed.height_rel[4:],
        "position.columns.weight": theirs.pos_embed.width_rel[4:],
    }
    ours = ported(ours, theirs, {}, extra)
    x = feature_map(2, 32, 9, 9)
    assert_close(ours(x)[:, :, 3:6, 3:6], theirs(x)[:, :, 3:6, 3:6])


def test_lambda_layer_is_timms():
    theirs = mixed(LambdaLayer(32, num_heads=4, dim_head=6, r=5))
    nn.init.zeros_(theirs.conv_lambda.bias)
    ours = blocks.LambdaLayer(32, heads=4, key_depth=6, kernel_size=5)
    names = {"qkv": "qkv", "norm_q": "norm_query", "norm_v": "norm_value", "conv_lambda.weight": "position.weight"}
    ours, x = ported(ours, theirs, names), feature_map(2, 32, 3, 7)
    assert_close(ours(x), theirs(x))
    assert_close(ours.train()(x), theirs.train()(x))


def test_xca_is_timms():
    theirs = mixed(xcit.XCA(16, num_heads=4, qkv_bias=True))
    ours = blocks.CrossCovarianceAttention(16, heads=4, qkv_bias=True)
    names = {"qkv": "qkv", "proj": "project", "temperature": "temperature"}
    x = feature_map(2, 16, 3, 5)
    assert_close(tokens(ported(ours, theirs, names)(x)), theirs(tokens(x)))


def test_mqa_is_timms():
    theirs = mixed(timm.layers.MultiQueryAttention2d(16, num_heads=4))
    ours = blocks.MultiQueryAttention(16, heads=4)
    names = {"query.proj": "query", "key.proj": "key", "value.proj": "value", "output.proj": "project"}
    x = feature_map(2, 16, 3, 5)
    assert_close(ported(ours, theirs, names)(x), theirs(x))


@pytest.mark.parametrize("depth", [0, 3])
def test_differential_is_timms(depth):
    theirs = mixed(timm.layers.DiffAttention(16, num_heads=4, depth=depth))
    ours = blocks.DifferentialAttention(16, heads=4, lambda_init=theirs.lambda_init)
    lambdas = [theirs.lambda_q1, theirs.lambda_k1, theirs.lambda_q2, theirs.lambda_k2]
    names = {"qkv": "qkv", "proj": "project", "sub_norm": "norm"}
    x = feature_map(2, 16, 3, 5)
    assert_close(tokens(ported(ours, theirs, names, {"lambdas": torch.stack(lambdas)})(x)), theirs(tokens(x)))


def test_an_axis_without_positions_is_torchs_attention_of_every_line():
    ours = mixed(blocks.AxialAttention(4, heads=2))
    for step in (ours.columns, ours.rows):
        for embedding in (step.to_query, step.to_key, step.to_value):
            nn.init.zeros_(embedding.weight)
    x = feature_map(2, 4, 3, 5)
    expected = x
    for step, lines in ((ours.columns, "bchw->bwhc"), (ours.rows, "bchw->bhwc")):
        # (line, position, head, [query, key, two values])
        qkv = nn.functional.linear(torch.einsum(lines, expected), step.qkv.weight).unflatten(-1, (2, 4)).movedim(3, 2)
        seen = nn.functional.scaled_dot_product_attention(qkv[..., :1], qkv[..., 1:2], qkv[..., 2:])
        there, here = lines.split("->")
        expected = torch.einsum(f"{here}->{there}", seen.movedim(2, 3).flatten(3))
    assert_close(ours(x), expected)


def test_relative_vectors_are_clipped_beyond_their_reach():
    embedding = RelativeEmbedding(2, 1, std=1.0)
    embedding.weight.data = torch.tensor([[-1.0], [0.0], [1.0]])
    place = torch.arange(4)
    expected = [[0, 1, 1, 1], [-1, 0, 1, 1], [-1, -1, 0, 1], [-1, -1, -1, 0]]
    assert embedding(place, place)[..., 0].tolist() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "window", "window_size": 4, "shift": 4}, "shift must be .* got shift=4, window_size=4"),
        ({"name": "differential", "heads": 8}, "divisible by twice heads, got channels=8, heads=8"),
        ({"name": "differential", "lambda_init": 1.0}, "lambda_init must be below 1, got lambda_init=1.0"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        blocks.resolve(options)(8)
