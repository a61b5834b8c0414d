"""Every block of the catalogue, inserted: without hurting, with gradients, with the parameters that it states."""

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert
from cv_attention.blocks import CATALOGUE, cost


class Unit(nn.Module):
    """A residual unit whose addition and activation work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(64, 64, 3, 1, 1), nn.BatchNorm2d(64), nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.bn(self.conv(x))
        out += x
        return self.act(out)


@pytest.mark.parametrize("name", CATALOGUE)
def test_identity_then_gradients(name):
    torch.manual_seed(0)
    model, image = nn.Sequential(nn.Conv2d(3, 64, 3), Unit(), Unit()).eval(), torch.randn(2, 3, 14, 14)
    with torch.no_grad():
        plain = model(image)
        insert(model, name, init="identity", input_size=14)
        assert torch.equal(model(image), plain)
        insert(model, name, "2.bn", input_size=14)
        assert not torch.equal(model(image), plain)
    model.train()
    model(image).square().sum().backward()
    assert model[1].bn.attention.alpha.grad.abs().item() > 0
    assert all(p.grad is not None for p in model[2].bn.attention_2.parameters())


@pytest.mark.parametrize("name", CATALOGUE)
def test_adds_the_parameters_that_the_block_states(name):
    planned = insert(build("resnet18_cifar", num_classes=4), name, "layer2.0.bn2")
    assert planned.added_parameters == cost(name, 128, 16, 16).parameters


def test_se_resnet50_has_the_papers_parameters():
    planned = insert(build("timm/resnet50"), {"name": "se", "reduction": 16}, input_size=64)
    assert planned.block == "se"
    assert planned.parameters + planned.added_parameters == 28_088_024


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ("cbm", "cbam"),
        ({"name": "se", "reductoin": 4}, "reduction"),
        ({"name": "se", "reduction": 0}, "site 'layer1.0.bn2'"),
    ],
)
def test_says_what_is_wrong_with_a_block(block, part):
    with pytest.raises(ValueError, match=part):
        insert(build("resnet20"), block)
