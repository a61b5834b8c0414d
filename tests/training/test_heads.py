"""`model.head`: attention pooling from a configuration, in the network, its run directory and comparisons."""

import json

import pytest
import torch
import yaml

from cv_attention import insert, training
from cv_attention.backbones import build
from cv_attention.cli import main
from cv_attention.comparison.fields import Kind
from cv_attention.comparison.recipes import canonical, network_labels, part
from cv_attention.comparison.runs import read
from cv_attention.config import Experiment, Model
from cv_attention.config.plain import from_plain
from cv_attention.report.read import facts
from cv_attention.training import build_network
from cv_attention.training.checkpoint.sealing import sealed
from cv_attention.training.provenance import described

SMALL = {"backbone": "convnet", "options": {"widths": [8, 8], "strides": [2, 2]}}
IMAGES = torch.randn(2, 3, 32, 32)


def test_a_head_is_the_block_at_pool():
    torch.manual_seed(0)
    network, plan = build_network(Model(**SMALL, head={"name": "additive", "width": 3}), 4, (32, 32))
    torch.manual_seed(0)
    expected = build("convnet", num_classes=4, **SMALL["options"])
    same = insert(expected, {"name": "additive", "width": 3}, at="pool", input_size=32)
    assert [site.to_dict() for site in plan.sites] == [site.to_dict() for site in same.sites]
    assert network.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in network.state_dict().items())
    assert str(plan).startswith("additive at pool, init plain")


def test_a_block_and_a_head():
    network, plan = build_network(Model(**SMALL, block="se", at="stage", head="gated"), 4, (32, 32))
    assert [(site.name, site.label) for site in plan.sites] == [
        ("layer2.2", "se"),
        ("layer2.2", "gated"),
    ]
    assert network(IMAGES).shape == (2, 4)


def test_blocks_by_place_and_a_head():
    _, plan = build_network(Model(**SMALL, block={"stage:-1": "eca"}, head="luong"), 4, (32, 32))
    assert [site.label for site in plan.sites] == ["eca", "luong"]


def test_a_class_path():
    head = {"class_path": "cv_attention.blocks.AdditivePool", "init_args": {"heads": 2}}
    network, _ = build_network(Model(**SMALL, head=head), 4, (32, 32))
    assert network.layer2[2].attention.heads == 2


@pytest.mark.parametrize("train", ["blocks", "blocks+head"])
def test_only_the_head_is_trained(train):
    network, _ = build_network(Model(**SMALL, head="additive", train=train), 4, (32, 32))
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert all(".attention." in name or name.startswith("fc.") for name in trained)
    assert ("fc.weight" in trained) == (train == "blocks+head")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head": "additiv"}, "unknown head 'additiv'; did you mean 'additive'"),
        ({"head": "se"}, "se is a block within the network, not a head: give it as model.block"),
        ({"head": "gru"}, "gru writes a text, and a classifier needs one vector; heads that pool are additive"),
        ({"head": {"name": "lstm", "score": "general"}}, "lstm writes a text"),
        ({"head": {"name": "additive", "widht": 3}}, "has no option 'widht'; did you mean 'width'"),
        ({"head": {"stage:-1": "additive"}}, "model.head is a name"),
        ({"head": ["fc*"]}, "globs over the names of modules are model.head_modules"),
        ({"head": "fc*"}, "model.head_modules"),
        (
            {"head": "gated", "block": "additive", "at": "pool"},
            "head is gated, and model.block additive is at pool",
        ),
        ({"head": "gated", "block": "additive", "at": ["stage", "pool"]}, "give one of them"),
        ({"head": "gated", "block": {"pool": {"name": "additive"}}}, "model.block additive is at pool too"),
        ({"head": "additive", "backbone": "timm/vit_tiny_patch16_224", "options": {"img_size": 32}}, "pool"),
    ],
)
def test_wrong_heads(options, words):
    with pytest.raises(ValueError, match=words):
        build_network(Model(**{**SMALL, **options}), 4, (32, 32))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_options):
    root = tmp_path_factory.mktemp("runs")
    options = [*tiny_options, "--model.backbone=convnet", "--model.options={widths: [8, 8], strides: [2, 2]}"]
    options += [f"--log.root={root}", "--trainer.max_epochs=1"]
    assert main(["fit", *options, "--model.head=additive", "--model.block=eca", "--model.at=stage"]) == 0
    assert main(["fit", *options, "--model.head={name: gated, width: 5}"]) == 0
    assert main(["fit", *options, "--model.head=null"]) == 0
    return root


