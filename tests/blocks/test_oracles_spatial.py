"""Gates over positions equal those of other libraries, with their weights copied over, and start as they say."""

import pytest
import timm.layers
import torch
from timm.layers.coord_attn import EfficientLocalAttn
from timm.layers.norm import GroupNorm1
from torch import nn
from torch.testing import assert_close

from cv_attention import blocks
from cv_attention.blocks import CATALOGUE
from tests.blocks.cases import Case, feature_map, hooked
from tests.references.spatial import attention_gate


@pytest.mark.parametrize("name", [*CATALOGUE])
def test_running_statistics_follow_as_fast_as_the_official_code_lets_them(name):
    """Woo et al. and Misra et al. take a momentum of 0.01 for the norm of their maps, all others PyTorch's 0.1."""
    case, seen = Case(CATALOGUE[name]), {}
    block = case.build().train()
    for norm in (module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.register_forward_pre_hook(lambda module, args: seen.setdefault(module, []).append(args[0].mean((0, 2, 3))))
    block(feature_map(4, case.channels, 8, 8))
    momentum = 0.01 if name in ("cbam", "cbam_spatial", "triplet") else 0.1
    for norm, means in seen.items():
        expected = torch.zeros(norm.num_features)
        for mean in means:
            expected = (1 - momentum) * expected + momentum * mean
        assert_close(norm.running_mean, expected)


@pytest.mark.parametrize("kernel_size", [5, 7])
def test_ela_is_timms(kernel_size):
    # timm has two convolutions, one group per norm, and by default an activation that the paper has not.
    theirs = EfficientLocalAttn(16, kernel_size, act_layer=nn.Identity, norm_layer=GroupNorm1)
    ours = blocks.EfficientLocalAttention(16, kernel_size=kernel_size, norm_groups=1, shared=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for strip, conv, norm in zip(
            ours.strips, (theirs.conv_h, theirs.conv_w), (theirs.norm_h, theirs.norm_w), strict=True
        ):
            norm.weight.normal_(generator=generator)
            norm.bias.normal_(generator=generator)
            strip[0].weight.copy_(conv.weight.reshape(16, 1, kernel_size, 1))
            strip[1].load_state_dict(norm.state_dict())
    x = feature_map(2, 16, 5, 7)
    assert_close(ours(x), theirs(x))


def test_lka_sees_as_far_as_its_kernel():
    # One position's output depends on 23 x 23 others: the local side 5 and 7 positions, 3 apart.
    block = blocks.LargeKernelAttention(2)
    x = feature_map(1, 2, 31, 31).requires_grad_()
    with hooked(block):
        block.attention(x)[0, :, 15, 15].sum().backward()
    rows, columns = x.grad[0].abs().sum(0).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 26, 4, 26)


def test_lka_is_timms_convolutions():
    # The same decomposition in padded "same" convolutions of timm.
    ours = blocks.LargeKernelAttention(6, kernel_size=21, dilation=3)
    theirs = nn.Sequential(
        timm.layers.create_conv2d(6, 6, 5, padding="", depthwise=True, bias=True),
        timm.layers.create_conv2d(6, 6, 7, padding="", dilation=3, depthwise=True, bias=True),
        timm.layers.create_conv2d(6, 6, 1, bias=True),
    )
    for mine, other in zip((ours.local, ours.dilated, ours.mix), theirs, strict=True):
        other.load_state_dict(mine.state_dict())
    x = feature_map(2, 6, 9, 11)
    assert_close(ours(x), x * theirs(x))


@pytest.mark.parametrize(("channels", "groups"), [(256, 64), (48, 16), (7, 1)])
def test_sge_starts_with_one_gate(channels, groups):
    block, x = blocks.SpatialGroupEnhance(channels), feature_map(2, channels, 3, 4)
    assert block.groups == groups
    assert_close(block(x), x * torch.tensor(1.0).sigmoid())


# Four rows of 64 channels in ResNet-50's stages: 64 weights and 64 biases after each of 16 units.
def test_sge_adds_hardly_a_parameter():
    assert [blocks.cost("sge", c, 7, 7).parameters for c in (256, 512, 1024, 2048)] == [128] * 4


@pytest.mark.parametrize("training", [False, True])
def test_attention_gate_projects_as_the_official_code(training):
    block = blocks.AttentionGate(6, project=True).train(training)
    x = feature_map(3, 6, 5, 4)
    expected, _ = attention_gate(block, x)
    assert_close(block(x), expected)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sge", {"groups": 3}, "channels must be divisible by groups, got channels=8, groups=3"),
        ("ela", {"norm_groups": 3}, "channels must be divisible by norm_groups, got channels=8, norm_groups=3"),
        ("lka", {"kernel_size": 7, "dilation": 2}, "must be odd, got kernel_size=7, dilation=2, which is 4"),
        ("strip_pooling", {"kernel_size": 2}, "kernel_size=2"),
        ("attention_gate", {"gating_stride": 0}, "gating_stride=0"),
    ],
)
def test_rejects_what_does_not_fit(name, options, message):
    with pytest.raises(ValueError, match=message):
        blocks.create(name, 8, **options)


@pytest.mark.parametrize("name", ["sge", "lka", "strip_pooling", "attention_gate", "ela"])
@pytest.mark.parametrize("size", [(1, 1), (4, 3)])
def test_dead_features_have_finite_gradients(name, size):
    x = torch.zeros(2, 8, *size, requires_grad=True)
    block = blocks.create(name, 8)
    block(x).sum().backward()
    assert all(t.grad.isfinite().all() for t in (x, *block.parameters()))
