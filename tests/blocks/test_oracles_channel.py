"""Channel gates equal those of other libraries, with their weights copied over."""

import pytest
import timm.layers
import torch
import torchvision.ops
from timm.layers.grn import GlobalResponseNorm
from torch import nn
from torch.testing import assert_close

from cv_attention import blocks
from cv_attention.blocks.functional import l2_norm
from tests.blocks.cases import feature_map
from tests.references.channel import ceca


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


@pytest.mark.parametrize("channels", [8, 30])
def test_ese_is_timms(channels):
    theirs = timm.layers.EffectiveSEModule(channels)
    ours = blocks.EffectiveSE(channels)
    with torch.no_grad():
        theirs.fc.weight *= 60  # so that some gates are 0 and some 1
        ours.excite.weight.copy_(theirs.fc.weight.flatten(1))
        ours.excite.bias.copy_(theirs.fc.bias)
    x = feature_map(2, channels, 5, 7)
    gates = ours.attention(x)
    assert gates.min() == 0
    assert gates.max() == 1
    assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("channels", [8, 30, 64, 256, 2048])
def test_ceca_is_timms(channels):
    theirs = timm.layers.CecaModule(channels)
    ours = blocks.CircularECA(channels)
    ours.load_state_dict(theirs.state_dict())
    x = feature_map(2, channels, 3, 4)
    assert_close(ours(x), theirs(x))


def test_ceca_wraps_around_once_at_most():
    x = feature_map(2, 3, 4, 4)
    whole = blocks.CircularECA(3, kernel_size=7)
    assert_close(whole(x), ceca(whole, x)[0])
    with pytest.raises(ValueError, match="at most 2 \\* channels \\+ 1, got kernel_size=9, channels=3"):
        blocks.CircularECA(3, kernel_size=9)


def test_srm_takes_torchs_deviation():
    x = feature_map(4, 6, 5, 7)
    for unbiased in (False, True):
        block = blocks.StyleRecalibration(6, unbiased=unbiased)
        nn.init.normal_(block.weight)
        style = block.weight[:, 0] * x.mean((2, 3)) + block.weight[:, 1] * x.std((2, 3), unbiased=unbiased)
        expected = x * torch.sigmoid(nn.functional.batch_norm(style, None, None, training=True))[:, :, None, None]
        assert_close(block(x), expected)
    with pytest.raises(ValueError, match="unbiased=True needs more than one position"):
        block(feature_map(4, 6, 1, 1))


def test_gct_is_the_identity_at_the_start_and_normalises_as_torch():
    x = feature_map(2, 6, 5, 7)
    block = blocks.GatedChannelTransform(6, eps=1e-12)
    assert torch.equal(block(x), x)
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    embedding = block.alpha * x.flatten(2).norm(dim=2)
    relative = nn.functional.normalize(embedding, dim=1) * 6**0.5
    assert_close(block(x), x * (1 + torch.tanh(block.gamma * relative + block.beta))[:, :, None, None])


def test_gaussian_context_is_the_exponential_of_torchs_layer_norm():
    x = feature_map(2, 6, 5, 7)
    normalised = nn.LayerNorm(6, elementwise_affine=False)(x.mean((2, 3)))
    density = torch.distributions.Normal(0, 2.0).log_prob(normalised) - torch.distributions.Normal(0, 2.0).log_prob(
        torch.zeros(())
    )
    assert_close(blocks.GaussianContextTransformer(6)(x), x * density.exp()[:, :, None, None])
    learnt = blocks.GaussianContextTransformer(6, learnable=True)  # c = 3 sigmoid(0) + 1
    assert_close(learnt(x), blocks.GaussianContextTransformer(6, c=2.5)(x))


@pytest.mark.parametrize(
    ("channels", "groups"), [(2048, 64), (256, 64), (192, 48), (64, 16), (30, 6), (8, 2), (7, 1), (1, 1)]
)
def test_lct_is_torchs_group_norm(channels, groups):
    block = blocks.LinearContextTransform(channels)
    assert block.groups == groups
    theirs = nn.GroupNorm(groups, channels)
    for ours, other in ((block.weight, theirs.weight), (block.bias, theirs.bias)):
        nn.init.normal_(ours)
        other.data.copy_(ours)
    x = feature_map(2, channels, 3, 5)
    assert_close(block(x), x * theirs(x.mean((2, 3))).sigmoid()[:, :, None, None])


def test_lct_starts_half_open_and_needs_whole_groups():
    assert_close(
        blocks.LinearContextTransform(8).attention(feature_map(1, 8, 2, 2))[0, :, 0, 0], torch.full((8,), 0.7310586)
    )
    with pytest.raises(ValueError, match="channels must be divisible by groups, got channels=8, groups=3"):
        blocks.LinearContextTransform(8, groups=3)


def test_gsop_is_composed_of_torchs_covariance():
    block, x = blocks.GlobalSecondOrderPooling(12, dim=5), feature_map(3, 12, 4, 5)
    features = block.norm(block.reduce(x.relu())).relu().flatten(2)
    covariance = torch.stack([torch.cov(f, correction=0) for f in features])
    normalised = nn.BatchNorm2d(5)(covariance[..., None])
    rows = nn.functional.conv2d(normalised, block.rows.weight[..., None], block.rows.bias, groups=5)
    gate = nn.functional.conv2d(rows, block.expand.weight[..., None, None], block.expand.bias).sigmoid()
    assert_close(block(x), x * gate)


def test_gsop_adds_the_official_layers_parameters():
    c, d = 1024, 128
    layers = (c * d + d) + 4 * d + (4 * d * d + 4 * d) + (4 * d * c + c)
    assert blocks.cost("gsop", c, 14, 14).parameters == layers


def test_gsop_says_what_one_pixel_needs():
    block = blocks.GlobalSecondOrderPooling(12)
    with pytest.raises(ValueError, match="needs a batch of 2 or more images in training"):
        block(feature_map(1, 12, 1, 1))
    assert block.eval()(feature_map(1, 12, 1, 1)).isfinite().all()


def test_grn_is_timms():
    theirs = GlobalResponseNorm(12, channels_last=False)
    ours = blocks.GlobalResponseNorm(12)
    x = feature_map(2, 12, 5, 7)
    assert torch.equal(ours(x), x)
    for parameter, other in ((ours.gamma, theirs.weight), (ours.beta, theirs.bias)):
        nn.init.normal_(parameter)
        other.data.copy_(parameter)
    assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_norm_of_a_dead_channel_has_gradient_zero(memory_format):
    x = feature_map(2, 6, 5, 7)
    x[:, 2] = 0
    x = x.to(memory_format=memory_format).requires_grad_()
    norm = l2_norm(x)
    assert_close(norm, x.flatten(2).norm(dim=2))
    norm.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad[:, 2], torch.zeros(2, 5, 7))
    assert_close(x.grad[:, 3], (x[:, 3] / norm[:, 3, None, None]).detach())


@pytest.mark.parametrize("name", ["srm", "gct", "grn", "gaussian_context", "lct", "gsop", "fca", "ge_plus"])
def test_gradients_are_finite_where_all_is_zero(name):
    block = blocks.create(name, 8)
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    x = torch.zeros(2, 8, 3, 3, requires_grad=True)
    (block(x) + x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())


@pytest.mark.parametrize("name", ["gct", "grn"])
def test_squares_do_not_overflow_in_half_precision(name):
    block = blocks.create(name, 4).half()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.1)
    x = (300 * feature_map(2, 4, 6, 6)).half()
    assert_close(block(x).float(), block.float()(x.float()), rtol=1e-2, atol=2)
