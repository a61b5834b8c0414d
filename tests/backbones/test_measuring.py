"""Costs of a model with and without its blocks, compared with counts by hand."""

import copy

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert, measure
from tests.references.flops import plain_flops


class Double(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        return self.conv(x).sigmoid()


def test_counts():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Tanh())
    attended, image = copy.deepcopy(plain), torch.zeros(1, 3, 8, 8)
    insert(attended, Double, "0", input_size=8)
    found = measure(plain, attended, image, rounds=0)
    assert (found.plain.parameters, found.attended.parameters) == (108, 124)
    assert (found.plain.flops, found.attended.flops) == (2 * 64 * 108, 2 * 64 * 124)
    # The image for the convolution and the tanh's output; then the block's input and the sigmoid's output, copied or
    # not (tanh keeps its own output).
    one, feature = 4 * 3 * 64, 4 * 4 * 64
    assert found.plain.activation_bytes == one + feature
    assert found.attended.activation_bytes == one + 3 * feature
    assert found.plain.latency is None
    assert "latency" not in str(found)


def test_flops_are_those_of_plain_steps_and_nothing_changes():
    model = build("resnet20", num_classes=4, width=8).train()
    attended, image = copy.deepcopy(model), torch.zeros(1, 3, 32, 32)
    insert(attended, "vit", "stage:-1")
    state = copy.deepcopy(attended.state_dict())
    found = measure(model, attended, image, rounds=2)
    assert found.attended.flops == plain_flops(attended.eval(), image)
    assert all(torch.equal(value, state[key]) for key, value in attended.state_dict().items())
    assert all(p.grad is None for p in attended.parameters())
    assert model.training
    low, median, high = found.attended.latency
    assert 0 < low <= median <= high
    lines = str(found).splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == ["parameters", "FLOPs", "activation memory", "latency"]
    assert "2 forwards in turns" in lines[-1]


def test_rejects_one_round():
    model = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="rounds=1"):
        measure(model, model, torch.zeros(1, 3, 4, 4), rounds=1)
