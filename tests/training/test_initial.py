"""Starting from a checkpoint: which weights are loaded, and when the head is reinitialised."""

import json

import pytest
import torch
from safetensors.torch import save_file

from cv_attention.cli import main
from cv_attention.config import Model
from cv_attention.training.checkpoint.initial import load
from cv_attention.training.tasks.network import build_network

CLASSES = ["ant", "bee", "cat"]


def network(seed, classes=3, block="se", **options):
    torch.manual_seed(seed)
    model = Model(block=block, init="identity", options={"width": 4}, **options)
    return build_network(model, classes, (32, 32))[0], model


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def saved(path, state, kind):
    if kind == "safetensors":
        facts = {"class_names": CLASSES}
        save_file(state, path.with_suffix(".safetensors"), {"facts": json.dumps(facts)})
        return path.with_suffix(".safetensors")
    ours = {"state_dict": {f"network.{k}": v for k, v in state.items()}, "facts": {"class_names": CLASSES}}
    kinds = {
        "plain": state, "ours": ours, "timm": {"state_dict": {f"module.{k}": v for k, v in state.items()}},
        "averaged": {"model": {}, "model_ema": state},
    }  # fmt: skip
    torch.save(kinds[kind], path)
    return path


@pytest.mark.parametrize("kind", ["ours", "plain", "timm", "averaged", "safetensors"])
@pytest.mark.parametrize("block", [None, "se"])
def test_the_weights_of_any_file_come_in(kind, block, tmp_path):
    """A plain network's weights, or those of the same attended one, give the same outputs."""
    source, _ = network(1, block=block)
    target, model = network(2)
    model.weights = str(saved(tmp_path / "some.ckpt", weights(source), kind))
    line = load(target, model, CLASSES)
    assert "some" in line
    assert "anew" not in line
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(target.eval()(images), source.eval()(images), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "kind"), [(["ant", "bee"], "plain"), (["ant", "bee", "dog"], "ours"), (["a", "b", "c"], "safetensors")]
)
def test_other_classes_start_a_new_head(classes, kind, tmp_path):
    source, _ = network(1, block=None)
    target, model = network(2, classes=len(classes), train="blocks+head")
    before = weights(target)
    model.weights = str(saved(tmp_path / "some.ckpt", weights(source), kind))
    assert f"the head is reinitialized for {len(classes)} classes" in load(target, model, classes)
    after, trained = weights(target), weights(source)
    for name, value in after.items():
        if name.startswith("fc."):
            assert not value.any(), name
        else:
            assert torch.equal(value, before[name] if ".attention." in name else trained[name]), name


def test_a_frozen_head_cannot_start_anew(tmp_path):
    source, _ = network(1, block=None)
    target, model = network(2, classes=2, train="blocks")
    model.weights = str(saved(tmp_path / "some.ckpt", weights(source), "plain"))
    with pytest.raises(ValueError, match=r"use blocks\+head"):
        load(target, model, ["ant", "bee"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("conv1.weight"), r"it lacks conv1\.weight$"),
        (lambda state: state.update(extra=torch.ones(1)), "it has in addition extra"),
        (lambda state: state.update({"conv1.weight": torch.ones(1)}), "does not fit resnet20: size mismatch"),
        (lambda state: state.update(epoch="three"), "no named weights"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(change, words, tmp_path):
    source, _ = network(1, block=None)
    target, model = network(2)
    state = weights(source)
    change(state)
    model.weights = str(saved(tmp_path / "some.ckpt", state, "plain"))
    with pytest.raises(ValueError, match=words):
        load(target, model, CLASSES)


def test_what_is_no_checkpoint_is_one_line(tmp_path):
    target, model = network(2)
    (tmp_path / "some.ckpt").write_bytes(b"rubbish")
    model.weights = str(tmp_path / "some.ckpt")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load(target, model, CLASSES)
    model.weights = str(tmp_path / "none.ckpt")
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt does not exist"):
        load(target, model, CLASSES)


def test_a_run_starts_from_another_run(tiny_run, tiny_options, tmp_path, capsys):
    """Rate 0 keeps the weights: the test accuracy is that of the run it started from."""
    options = [
        *tiny_options, "--model.block=cbam", f"--model.weights={tiny_run}", "--trainer.max_epochs=1",
        "--optimizer.lr_scale={blocks: 0, head: 0, backbone: 0}", "--optimizer.weight_decay=0",
        "--log.wandb=disabled", f"--log.root={tmp_path}", "--log.name=next", "--log.maps_every=0",
    ]  # fmt: skip
    assert main(["fit", *options]) == 0
    printed = capsys.readouterr().out
    assert f"weights: {tiny_run / 'checkpoints/best.ckpt'}\n" in printed
    assert "60 train, 20 val, 30 test images of 10 classes, 32×32" in printed
    before = torch.load(tiny_run / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    after = torch.load(tmp_path / "next/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name, value in before.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(value, after[name]), name
    assert main(["test", str(tmp_path / "next")]) == 0  # needs the other run no more
