"""How much blocks are in use, against the numbers of gates that are known."""

import pytest
import torch
from torch import nn

import cv_attention as cva
from cv_attention.maps import usage


class Known(nn.Module):
    """Multiplies by a given map."""

    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x):
        return x * self.gate


class ByImage(Known):
    """Doubles images that are positive, and leaves the others."""

    def forward(self, x):
        return x * (1 + (x.mean((1, 2, 3), keepdim=True) > 0).to(x.dtype))


def model_with(block, init="plain"):
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    cva.insert(model, block, "0", input_size=6, init=init)
    return model


def test_the_identity_is_not_in_use_and_a_constant_factor_spreads_nowhere():
    images = torch.randn(6, 3, 6, 6)
    found = usage(model_with("se", "identity"), images)
    assert found.predictions_changed == 0
    [block] = found.blocks
    assert (block.block, block.change) == ("0.attention", 0)
    model = model_with(Known)
    nn.init.constant_(model[0].attention.gate, 0.5)
    [block] = usage(model, images).blocks
    assert block.change == pytest.approx(0.5)
    assert (block.over_images, block.over_channels, block.over_positions) == pytest.approx((0, 0, 0), abs=1e-6)


def test_spreads_over_channels_and_images_by_hand():
    images = torch.randn(6, 3, 6, 6)
    model = model_with(Known)
    gate = torch.tensor([1.0, 2.0, 3.0, 2.0])
    with torch.no_grad():
        model[0].attention.gate.copy_(gate.view(1, 4, 1, 1))
        x = model[0].attention(nn.functional.conv2d(images, model[0].weight)) / gate.view(1, 4, 1, 1)
    [block] = usage(model, images).blocks
    assert block.over_channels == pytest.approx(float(gate.std(correction=0) / gate.mean()))
    assert block.over_images == pytest.approx(0, abs=1e-6)
    added = (x * (gate.view(1, 4, 1, 1) - 1)).norm() / x.norm()
    assert block.change == pytest.approx(float(added))

    model = model_with(ByImage)
    nn.init.constant_(model[0].weight, 1.0)
    signs = torch.tensor([1.0, 1.0, 1.0, -1.0]).view(4, 1, 1, 1)
    [block] = usage(model, [signs[:2].expand(2, 3, 6, 6), signs[2:].expand(2, 3, 6, 6)]).blocks
    factors = torch.tensor([2.0, 2.0, 2.0, 1.0])
    assert block.over_images == pytest.approx(float(factors.std(correction=0) / factors.mean()))
    assert block.over_channels == pytest.approx(0, abs=1e-6)


def test_a_channel_of_zeros_is_no_spread():
    model = model_with(Known)
    with torch.no_grad():
        model[0].weight[1] = 0
        model[0].attention.gate.fill_(0.5)
    [block] = usage(model, torch.randn(3, 3, 6, 6)).blocks
    assert block.over_channels == pytest.approx(0, abs=1e-6)


def test_counts_predictions_that_change_without_the_blocks():
    model = model_with(Known)
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].attention.gate.neg_()
        model[3].weight.copy_(torch.tensor([[1.0] * 4, [-1.0] * 4]))
        model[3].bias.copy_(torch.tensor([0.0, 0.0]))
    images = torch.ones(4, 3, 6, 6)
    found = usage(model.train(), images)
    assert found.predictions_changed == 1
    assert model.training
    assert "0.attention" in str(found)
    assert "100.0 % of 4 predictions" in str(found)
    assert found.to_dict()["blocks"][0]["change"] == pytest.approx(2)
    assert not any(module._forward_hooks for module in model[0].attention.modules())


class Difference(nn.Module):
    """Takes two images, and writes into the first."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

    def forward(self, left, right):
        return self.encoder(left.sub_(1)) - self.encoder(right)


def test_models_that_take_anything_else_than_images():
    model, pair = Difference(), (torch.randn(5, 3, 6, 6), torch.randn(5, 3, 6, 6))
    cva.insert(model, Known, "encoder.0", example_inputs=pair)
    nn.init.constant_(model.encoder[0].attention.gate, 3.0)
    kept = [one.clone() for one in pair]
    found = usage(model, [pair, ((pair[0],), {"right": pair[1]})])
    assert (found.images, found.blocks[0].change) == (10, pytest.approx(2.0))
    named = usage(model, {"left": pair[0], "right": pair[1]})
    assert (named.images, named.predictions_changed) == (5, found.predictions_changed)
    assert all(torch.equal(one, two) for one, two in zip(pair, kept, strict=True))


def test_messages():
    with pytest.raises(ValueError, match="has no inserted block"):
        usage(nn.Sequential(nn.Conv2d(3, 4, 1)), torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="at least one image"):
        usage(model_with(Known), [])
    with pytest.raises(ValueError, match="images must hold a tensor, got 3"):
        usage(model_with(Known), [3])
