"""Files of other people: classes that they name are imported only where the user trusts them."""

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from cv_attention import blocks, training
from cv_attention.blocks.trust import class_paths_of
from cv_attention.cli import main
from cv_attention.training.export import deployment

PIPE = {"class_path": "pydoc.pipepager", "init_args": {"cmd": "touch PWNED; cat >/dev/null"}}
EVIL = {"class_path": "evil.Evil"}


def renamed(checkpoint: Path, block: object, folder: Path) -> dict[str, Path]:
    """The same network in both kinds of file, with another block in the configuration."""
    content = torch.load(checkpoint, weights_only=True)
    content["experiment"]["model"]["block"] = block
    torch.save(content, folder / "foreign.ckpt")
    tensors = {name.removeprefix("network."): value.contiguous() for name, value in content["state_dict"].items()}
    metadata = {name: json.dumps(content[name]) for name in ("experiment", "facts")}
    save_file(tensors, folder / "foreign.safetensors", metadata)
    return {path.suffix: path for path in folder.glob("foreign.*")}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (tmp_path / "evil.py").write_text("open('PWNED', 'w').close()\nclass Evil: pass\n")
    return tmp_path


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize(
    "block", [PIPE, EVIL, "evil.Evil", {"residual": EVIL}, [[PIPE, "residual"]], {"stage": "evil.Evil"}], ids=str
)
def test_a_class_that_a_file_names_is_not_imported(block, suffix, folder, tiny_checkpoint):
    path = renamed(tiny_checkpoint, block, folder)[suffix]
    with pytest.raises(ValueError, match=r"foreign\S* names the class (pydoc.pipepager|evil.Evil), .*--trust "):
        training.load(path)
    assert not (folder / "PWNED").exists()
    assert "evil" not in sys.modules


