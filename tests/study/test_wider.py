"""Networks that are as large without the block, counted by hand and by building both."""

from pathlib import Path

import pytest
import torch

import cv_attention as cva
from cv_attention.cli import main
from cv_attention.config import Experiment, Model
from cv_attention.study import make_plan
from cv_attention.study.design.wider import matched
from tests.study.written import write_study


def both(backbone, block, **options):
    return (Experiment(model=Model(backbone=backbone, options=options, block=each)) for each in (None, block))


def count(experiment, changes=None):
    options = {**experiment.model.options, **({"branch_widths": list(*changes.values())} if changes else {})}
    network = cva.backbones.build(experiment.model.backbone, num_classes=10, **options)
    if not changes and experiment.model.block is not None:
        cva.insert(network, experiment.model.block, at="residual", input_size=32)
    return sum(parameter.numel() for parameter in network.parameters()), network


def test_resnet20_with_se_by_hand():
    """SE adds 3 × (2·16·1 + 1 + 16) + 3 × (2·32·2 + 2 + 32) + 3 × (2·64·4 + 4 + 64) = 2,373 parameters.

    One more channel costs 9·(16 + 16) + 2 = 290 in the first stage and 9·(64 + 64) + 2 = 1,154 in the last, and less
    where the stages meet: 9·(16 + 32) + 2 = 434 and 9·(32 + 64) + 2 = 866.
    """
    plain, se = both("resnet20", "se")
    changes, note = matched(plain, se)
    widths = changes["model.options.branch_widths"]
    costs = [290] * 3 + [434] + [578] * 2 + [866] + [1154] * 2
    start = [16] * 3 + [32] * 3 + [64] * 3
    added = sum((width - before) * cost for width, before, cost in zip(widths, start, costs, strict=True))
    assert 2373 - 290 < added <= 2373
    assert count(plain)[0] + added == count(plain, changes)[0]
    assert f"{count(plain, changes)[0]:,} of {count(se)[0]:,} parameters" in note


@pytest.mark.parametrize(
    ("backbone", "block", "options"),
    [("resnet20", "cbam", {}), ("resnet56", "se", {}), ("resnet18_cifar", "se", {}), ("wrn16_4", "gc", {}),
     ("resnet20", "mhsa", {}), ("resnet20", {"name": "se", "reduction": 2}, {"width": 4})],
)  # fmt: skip
def test_matched_within_two_percent(backbone, block, options):
    plain, attended = both(backbone, block, **options)
    changes, _ = matched(plain, attended)
    wanted, (reached, network) = count(attended)[0], count(plain, changes)
    assert abs(reached - wanted) < 0.02 * wanted
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_a_block_without_parameters_has_no_wider_arm(tmp_path):
    networks = {"plain": {}, "simam": {"model.block": "simam"}, "se": {"model.block": "se"}}
    plan = make_plan(write_study(tmp_path, networks=networks, controls={"match": ["parameters"]}))
    assert [arm.name for arm in plan.arms] == ["plain", "simam", "se", "se+wider"]
    wider = plan.experiments["se+wider", ""].model
    assert wider.block is None
    assert len(wider.options["branch_widths"]) == 9
    assert "parameters (" in plan.arms[-1].note


def test_other_networks_are_refused(tmp_path, capsys):
    changed = {"model.backbone": "convnet", "model.options": {}}
    file = write_study(tmp_path, set=changed, controls={"match": ["parameters"]},
                       networks={"plain": {}, "se": {"model.block": "se", "model.at": "stage"}})  # fmt: skip
    assert main(["study", str(file), "--root", str(tmp_path / "s"), "--status"]) == 2
    assert "controls.match widens our ResNets (resnet20, wrn16_8, ...), not convnet" in capsys.readouterr().err


def test_widths_leave_the_network_as_it_is():
    torch.manual_seed(0)
    plain = cva.backbones.build("resnet20", num_classes=10)
    torch.manual_seed(0)
    same = cva.backbones.build("resnet20", num_classes=10, branch_widths=[16] * 3 + [32] * 3 + [64] * 3)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(plain(images), same(images))


@pytest.mark.parametrize("widths", [[16], [16] * 8, [0] * 9, [16.0] * 9, [True] * 9, "nine", [10**9] * 9])
def test_wrong_widths_are_refused(widths):
    with pytest.raises(ValueError, match="branch_widths must be a list of 9 whole numbers"):
        cva.backbones.build("resnet20", branch_widths=widths)


def test_the_example_is_a_study(monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    for file in sorted(root.glob("configs/studies/*.yaml")):
        text = file.read_text()
        assert f"cv-attention study configs/studies/{file.name}" in text
        assert "#   time, measured" in text
        plan = make_plan(file)
        assert [arm.name for arm in plan.arms] == ["plain", "se", "se+identity", "se+shuffled_gate", "se+wider"]
