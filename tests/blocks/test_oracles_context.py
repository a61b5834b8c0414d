"""Context blocks equal those of other libraries, with their weights copied over."""

import pytest
import torch
from mmcv.cnn.bricks import NonLocal2d
from timm.layers import BatNonLocalAttn, NonLocalAttn
from torch import nn
from torch.testing import assert_close

from cv_attention import blocks
from tests.blocks.cases import feature_map, hooked
from tests.references import context


def copy(ours, theirs):
    """Copies the weights of a convolution or a norm into a layer of as many numbers."""
    with torch.no_grad():
        for target, source in zip(ours.parameters(), theirs.parameters(), strict=True):
            target.copy_(source.reshape(target.shape))


def stack(ours, theirs):
    """Copies the weights of several layers into one, one below the other."""
    with torch.no_grad():
        ours.weight.copy_(torch.cat([layer.weight.flatten(1) for layer in theirs]))
        ours.bias.copy_(torch.cat([layer.bias for layer in theirs]))


def unlike(module):
    """Moves every parameter away from its initial value, so that nothing is zero."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("sub_sample", [True, False])
@pytest.mark.parametrize("use_scale", [True, False])
@pytest.mark.parametrize("mode", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"])
def test_non_local_is_mmcvs(mode, use_scale, sub_sample, norm):
    options = {"mode": mode, "use_scale": use_scale, "sub_sample": sub_sample}
    theirs = unlike(NonLocal2d(8, norm_cfg={"type": "BN"} if norm else None, **options))
    ours = blocks.NonLocal(8, norm=norm, **options)
    layers = [getattr(theirs, name) for name in (["g"] if mode == "gaussian" else ["theta", "phi", "g"])]
    stack(ours.project, [layer[0].conv if isinstance(layer, nn.Sequential) else layer.conv for layer in layers])
    copy(ours.out, theirs.conv_out.conv)
    if norm:
        copy(ours.norm, theirs.conv_out.norm)
    if mode == "concatenation":
        copy(ours.concat, theirs.concat_project.conv)
    x = feature_map(2, 8, 5, 7)
    for training in (True, False):
        assert_close(ours.train(training)(x), theirs.train(training)(x), rtol=1e-4, atol=1e-5)


def test_non_local_is_timms():
    theirs = unlike(NonLocalAttn(16, rd_channels=8))
    ours = blocks.NonLocal(16)
    stack(ours.project, [theirs.t, theirs.p, theirs.g])
    copy(ours.norm, theirs.norm)
    with torch.no_grad():
        ours.out.weight.copy_(theirs.z.weight.flatten(1))
        # timm divides by the root of the input's channels, not of theta's, and has a bias before the norm.
        for parameter in ours.project.parameters():
            parameter[:8].mul_((8 / 16) ** 0.5)
    x = feature_map(2, 16, 5, 7)
    assert_close(ours.train()(x), theirs.train()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["non_local", "disentangled_non_local", "danet_position", "danet_channel", "criss_cross"]
)
@pytest.mark.parametrize("training", [True, False])
def test_a_fresh_block_is_an_identity(name, training):
    x = feature_map(2, 8, 5, 7)
    assert_close(blocks.create(name, 8).train(training)(x), x, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["non_local", "disentangled_non_local"])
def test_without_norm_it_is_an_identity_too(name):
    x = feature_map(2, 8, 5, 7)
    assert_close(blocks.create(name, 8, norm=False)(x), x, rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("block_size", "groups", "size"), [(7, 2, (7, 14)), (3, 4, (9, 6)), (1, 1, (2, 5))])
def test_bat_is_timms_where_blocks_fit(block_size, groups, size, training):
    theirs = unlike(BatNonLocalAttn(32, block_size, groups, rd_channels=8, drop_rate=0))
    ours = blocks.BilinearAttentionTransform(32, block_size=block_size, groups=groups)
    pairs = [
        (ours.reduce, theirs.conv1),
        (ours.squeeze, theirs.ba.conv1),
        (ours.expand[0], theirs.ba.conv2),
        (ours.expand[1], theirs.conv2),
    ]
    for (conv, norm, _), part in pairs:
        copy(conv, part.conv)
        copy(norm, part.bn)
    copy(ours.p, theirs.ba.conv_p)
    copy(ours.q, theirs.ba.conv_q)
    x = feature_map(2, 32, *size)
    assert_close(ours.train(training)(x), theirs.train(training)(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (4, 9), (8, 15)])
def test_bats_maps_sum_to_one_at_any_size(size):
    block, x = unlike(blocks.BilinearAttentionTransform(8)).eval(), feature_map(2, 8, *size)
    with hooked(block) as maps, torch.no_grad():
        block(x)
    total = maps[0][1].sum((3, 4))
    assert_close(total, torch.ones_like(total))


def test_bat_drops_whole_channels_in_training():
    block, x = unlike(blocks.BilinearAttentionTransform(64, drop_rate=0.5)), feature_map(2, 64, 7, 7)
    added = (block.train()(x) - x).abs().amax((2, 3))
    assert 0 < (added == 0).float().mean() < 1
    assert_close(block.eval()(x), block(x), rtol=0, atol=0)


@pytest.mark.parametrize("recurrence", [1, 3])
def test_criss_cross_recurs(recurrence):
    block = unlike(blocks.CrissCrossAttention(8, recurrence=recurrence)).double()
    x = feature_map(2, 8, 3, 4, dtype=torch.float64)
    with hooked(block) as maps, torch.no_grad():
        actual = block(x)
        expected, *expected_maps = context.criss_cross(block, x)
    assert_close(actual, expected)
    assert_close([map_ for _, map_ in maps], expected_maps)


def test_two_criss_crosses_reach_every_position():
    block = unlike(blocks.CrissCrossAttention(8)).double()
    for recurrence, reached in ((1, 5 + 7 - 1), (2, 5 * 7)):
        block.maps = block.maps[:recurrence] if recurrence == 1 else nn.ModuleList([block.maps[0]] * 2)
        x = feature_map(1, 8, 5, 7, dtype=torch.float64).requires_grad_()
        block(x)[0, :, 2, 3].sum().backward()
        assert (x.grad.abs().sum(1) > 0).sum() == reached


def test_disentangled_attention_ignores_what_all_queries_share():
    """A shift of the whole image moves neither the whitened queries nor the softmax over keys."""
    block = unlike(blocks.DisentangledNonLocal(8, norm=False)).double().eval()
    x = feature_map(1, 8, 4, 5, dtype=torch.float64)
    with hooked(block) as maps, torch.no_grad():
        block(x)
        block(x + torch.ones(8, 1, 1, dtype=torch.float64))
    assert_close(maps[0][1], maps[2][1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("non_local", {"mode": "gausian"}, "did you mean 'gaussian'"),
        ("bat", {"drop_rate": 1.0}, "drop_rate=1.0"),
        ("disentangled_non_local", {"temperature": 0}, "temperature=0"),
        ("double_attention", {"n": 0}, "n=0"),
    ],
    ids=str,
)
def test_bad_options_are_said(name, options, message):
    with pytest.raises(ValueError) as error:
        blocks.create(name, 8, **options)
    assert message in str(error.value)
