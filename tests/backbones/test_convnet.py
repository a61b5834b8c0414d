"""The plain convolutional network against its equations, and where attention goes in it."""

import pytest
import torch
from torch import nn

from cv_attention import insert, plan
from cv_attention.backbones import build


def test_against_its_equations():
    torch.manual_seed(0)
    model = build("convnet", num_classes=3, widths=[4, 6, 5], strides=[2, 1, 2]).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics that matter
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    w = model.eval().state_dict()
    x = image = torch.randn(2, 3, 16, 12, dtype=torch.double)
    for layer, stride in ((1, 2), (2, 1), (3, 2)):
        x = nn.functional.conv2d(x, w[f"layer{layer}.0.weight"], stride=stride, padding=1)
        mean, var, scale, shift = (
            w[f"layer{layer}.1.{key}"].view(-1, 1, 1) for key in ("running_mean", "running_var", "weight", "bias")
        )
        x = ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)
    assert x.shape == (2, 5, 4, 3)
    torch.testing.assert_close(model(image), x.mean((2, 3)) @ w["fc.weight"].T + w["fc.bias"])


def test_a_position_sees_31_pixels():
    """By gradients: 3, then 2, 4 and 8 pixels apart, so 3 + 2·2 + 2·4 + 2·8."""
    model = build("convnet", num_classes=2).eval()
    seen = []
    model.layer4.register_forward_hook(lambda module, given, output: seen.append(output))
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    model(image)
    assert seen[0].shape == (1, 64, 8, 8)
    seen[0][0, :, 4, 4].sum().backward()
    rows = image.grad[0].abs().sum((0, 2)).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 31


def test_positions():
    model = build("convnet", num_classes=2)
    assert [site.name for site in plan(model, "additive", at="pool").sites] == ["layer4.2"]
    assert [site.name for site in plan(model, "se", at="stage").sites] == ["layer2.2", "layer4.2"]
    images = torch.randn(2, 3, 64, 64)
    before = model.eval()(images)
    insert(model, "additive", at="pool")
    assert torch.equal(model(images), before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widths": [8]}, "got 1 widths and 4 strides"),
        ({"widths": []}, "widths must be a list with a number for each convolution"),
        ({"widths": 8}, "widths must be a list .*got widths=8"),
        ({"strides": [2, 2, 0, 1]}, "strides must be whole numbers of at least 1, got strides=0"),
        ({"strides": [2, 2, True, 1]}, "strides must be whole numbers"),
        ({"widths": [8, 8, 8, 10**6]}, "widths must be at most 65536"),
        ({"width": 8}, "did you mean 'widths'"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        build("convnet", num_classes=2, **options)