def test_the_run_shows_its_head(runs):
    names = sorted(run.name for run in runs.iterdir())
    assert names == [f"cluttered_digits-convnet-{name}-seed0" for name in ("eca-additive", "gated", "plain")]
    said = json.loads((runs / names[1] / "summary.json").read_text())
    assert [site["label"] for site in said["sites"]] == ["gated"]
    assert "at pool" in said["plan"]
    assert {"pointing", "pointing_attention", "pointing_chance"} <= said["test"].keys()
    assert yaml.safe_load((runs / names[1] / "config.yaml").read_text())["model"]["head"] == {
        "name": "gated",
        "width": 5,
    }


def test_comparisons_tell_heads_apart(runs, capsys):
    networks = [part(read(run), Kind.NETWORK) for run in sorted(runs.iterdir())]
    assert network_labels(networks) == ["eca + additive at pool", "gated (width 5) at pool", "plain"]
    assert canonical("model.head", {"name": "additive"}) == canonical("model.head", "additive")
    assert main(["compare", *map(str, sorted(runs.iterdir()))]) == 0
    shown = capsys.readouterr().out
    assert "gated (width 5) at pool" in shown
    assert "plain" in shown


@pytest.mark.parametrize(
    ("head", "shown"),
    [("gru", "gru"), ({"name": "perceiver_io", "depth": 2}, "perceiver_io (depth 2)"), ("recall", "recall"),
     ({"name": "recall", "memory": "dnc"}, "recall (memory dnc)"), ("additive", "additive at pool"),
     ({"class_path": "my.heads.Reader"}, "Reader")],
)  # fmt: skip
def test_only_heads_that_pool_are_at_the_pool(head, shown):
    networks = [{"model.block": "null", "model.head": canonical("model.head", each)} for each in (head, None)]
    assert network_labels(networks) == [shown, "plain"]
    model = {"block": None, "head": head}
    assert "at pool" in facts._attention(model, "classification")
    assert "at pool" not in facts._attention(model, "reading")


def test_the_report_shows_the_head():
    shown = facts._attention  # of the model's part of config.yaml
    assert shown({"block": None, "at": "residual", "head": "additive"}) == "additive at pool"
    assert shown({"block": "se", "at": "residual", "head": {"name": "hard", "warmup": 0.3}}) == (
        "se at residual, hard (warmup=0.3) at pool"
    )
    assert shown({"block": None, "head": None}) == "none"
    assert shown({"block": "se", "at": "residual", "head": ["fc"]}) == "se at residual"


def test_an_older_configuration_without_a_head_is_read():
    plain = Experiment(model=Model(block="se")).to_dict()
    del plain["model"]["head_modules"]
    experiment = from_plain(Experiment, plain)
    assert (experiment.model.head, experiment.model.head_modules) == (None, None)


def test_plan_shows_the_head(capsys):
    assert main(["plan", "convnet", "--head=additive", "--rounds=0"]) == 0
    assert "additive at pool" in capsys.readouterr().out
    assert main(["plan", "convnet", "--head=additve", "--rounds=0"]) != 0
    assert "did you mean 'additive'" in capsys.readouterr().err


def test_a_run_with_pay_attention(tmp_path, tiny_options, capsys):
    options = [*tiny_options, "--model.backbone=convnet", "--model.head={name: pay_attention, depths: 2}"]
    options += ["--model.options={widths: [8, 8, 8], strides: [2, 2, 2]}", f"--log.root={tmp_path}"]
    assert main(["fit", *options, "--trainer.max_epochs=1", "--log.name=run"]) == 0
    assert "pointing attention" in capsys.readouterr().out
    assert main(["test", str(tmp_path / "run")]) == 0
    assert main(["plan", "convnet", "--head=pay_attention", "--rounds=0"]) == 0
    assert "pay_attention reads layer2.2, layer4.2, " in capsys.readouterr().out


def test_files_from_when_head_held_globs_are_read(tmp_path):
    """A checkpoint of a version without `model.head_modules`, whose `model.head` named the network's own head."""
    experiment = Experiment(model=Model(options={"width": 4}, block="se", head_modules="fc"))
    facts = training.DataFacts(("a", "b"), (0.5,) * 3, (0.2,) * 3, (32, 32))
    classifier = training.Classifier(experiment, facts)
    content = {**described("classification", experiment, facts), "state_dict": classifier.state_dict()}
    older = content["experiment"]["model"]
    older["head"] = older.pop("head_modules")
    torch.save(sealed(content), tmp_path / "older.ckpt")
    loaded = training.load(tmp_path / "older.ckpt")
    assert (loaded.experiment.model.head, loaded.experiment.model.head_modules) == (None, "fc")
    assert all(torch.equal(value, classifier.state_dict()[name]) for name, value in loaded.state_dict().items())
