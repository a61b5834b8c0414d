"""Blocks that cost more than the network are warned about, with positions at which they cost less."""

import re

import pytest
import torch

from cv_attention import backbones
from cv_attention.cli import main


def network():
    torch.manual_seed(0)
    return backbones.build("resnet20", num_classes=10, width=4)


class Heavy(torch.nn.Sequential):
    """A hundred times what a unit of the network costs."""

    def __init__(self, channels: int) -> None:
        super().__init__(torch.nn.Conv2d(channels, 64 * channels, 1), torch.nn.Conv2d(64 * channels, channels, 1))


BLOCK = {"class_path": f"{__name__}.Heavy"}


def test_a_cheap_block_is_not_warned_about():
    model = network()
    planned = backbones.insert(model, "cbam", input_size=32)
    assert backbones.excess(model, "cbam", planned) is None


@pytest.mark.parametrize("inserted", [False, True])
def test_names_the_cost_and_the_cheaper_positions(inserted):
    model = network()
    planned = (backbones.insert if inserted else backbones.plan)(model, BLOCK, input_size=32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    said = backbones.excess(model, BLOCK, planned)
    assert said is not None
    flops, parameters = planned.added_flops / planned.flops, planned.added_parameters / planned.parameters
    assert flops > 1
    assert f"add {100 * flops:.0f} % to the network's FLOPs and {100 * parameters:.0f} % to its parameters" in said
    found = {at: int(cost) for at, cost in re.findall(r"at ([\w:-]+) \(FLOPs \+(\d+) %", said)}
    assert set(found) == {"residual:-1", "stage", "stage:-1"}
    for at, cost in found.items():
        other = backbones.plan(network(), BLOCK, at, input_size=32)
        assert cost == round(100 * other.added_flops / other.flops)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_plan_of_several_positions_has_no_other_place_to_name():
    model, block = network(), {"residual": BLOCK}
    said = backbones.excess(model, block, backbones.plan(model, block, input_size=32))
    assert said is not None
    assert said.endswith("fewer sites cost less")


def test_the_command_says_so(capsys):
    assert main(["plan", "resnet20", f"--block={BLOCK}", "--rounds=0", "--size=32", "--classes=10"]) == 0
    assert "warning: the blocks add" in capsys.readouterr().out
    assert main(["plan", "resnet20", "--block=se", "--rounds=0", "--size=32", "--classes=10"]) == 0
    assert "warning" not in capsys.readouterr().out