COMMANDS = {
    "test": ["test", "FILE"], "saliency": ["saliency", "a.png", "--checkpoint", "FILE", "-o", "out"],
    "export": ["export", "FILE", "--format", "safetensors", "-o", "out.safetensors"],
    "evaluate-saliency": ["evaluate-saliency", "FILE", "-o", "out"],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_asks(command, folder, tiny_checkpoint, capsys):
    path = renamed(tiny_checkpoint, EVIL, folder)[".safetensors"]
    assert main([str(path) if word == "FILE" else word for word in command]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--trust evil.Evil" in message
    assert not (folder / "PWNED").exists()


def test_a_run_directory_of_somebody_else_is_not_resumed_blindly(folder, tiny_run, capsys):
    import shutil

    shutil.copytree(tiny_run, folder / "theirs")
    config = yaml.safe_load((folder / "theirs/config.yaml").read_text())
    config["model"]["block"] = EVIL
    (folder / "theirs/config.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", "--resume", "theirs", "--trainer.max_epochs=9"]) == 2
    assert "theirs/config.yaml names the class evil.Evil" in capsys.readouterr().err
    assert not (folder / "PWNED").exists()


def test_what_is_trusted_is_imported(folder, tiny_checkpoint):
    (folder / "mine.py").write_text(
        "from cv_attention.blocks import CBAM\nclass Mine(CBAM): pass\ndef make(channels): return CBAM(channels)\n"
    )
    paths = renamed(tiny_checkpoint, {"class_path": "mine.Mine"}, folder)
    expected = training.load(tiny_checkpoint)
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    for path in paths.values():
        for trust in (["mine"], ["other", "mine.Mine"]):
            assert torch.equal(training.load(path, trust)(images), expected(images))
        for trust in (["min"], ["mine.Mine.x"], ["mine.Other"], []):
            with pytest.raises(ValueError, match=r"names the class mine.Mine"):
                training.load(path, trust)
    done = deployment.export(paths[".ckpt"], "safetensors", folder / "again.safetensors", trust=["mine"])
    with safe_open(done.path, framework="pt") as file:
        assert "mine.Mine" in file.metadata()["experiment"]
    with pytest.raises(ValueError, match=r"has no block 'make'"):  # only modules are made, never functions called
        blocks.resolve("mine.make")


def test_the_user_may_name_any_class_and_a_file_those_of_the_package(folder):
    (folder / "mine2.py").write_text("from torch import nn\nclass Mine(nn.Identity): pass\n")
    path = "cv_attention.blocks.channel.squeeze_excite.SqueezeExcite"
    with class_paths_of("a file"):
        assert blocks.resolve(path)(8)
        with pytest.raises(ValueError, match=r"a file names the class mine2.Mine"):
            blocks.resolve("mine2.Mine")
    assert blocks.resolve("mine2.Mine")


def test_a_file_names_no_further_file(folder):
    from dataclasses import asdict
    from pickle import dumps

    from cv_attention.config import Experiment, Model

    class Evil:
        def __reduce__(self):
            return open, ("PWNED", "w")

    (folder / "evil.pth").write_bytes(dumps(Evil()))
    experiment = Experiment(model=Model(backbone="timm/test_resnet", block=None))
    facts = training.DataFacts(("ant", "bee"), (0.5,) * 3, (0.5,) * 3, (32, 32))
    classifier = training.Classifier(experiment, facts)
    experiment.model.options = {"checkpoint_path": "evil.pth"}
    content = {"experiment": experiment.to_dict(), "facts": asdict(facts), "state_dict": classifier.state_dict()}
    torch.save(content, folder / "foreign.ckpt")
    training.load(folder / "foreign.ckpt")
    assert not (folder / "PWNED").exists()


NESTED = {"class_path": "evil.Evil", "init_args": {"x": {"class_path": "evil.Evil"}}}
PROCESS = {"class_path": "subprocess.Popen", "init_args": {"args": "touch PWNED", "shell": True}}


@pytest.mark.parametrize("value", [NESTED, PROCESS], ids=["import", "call"])
@pytest.mark.parametrize(
    "place",
    ["model.options", "optimizer.options", "optimizer.schedule_options", "trainer.extra", "data.eval_transforms",
     "model.block"],
)  # fmt: skip
def test_reading_a_configuration_imports_and_makes_nothing(place, value, folder):
    """jsonargparse would make an object of every class path in a value of any type."""
    from cv_attention.cli.parsing import read_experiment

    section, name = place.split(".")
    inner = [{"Resize": {"height": value}}] if name.endswith("transforms") else {"name": "cbam", "x": value}
    (folder / "config.yaml").write_text(yaml.safe_dump({section: {name: inner}}))
    experiment = read_experiment(folder / "config.yaml")
    assert getattr(getattr(experiment, section), name) == inner
    assert not (folder / "PWNED").exists()
    assert "evil" not in sys.modules


def test_class_paths_on_the_command_line_are_what_was_typed(folder):
    from cv_attention.cli.parsing import experiment_parser, parse, to_experiment

    parser = experiment_parser("fit")
    typed = "{residual:0: {class_path: evil.Evil, init_args: {a: {class_path: b.C}}}, residual:1: se}"
    block = to_experiment(parser, parse(parser, ["--model.block", typed])).model.block
    evil = {"class_path": "evil.Evil", "init_args": {"a": {"class_path": "b.C"}}}
    assert block == {"residual:0": evil, "residual:1": "se"}
    assert not (folder / "PWNED").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretrained": True}, "pretrained cannot be among them"),
        ({"checkpoint_path": "evil.pth"}, "give the file as model.weights"),
        ({"weights": "DEFAULT"}, "use pretrained=True"),
    ],
)
def test_options_of_a_backbone_download_and_read_nothing(options, message, folder):
    from cv_attention.config import Model
    from cv_attention.training.tasks.network import build_network

    name = "timm/test_resnet" if "checkpoint_path" in options else "torchvision/resnet18"
    with pytest.raises(ValueError, match=message):
        build_network(Model(backbone=name, options=options), 2, (32, 32))


def test_a_pickle_is_refused_without_advice_to_run_it(folder, tiny_checkpoint, capsys):
    class Evil:
        def __reduce__(self):
            return open, ("PWNED", "w")

    content = torch.load(tiny_checkpoint, weights_only=True)
    torch.save({**content, "evil": Evil()}, "foreign.ckpt")
    for command in (["test", "foreign.ckpt"], ["test", "--model", "timm/test_resnet", "--weights", "foreign.ckpt"]):
        assert main(command) == 2
        message = capsys.readouterr().err
        assert "foreign.ckpt cannot be read as a checkpoint: it is damaged, or holds Python objects" in message
        assert message.strip().isprintable()
        assert not (folder / "PWNED").exists()
