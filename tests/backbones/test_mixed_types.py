"""Blocks take the type of the feature maps, whatever the types of the weights around them."""

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert


class Norm(nn.BatchNorm2d):
    """Computes in float32 and returns the type that it was given, as diffusion networks' norms do."""

    def forward(self, x):
        return super().forward(x.float()).to(x.dtype)


class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, 1, 1), Norm(8)

    def forward(self, x):
        return (self.norm(self.conv(x)) + x).relu()


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 3, 1, 1), Unit(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


class Autocast(nn.Module):
    """Casts by itself; its weights are float32."""

    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.net(x)


@pytest.mark.parametrize("block", ["se", "cbam", "mhsa"])
@pytest.mark.parametrize("at", ["residual", "pre", "post", "identity", "**.conv"])
def test_norms_in_float32_of_a_network_in_half_precision(at, block):
    model = Net().to(torch.bfloat16).eval()
    for module in model.modules():
        if isinstance(module, Norm):
            module.float()
    image = torch.randn(2, 3, 16, 16, dtype=torch.bfloat16)
    plain = model(image)
    planned = insert(model, block, at, init="identity", input_size=16)
    assert torch.equal(model(image), plain)
    assert {p.dtype for s in planned.sites for p in model.get_submodule(s.block).parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("at", ["residual", "pre", "post", "identity"])
def test_networks_that_cast_by_themselves(at):
    model, image = Autocast().eval(), torch.randn(2, 3, 16, 16)
    plain = model(image)
    insert(model, "cbam", at, init="identity", input_size=16)
    assert torch.equal(model(image), plain)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_blocks_have_their_hosts_type_and_the_same_numbers_in_each(dtype):
    single, other = build("resnet20"), build("resnet20").to(dtype)
    planned = insert(single, "cbam", "stage", input_size=16, seed=3)
    insert(other, "cbam", "stage", input_size=16, seed=3)
    for site in planned.sites:
        drawn, found = (dict(model.get_submodule(site.block).named_parameters()) for model in (single, other))
        for name, parameter in found.items():
            assert parameter.dtype == dtype
            assert torch.equal(parameter, drawn[name].to(dtype))
