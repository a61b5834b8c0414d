"""Plain networks that cost as much as those with a block, counted by hand and by building and measuring both."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import cv_attention as cva
from cv_attention import training
from cv_attention.blocks import CATALOGUE
from cv_attention.cli import main
from cv_attention.config import Data, Digits, Experiment, Model, Trainer
from cv_attention.study import make_plan
from cv_attention.study.design.matching import Matching
from tests.quick import quick_first
from tests.study.written import write_study

IMAGES = Data(name="cluttered_digits", digits=Digits(canvas=32, digit=12, clutter=1, train=32, val=16, test=16))
VIT = {"depth": 3, "embed_dim": 48, "num_heads": 3, "img_size": 32}
CONVNEXT = {"depths": (1, 1, 2, 1), "dims": (8, 16, 24, 32)}
SMALL = [
    ("resnet20", "se", {}), ("resnet20", "cbam", {"width": 8}), ("wrn16_4", "gc", {}), ("resnet20", "mhsa", {}),
    ("timm/vit_tiny_patch16_224", "eca", VIT),
]  # fmt: skip
LARGE = [
    ("timm/convnext_atto", "se", CONVNEXT),
    ("resnet56", "se", {}), ("resnet18_cifar", "se", {}), ("timm/resnet18", "se", {}), ("timm/resnet50", "cbam", {}),
    ("timm/convnext_atto", "se", {}), ("timm/efficientnet_b0", "eca", {}), ("timm/efficientnet_lite0", "se", {}),
    ("timm/mobilenetv2_050", "se", {}), ("timm/mobilenetv3_small_050", "cbam", {}),
]  # fmt: skip


def both(backbone, block, options, **changes):
    model = Model(
        backbone=backbone, options=options, at="patch_embed.proj" if "vit" in backbone else "residual", **changes
    )
    return (Experiment(data=IMAGES, model=replace(model, block=each)) for each in (None, block))


def network(experiment, changes=None):
    new = {name.removeprefix("model."): value for name, value in (changes or {}).items()}
    return training.build_network(replace(experiment.model, **new), 10, (32, 32))[0]


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_resnet20_with_se_by_hand():
    """SE adds 3 × (2·16·1 + 1 + 16) + 3 × (2·32·2 + 2 + 32) + 3 × (2·64·4 + 4 + 64) = 2,373 parameters.

    One more channel costs 9·(16 + 16) + 2 = 290 in the first stage and 9·(64 + 64) + 2 = 1,154 in the last, and less
    where the stages meet: 9·(16 + 32) + 2 = 434 and 9·(32 + 64) + 2 = 866.
    """
    plain, se = both("resnet20", "se", {})
    changes, note = Matching().wider(plain, se, "parameters")
    costs = [290] * 3 + [434] + [578] * 2 + [866] + [1154] * 2
    start = [16] * 3 + [32] * 3 + [64] * 3
    widths = changes["model.widths"].values()
    added = sum((width - before) * cost for width, before, cost in zip(widths, start, costs, strict=True))
    assert 2373 - 290 < added <= 2373
    assert count(network(plain)) + added == count(network(plain, changes))
    assert f"{count(network(plain, changes)):,} of {count(network(se)):,} parameters" in note


@pytest.mark.parametrize(
    ("backbone", "block", "options"), quick_first([*SMALL[1:2], *SMALL[4:], *SMALL[:1], *SMALL[2:4], *LARGE], 2)
)
def test_as_many_parameters_in_every_family(backbone, block, options):
    plain, attended = both(backbone, block, options)
    changes, note = Matching().wider(plain, attended, "parameters")
    if not changes:
        assert count(network(attended)) < 1.001 * count(network(plain))
        return
    wider, wanted = network(plain, changes), count(network(attended))
    assert abs(count(wider) - wanted) < 0.02 * wanted
    assert note.endswith(f"({100 * count(wider) / wanted - 100:+.2f} %)")
    assert wider(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.long
@pytest.mark.parametrize("cost", ["flops", "memory"])
def test_as_many_flops_and_as_much_memory(cost):
    """By torch's own counter of FLOPs, and by what autograd's hooks see."""
    plain, attended = both("resnet20", "cbam", {"width": 8})
    changes, _ = Matching().wider(plain, attended, cost)
    measured = cva.backbones.measure(network(plain, changes), network(attended), input_size=32, rounds=0)
    name = "flops" if cost == "flops" else "activation_bytes"
    assert getattr(measured.plain, name) == pytest.approx(getattr(measured.attended, name), rel=0.02)
    assert changes["model.widths"]


@pytest.mark.long
def test_deeper_with_as_many_parameters():
    plain, attended = both("resnet20", {"name": "se", "reduction": 4}, {"width": 8})
    changes, note = Matching().deeper(plain, attended, "parameters")
    deeper = network(plain, changes)
    assert sum(changes["model.extra_blocks"].values()) >= 1
    assert abs(count(deeper) / count(network(attended)) - 1) < 0.02
    assert "parameters (" in note
    assert deeper(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_measured_times_are_measured_once(tmp_path, monkeypatch):
    """Times differ from call to call; a study that continues must train the networks that it began with."""
    seen = []
    times = iter([1.7, 2.4])

    def steps(experiments, threads):
        seen.append(experiments)
        from cv_attention.study.price import Step

        return {cell: Step(1.0 if cell[0] == "plain" else next(times), 1.0) for cell in experiments}

    monkeypatch.setattr("cv_attention.study.price.measured_steps", steps)
    plain, attended = (replace(each, trainer=Trainer(max_epochs=10)) for each in both("resnet20", "se", {}))
    file = tmp_path / "matched.json"
    first = Matching(file).longer(plain, attended)
    assert first == ({"trainer.max_epochs": 17}, first[1])
    assert "17 epochs instead of 10, since a training step with the block takes 1.70 times as long" in first[1]
    assert Matching(file).longer(plain, attended) == first
    assert len(seen) == 1
    file.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="is damaged; remove it, and the networks are matched again"):
        Matching(file).longer(plain, attended)


@pytest.mark.parametrize("cost", ["flops", "latency", "memory"])
def test_the_cost_that_is_named_is_matched(cost, monkeypatch):
    """Of all that is measured only this one grows with the network here, and of a latency the median alone."""

    def measured(plain, attended, *, input_size, rounds):
        assert input_size == (32, 32)
        assert (rounds > 0) == (cost == "latency")
        return SimpleNamespace(plain=costs(plain), attended=costs(attended))

    def costs(model):
        size = count(model)
        found = {"parameters": 5, "flops": 7, "activation_bytes": 11, "latency": (1.0, 1e-6 * size, 1e3)}
        return SimpleNamespace(**{**found, **({} if cost == "latency" else {name: size})})

    name = {"flops": "flops", "memory": "activation_bytes", "latency": "latency"}[cost]
    monkeypatch.setattr(cva.backbones, "measure", measured)
    plain, attended = both("resnet20", "mhsa", {"width": 4})
    changes, note = Matching().wider(plain, attended, cost)
    ratio = count(network(plain, changes)) / count(network(attended))
    assert abs(ratio - 1) < 0.02
    assert f"({100 * ratio - 100:+.2f} %)" in note


@pytest.mark.long
def test_as_fast():
    """On a busy machine it may say that it cannot; what it accepts is within two percent of its own measurement."""
    plain, attended = both("resnet20", "cbam", {})
    matching = Matching()
    try:
        changes, note = matching.wider(plain, attended, "latency")
    except ValueError as error:
        pytest.skip(f"a busy machine: {error}")
    assert "seconds (" in note
    assert changes["model.widths"]


def test_arms_of_a_study(tmp_path):
    networks = {"plain": {}, "simam": {"model.block": "simam"}, "se": {"model.block": {"name": "se", "reduction": 4}}}
    controls = {"match": ["parameters"], "by": ["width", "depth"], "placement": ["pre", "residual"]}
    plan = make_plan(write_study(tmp_path, networks=networks, controls=controls))
    names = ["plain", "simam", "se", "simam+at_pre", "se+at_pre", "se+wider", "se+deeper"]
    assert [arm.name for arm in plan.arms] == names  # SimAM has no parameters
    wider = plan.experiments["se+wider", ""].model
    assert wider.block is None
    assert len(wider.widths) == 9
    assert plan.experiments["se+at_pre", ""].model.at == "pre"
    assert "parameters (" in plan.arms[-1].note


def test_arms_of_the_same_cost_can_be_left_out_for_one_network(tmp_path, monkeypatch):
    monkeypatch.setattr(Matching, "longer", lambda *networks: ({"trainer.max_epochs": 7}, "pretended"))  # is measured
    networks = {"plain": {}, "se": {"model.block": "se"}, "eca": {"model.block": "eca"}}
    controls = {"match": ["parameters"], "placement": ["pre"], "longer": True}
    arms = {}
    for name in ("none", "parameters", "pre", "longer"):
        without = {"se": [] if name == "none" else [name]}
        plan = make_plan(write_study(tmp_path / name, networks=networks, controls={**controls, "without": without}))
        arms[name] = {arm.name for arm in plan.arms}
    assert arms["none"] - arms["parameters"] == {"se+wider"}
    assert arms["none"] - arms["pre"] == {"se+at_pre"}
    assert arms["none"] - arms["longer"] == {"se+longer"}
    assert all("eca+at_pre" in names for names in arms.values())


@pytest.mark.parametrize(
    ("controls", "message"),
    [({"match": ["params"]}, "controls.match: 'params' is unknown"), ({"by": "widht"}, "did you mean 'width'"),
     ({"by": []}, "controls.by must name at least one of width, depth"),
     ({"placement": ["everywhere"]}, "controls.placement: 'everywhere' is unknown")],
)  # fmt: skip
def test_wrong_controls_are_named(controls, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make_plan(write_study(tmp_path, controls=controls))


def test_networks_without_a_width_of_their_own_are_refused(tmp_path, capsys):
    changed = {"model.backbone": "convnet", "model.options": {}}
    file = write_study(tmp_path, set=changed, controls={"match": ["parameters"], "by": "depth"},
                       networks={"plain": {}, "se": {"model.block": "se", "model.at": "stage"}})  # fmt: skip
    assert main(["study", str(file), "--root", str(tmp_path / "s"), "--status"]) == 2
    assert "controls of se: controls.match: convnet cannot be deepened" in capsys.readouterr().err


@pytest.mark.long
def test_shipped_studies_can_be_planned(monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    for file in sorted(root.glob("configs/studies/*.yaml")):
        text = file.read_text()
        assert f"cv-attention study configs/studies/{file.name}" in text
        assert "#   time, measured" in text
        arms = [arm.name for arm in make_plan(file).arms]
        if file.name == "digits.yaml":
            assert arms == ["plain", "se", "se+identity", "se+shuffled_gate", "se+wider"]
        if file.name == "screen.yaml":
            assert arms == ["plain", *CATALOGUE]
