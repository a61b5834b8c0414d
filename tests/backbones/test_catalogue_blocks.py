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
    block, optimizer = model[1].bn.attention, torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    for _ in range(3):
        optimizer.zero_grad()
        model(image).square().mean().backward()
        optimizer.step()
    assert not torch.equal(model.eval()(image), plain)
    gradients = [p.grad for p in block.parameters()]
    assert all(gradient is not None for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", CATALOGUE)
def test_identity_in_bf16_weights_and_on_meta(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 64, 3), Unit(), Unit()).eval().bfloat16()
    image = torch.randn(2, 3, 14, 14).bfloat16()
    with torch.no_grad():
        plain = model(image)
        for at in ("residual", "identity"):
            insert(model, name, at, init="identity", input_size=14)
        assert torch.equal(model(image), plain)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 64, 3), Unit())
        planned = insert(model, name, init="identity", input_size=14)
    assert model(torch.empty(2, 3, 14, 14, device="meta")).shape == (2, 64, 12, 12)
    assert planned.added_parameters == sum(p.numel() for p in model[1].bn.attention.parameters())


@pytest.mark.parametrize("name", CATALOGUE)
def test_adds_the_parameters_that_the_block_states(name):
    planned = insert(nn.Sequential(nn.Conv2d(3, 64, 3), Unit()), name, input_size=18)
    assert planned.added_parameters == cost(name, 64, 16, 16).parameters


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
