"""Gates over channels and positions equal those of other libraries, with their weights copied over."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.context_block import ContextBlock
from timm.layers.cbam import CbamModule
from timm.layers.coord_attn import CoordAttn
from timm.layers.global_context import GlobalContext
from torch.testing import assert_close

from cv_attention import blocks
from cv_attention.blocks.mixed.context_encoding import EncodingLayer
from tests.blocks.cases import feature_map, hooked


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [8, 32])
def test_cbam_is_timms(channels, training):
    theirs = CbamModule(channels)
    ours = blocks.CBAM(channels, bias=False)
    with torch.no_grad():
        ours.reduce.weight.copy_(theirs.channel.fc1.weight.flatten(1))
        ours.expand.weight.copy_(theirs.channel.fc2.weight.flatten(1))
        # timm stacks [mean, max] where the official code stacks [max, mean].
        ours.spatial.conv.weight.copy_(theirs.spatial.conv.conv.weight.flip(1))
        ours.spatial.norm.weight.copy_(theirs.spatial.conv.bn.weight)
    x = feature_map(2, channels, 9, 7)
    assert_close(ours.train(training)(x), theirs.train(training)(x))


@pytest.mark.parametrize("channels", [8, 64])
@pytest.mark.parametrize("training", [True, False])
def test_coordinate_is_timms(channels, training):
    theirs = CoordAttn(channels, rd_channels=max(8, channels // 32), bias=True)
    ours = blocks.CoordinateAttention(channels)
    with torch.no_grad():
        # Before a batch norm, which takes it away in training; ours has none.
        theirs.conv1.bias.zero_()
        for mine, other in ((ours.reduce, theirs.conv1), (ours.conv_h, theirs.conv_h), (ours.conv_w, theirs.conv_w)):
            mine.weight.copy_(other.weight)
            if mine.bias is not None:
                mine.bias.copy_(other.bias)
    x = feature_map(2, channels, 5, 7)
    assert_close(ours.train(training)(x), theirs.train(training)(x))


def copy_context(pool, key):
    pool.key.weight.copy_(key.weight)


def copy_transform(transform, first, norm, last):
    """Copies 1 x 1 convolutions and a layer norm over (C, 1, 1), all away from zero."""
    for parameter in (*first.parameters(), *norm.parameters(), *last.parameters()):
        parameter.normal_()
    for mine, other in zip((transform[0], transform[1], transform[3]), (first, norm, last), strict=True):
        mine.weight.copy_(other.weight.view_as(mine.weight))
        mine.bias.copy_(other.bias.view_as(mine.bias))


@pytest.mark.parametrize("fusion", [("channel_add",), ("channel_mul",), ("channel_add", "channel_mul")])
def test_global_context_is_mmcvs(fusion):
    torch.manual_seed(0)
    theirs = ContextBlock(32, 1 / 4, fusion_types=fusion)
    add = "channel_add" in fusion
    if "channel_mul" in fusion:
        ours = blocks.GlobalContextGate(32, reduction=4, add=add)
    else:
        ours = blocks.GlobalContext(32, reduction=4)
    with torch.no_grad():
        copy_context(ours.pool, theirs.conv_mask)
        if add:
            copy_transform(ours.transform, *(theirs.channel_add_conv[i] for i in (0, 1, 3)))
        if "channel_mul" in fusion:
            copy_transform(ours.gate, *(theirs.channel_mul_conv[i] for i in (0, 1, 3)))
    x = feature_map(2, 32, 5, 7)
    assert_close(ours(x), theirs(x))


def test_gca_is_timms():
    torch.manual_seed(0)
    theirs = GlobalContext(64)
    ours = blocks.GlobalContextGate(64, reduction=8)
    ours.gate[1].eps = theirs.mlp_scale.norm.eps
    with torch.no_grad():
        copy_context(ours.pool, theirs.conv_attn)
        copy_transform(ours.gate, theirs.mlp_scale.fc1, theirs.mlp_scale.norm, theirs.mlp_scale.fc2)
    x = feature_map(2, 64, 5, 7)
    assert_close(ours(x), theirs(x))


def test_triplets_spatial_gate_is_cbams():
    x = feature_map(2, 8, 5, 7)
    triplet, cbam = blocks.TripletAttention(8).eval(), blocks.CBAMSpatial(8).eval()
    cbam.conv.load_state_dict(triplet.hw[0].state_dict())
    cbam.norm.load_state_dict(triplet.hw[1].state_dict())
    others = blocks.TripletAttention(8, no_spatial=True).eval()
    others.load_state_dict({k: v for k, v in triplet.state_dict().items() if not k.startswith("hw")})
    assert_close(3 * triplet(x), 2 * others(x) + cbam(x))


def test_shuffle_gates_as_torchs_group_norm_and_shuffles_as_torch():
    block = blocks.ShuffleAttention(16, groups=2)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_()
    x = feature_map(2, 16, 5, 7)
    first, second = x.unflatten(1, (2, 2, 4)).unbind(2)
    line = (1, 1, 4, 1, 1)
    channel = block.cweight.view(line) * first.mean((3, 4), keepdim=True) + block.cbias.view(line)
    norm = F.group_norm(second.flatten(0, 1), 4, block.weight, block.bias).view_as(second)
    spatial = block.sweight.view(line) * norm + block.sbias.view(line)
    gated = torch.stack([first * channel.sigmoid(), second * spatial.sigmoid()], 2).flatten(1, 3)
    assert_close(block(x), F.channel_shuffle(gated, 2))


@pytest.mark.parametrize(("channels", "groups"), [(256, 64), (48, 8), (6, 1)])
def test_shuffle_starts_with_one_gate(channels, groups):
    block, x = blocks.ShuffleAttention(channels), feature_map(2, channels, 3, 4)
    assert block.groups == groups
    assert_close(block(x), F.channel_shuffle(x * torch.tensor(1.0).sigmoid(), 2))


def test_gc_starts_as_the_identity():
    x = feature_map(2, 8, 3, 4)
    assert torch.equal(blocks.GlobalContext(8)(x), x)


@pytest.mark.parametrize("combine", ["add", "multiply"])
def test_bam_combines_its_branches(combine):
    block = blocks.BAM(16, reduction=4, combine=combine).eval()
    x = feature_map(2, 16, 5, 7)
    c, s = block.channel(x.mean((2, 3)))[:, :, None, None], block.spatial(x)
    assert_close(block(x), x * (1 + ((c + s) if combine == "add" else (c * s)).sigmoid()))


# 25.92 M less the 25.56 M of ResNet-50 is published for BAM after the first three stages.
def test_bam_adds_the_published_parameters_to_resnet50():
    spec = {"name": "bam", "norm": "hidden", "combine": "multiply"}
    added = sum(blocks.cost(spec, channels, 7, 7).parameters for channels in (256, 512, 1024))
    assert round((25_557_032 + added) / 1e6, 2) == 25.92


def test_encoding_far_from_float_precision_assigns_as_residuals_do():
    torch.manual_seed(0)
    layer = EncodingLayer(64, 8)
    x = feature_map(2, 64, 3, 4).bfloat16()
    with hooked(layer) as maps, torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x)
    residuals = x.float().flatten(2).transpose(1, 2)[:, :, None] - layer.codewords
    expected = (layer.scale[:, 0] * residuals.square().sum(3)).softmax(2)
    assert_close(maps[0][1].flatten(3)[:, 0].transpose(1, 2), expected, rtol=0.05, atol=0.02)


def test_shuffle_needs_halves_of_its_groups():
    with pytest.raises(ValueError, match=r"divisible by 2 \* groups, got channels=12, groups=4"):
        blocks.ShuffleAttention(12, groups=4)


@pytest.mark.parametrize("name", ["bam", "scse", "shuffle", "triplet", "coordinate", "simam", "gc", "gca", "encnet"])
@pytest.mark.parametrize("size", [(1, 1), (4, 3)])
def test_dead_features_have_finite_gradients(name, size):
    x = torch.zeros(2, 8, *size, requires_grad=True)
    block = blocks.create(name, 8)
    block(x).sum().backward()
    assert all(t.grad is None or t.grad.isfinite().all() for t in (x, *block.parameters()))
