"""Branch attention equals that of other libraries, with their weights copied over."""

import pytest
import torch
from timm.layers import CondConv2d, SelectiveKernel, SplitAttn
from torch import nn
from torch.testing import assert_close

from cv_attention import blocks
from tests.blocks.cases import feature_map, hooked
from tests.references import branch


def copy(ours, theirs):
    """Copies layers that are named (ours, theirs); shapes must agree."""
    for target, source in zip(ours, theirs, strict=True):
        target.load_state_dict(source.state_dict())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kernels", [[3, 5], [3, 5, 7]], ids=str)
@pytest.mark.parametrize("dilated", [True, False])
def test_sk_is_timms(kernels, dilated, training):
    theirs = SelectiveKernel(16, kernel_size=kernels, groups=4, rd_channels=32, keep_3x3=dilated, split_input=False)
    ours = blocks.SelectiveKernel(16, kernel_size=kernels, dilated=dilated, groups=4)
    for (conv, norm), path in zip(ours.convs, theirs.paths, strict=True):
        copy((conv, norm), (path.conv, path.bn))
    attention = theirs.attn
    copy((ours.reduce, ours.norm, ours.select), (attention.fc_reduce, attention.bn, attention.fc_select))
    x = feature_map(3, 16, 6, 9)
    assert_close(ours.train(training)(x), theirs.train(training)(x))
    with hooked(ours) as maps:
        ours(x)
    total = sum(map_ for _, map_ in maps)
    assert len(maps) == len(kernels)
    assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("radix", "groups"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_split_attention_is_timms(radix, groups, training):
    theirs = SplitAttn(16, groups=groups, radix=radix, rd_channels=32 // radix, norm_layer=nn.BatchNorm2d)
    ours = blocks.SplitAttention(16, radix=radix, groups=groups)
    copy(
        (ours.conv, ours.norm0, ours.reduce, ours.norm1, ours.expand),
        (theirs.conv, theirs.bn0, theirs.fc1, theirs.bn1, theirs.fc2),
    )
    x = feature_map(3, 16, 6, 9)
    assert_close(ours.train(training)(x), theirs.train(training)(x))
    with hooked(ours) as maps, torch.no_grad():
        ours(x)
        _, *expected = branch.split_attention(ours, x)
    assert_close([map_ for _, map_ in maps], expected)


@pytest.mark.parametrize("name", ["sk", "split_attention"])
def test_a_frozen_norm_takes_one_image(name):
    block, x = blocks.create(name, 8).train(), feature_map(1, 8, 5, 7)
    for norm in (module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.eval()
    assert block(x).shape == x.shape


def test_attention_augmented_has_the_papers_widths():
    # kappa = 2 upsilon = 0.2 and 8 heads of at least 20 key channels.
    block = blocks.AttentionAugmentedConv(512)
    assert (block.heads, block.widths, block.conv.out_channels) == (8, [160, 160, 48], 464)
    assert blocks.AttentionAugmentedConv(1).conv is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sk", {"kernel_size": (3,)}, "two or more odd numbers, got kernel_size=(3,)"),
        ("sk", {"kernel_size": (3, 4)}, "kernel_size=4"),
        ("sk", {"groups": 3}, "channels=8, groups=3"),
        ("split_attention", {"radix": 3}, "channels=8, groups * radix=3"),
        ("attention_augmented", {"heads": 9}, "heads=9, channels=8"),
        ("attention_augmented", {"upsilon": 1.5}, "upsilon=1.5"),
        ("attention_augmented", {"kappa": 0}, "kappa=0"),
    ],
    ids=str,
)
def test_bad_options_are_said(name, options, message):
    with pytest.raises(ValueError) as error:
        blocks.create(name, 8, **options)
    assert message in str(error.value)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 4])
def test_sigmoid_routing_is_timms_cond_conv(groups, bias):
    """With the routing of timm's EfficientNet-CondConv: a sigmoid of one layer of the means."""
    ours = blocks.DynamicConvolution(16, kernels=3, groups=groups, routing="sigmoid", bias=bias)
    theirs = CondConv2d(16, 16, 3, padding=1, groups=groups, bias=bias, num_experts=3)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.flatten(1))
        if bias:
            theirs.bias.copy_(ours.bias)
    x = feature_map(3, 16, 6, 9)
    routing = torch.sigmoid(
        nn.functional.linear(x.mean((2, 3)), ours.attention.route.weight, ours.attention.route.bias)
    )
    assert_close(ours(x), theirs(x, routing), rtol=1e-5, atol=1e-6)


def test_the_temperature_falls_to_one_and_stays_there():
    block = blocks.DynamicConvolution(8, temperature=30.0, annealing=4).train()
    x, found = feature_map(2, 8, 4, 5), []
    logits = block.attention.route(block.attention.reduce(x.mean((2, 3))).relu())
    for _ in range(7):
        weights = block.attention(x)
        spread = (weights.max(1).values / weights.min(1).values).log()  # the largest difference of logits over tau
        found.append(((logits.max(1).values - logits.min(1).values) / spread)[0].item())
    assert found == pytest.approx([30, 22.75, 15.5, 8.25, 1, 1, 1], rel=1e-3)
    again = blocks.DynamicConvolution(8, temperature=30.0, annealing=4).eval()
    again.load_state_dict(block.state_dict())
    assert_close(again(x), block.eval()(x))
    assert block.attention.steps == 7  # evaluation does not count


def test_a_high_temperature_mixes_kernels_alike():
    block, x = blocks.DynamicConvolution(8, temperature=1e6), feature_map(2, 8, 4, 5)
    mean = nn.functional.conv2d(x, block.weight.mean(0).view(8, 8, 3, 3), block.bias.mean(0), padding=1)
    assert_close(block(x), mean, rtol=1e-4, atol=1e-5)


def test_cost_of_dynamic_convolution_does_not_grow_with_kernels_but_for_their_mixture():
    few, many = (blocks.cost({"name": "dynamic_convolution", "kernels": k}, 16, 32, 32) for k in (2, 8))
    mixture = 2 * 6 * (16 * 16 * 9 + 16)  # six kernels more, and a row of their weights each
    assert many.products - few.products == mixture + 2 * 6 * 4
    assert many.parameters > 3 * few.parameters


@pytest.mark.parametrize(
    ("options", "message"),
    [({"annealing": 0}, "annealing=0"), ({"groups": 3}, "groups=3"), ({"temperature": 0.0}, "temperature=0.0")],
)
def test_bad_options_of_dynamic_convolution_are_said(options, message):
    with pytest.raises(ValueError, match=message):
        blocks.DynamicConvolution(8, **options)
