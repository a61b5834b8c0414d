"""Channel gates equal those of other libraries, with their weights copied over."""

import pytest
import timm.layers
import torch
import torchvision.ops
from torch.testing import assert_close

from cv_attention import blocks
from tests.blocks.cases import feature_map


def copy_fully_connected(block, fc1, fc2):
    """Copies 1 x 1 convolutions into a squeeze-and-excitation's linear maps."""
    for ours, theirs in ((block.reduce, fc1), (block.expand, fc2)):
        with torch.no_grad():
            ours.weight.copy_(theirs.weight.flatten(1))
            if theirs.bias is not None:
                ours.bias.copy_(theirs.bias)


def test_se_is_torchvisions():
    theirs = torchvision.ops.SqueezeExcitation(32, 8)
    ours = blocks.SqueezeExcite(32, reduction=4)
    copy_fully_connected(ours, theirs.fc1, theirs.fc2)
    x = feature_map(2, 32, 5, 7)
    assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [16, 24, 64, 200, 256])
def test_se_is_timms(channels, bias):
    theirs = timm.layers.SEModule(channels, bias=bias)
    ours = blocks.SqueezeExcite(channels, bias=bias, divisor=8)
    copy_fully_connected(ours, theirs.fc1, theirs.fc2)
    x = feature_map(2, channels, 5, 7)
    assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("channels", [16, 64, 256, 512, 2048])
def test_eca_is_timms(channels):
    theirs = timm.layers.EcaModule(channels)
    ours = blocks.EfficientChannelAttention(channels)
    ours.load_state_dict(theirs.state_dict())
    x = feature_map(2, channels, 3, 4)
    assert_close(ours(x), theirs(x))


# The published numbers of parameters of SE-ResNet-50, less the 25,557,032 of ResNet-50.
@pytest.mark.parametrize(("bias", "total"), [(True, 28_088_024), (False, 28_071_976)])
def test_se_adds_the_published_parameters_to_resnet50(bias, total):
    units = {256: 3, 512: 4, 1024: 6, 2048: 3}
    added = sum(n * blocks.cost({"name": "se", "bias": bias}, c, 7, 7).parameters for c, n in units.items())
    assert 25_557_032 + added == total


def test_eca_adds_the_published_parameters_to_resnet50():
    units = {3: 3, 5: 4 + 6, 7: 3}
    kernels = {"name": "eca"}
    assert sum(n * blocks.cost({**kernels, "kernel_size": k}, 256, 7, 7).parameters for k, n in units.items()) == 80
    by_formula = [blocks.EfficientChannelAttention(c).conv.kernel_size for c in (256, 512, 1024, 2048)]
    assert by_formula == [(5,), (5,), (5,), (7,)]
