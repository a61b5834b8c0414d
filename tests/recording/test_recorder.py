"""`Recorder` in a training loop of one's own, against the same computed plainly from the model."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cv_attention as cva
from cv_attention.report.read.metrics import read_metrics
from cv_attention.rundir.layout import RunLayout
from tests.recording.nets import CLASSES, LABELS, Net, column, record_json


def test_maps_and_predictions_are_those_of_the_model(tmp_path, model, images):
    run = tmp_path / "run"
    cva.report.Recorder(run, images, LABELS, CLASSES, methods=("grad_cam", "gradient")).log(model, 0, step=7)
    model.eval()
    seen = {}
    for name in ("channel_map", "spatial.map"):
        place = model.conv1.get_submodule(f"2.attention.{name}")
        place.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
    with torch.no_grad():
        logits = model(images)
    channel, spatial = (column(run, f"conv1.2.attention.{name}") for name in ("channel_map", "spatial.map"))
    np.testing.assert_allclose(channel, seen["channel_map"].flatten(1).numpy(), atol=1e-3)
    np.testing.assert_allclose(spatial, seen["spatial.map"][:, 0].numpy(), atol=1e-3)
    best = logits.argmax(1)
    inputs = images.clone().requires_grad_()
    gradient = torch.autograd.grad(model(inputs).gather(1, best[:, None]).sum(), inputs)[0]
    expected = cva.saliency.gradient(model, images, best)[:, 0]
    assert expected.shape == gradient.shape[:1] + gradient.shape[2:]
    np.testing.assert_allclose(column(run, "gradient"), expected.numpy(), atol=1e-3)
    cam = cva.saliency.grad_cam(model, images, best, upsample=False)[:, 0]
    np.testing.assert_allclose(column(run, "Grad-CAM"), cam.numpy(), atol=1e-3)
    about = record_json(run)
    assert (about["epoch"], about["step"], about["predictions"]) == (0, 7, best.tolist())
    np.testing.assert_allclose(about["probabilities"], logits.softmax(1).numpy(), atol=1e-5)
    losses = F.cross_entropy(logits, torch.tensor(LABELS), reduction="none")
    np.testing.assert_allclose(about["losses"], losses.numpy(), atol=1e-5)


def test_the_model_is_left_as_it_was(tmp_path, model, images):
    model.train()
    model.conv1[1].eval()  # batch norm frozen, as people do when fine-tuning
    modes = {name: module.training for name, module in model.named_modules()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    state, grad = torch.get_rng_state(), torch.is_grad_enabled()
    with cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES, methods=("smooth_grad", "rise")) as recorder:
        recorder.log(model, 0)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()] == hooks
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled() == grad


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_it_records_where_gradients_are_off(tmp_path, model, images, around):
    with around():
        cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES).log(model, 0)
    assert column(tmp_path / "run", "Grad-CAM").shape == (6, 12, 10)


def test_metrics_confusion_and_gates_are_written(tmp_path, model, images):
    run = tmp_path / "run"
    recorder = cva.report.Recorder(run, images, LABELS, CLASSES)
    recorder.log(model, 0, train_loss=torch.tensor(2.0), val_accuracy=np.float32(0.25))
    recorder.log(model, 1, train_loss=1.0, val_accuracy=0.5, val_loss=0.7)
    series = read_metrics(RunLayout(run)).series
    assert series["train_loss"] == [(1.0, 0, 2.0), (2.0, 1, 1.0)]
    assert series["val_accuracy"] == [(1.0, 0, 0.25), (2.0, 1, 0.5)]
    assert series["val_loss"] == [(2.0, 1, 0.7)]
    predicted = record_json(run, 1)["predictions"]
    right = np.mean(np.array(predicted) == LABELS)
    assert series["recorded_accuracy"][-1][2] == pytest.approx(right)
    assert series["recorded_loss"][-1][2] == pytest.approx(np.mean(record_json(run, 1)["losses"]), abs=1e-6)
    counts = {(t, p): n for t, p, n in json.loads((run / "confusion/epoch-0001.json").read_text())["counts"]}
    assert counts == Counter(zip(LABELS, predicted, strict=True))
    gates = np.load(run / "maps/gates-0001.npz")
    values = column(run, "conv1.2.attention.channel_map", 1).astype(float)
    np.testing.assert_allclose(gates["mean:conv1.2.attention.channel_map"], values.mean(0), atol=2e-3)
    np.testing.assert_allclose(gates["by_class:conv1.2.attention.channel_map"][2], values[[2, 5]].mean(0), atol=2e-3)


def test_a_confusion_of_all_validation_images_counts(tmp_path, model, images):
    recorder = cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES)
    recorder.log(model, 0)
    recorder.confusion(0, torch.tensor([0, 0, 1]), torch.tensor([0, 2, 1]))
    recorder.confusion(1, [2, 2], [1, 1])
    recorder.log(model, 1)
    for epoch, counts in ((0, [[0, 0, 1], [0, 2, 1], [1, 1, 1]]), (1, [[2, 1, 2]])):
        assert json.loads((tmp_path / f"run/confusion/epoch-{epoch:04d}.json").read_text())["counts"] == counts
    with pytest.raises(ValueError, match="classes 0 to 2, got 1 to 3"):
        recorder.confusion(1, [1, 3], [1, 1])


def test_the_size_of_batches_changes_nothing(tmp_path, model, images):
    for size in (None, 4):
        recorder = cva.report.Recorder(tmp_path / str(size), images, LABELS, CLASSES, batch_size=size)
        recorder.log(model, 0)
    for kind in ("epoch", "classes", "gates"):
        one, other = (np.load(tmp_path / size / f"maps/{kind}-0000.npz") for size in ("None", "4"))
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_allclose(one[key], other[key], atol=2e-3)


def test_self_attention_of_heads_is_recorded(tmp_path, images):
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.classify = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 3)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.embed(x).flatten(2).mT
            return self.classify(self.attention(tokens, tokens, tokens)[0].mean(1))

    model, images = Tokens(), torch.cat([images, images])[..., :8]
    recorder = cva.report.Recorder(tmp_path / "run", images, methods=(), batch_size=5)
    for epoch in range(3):
        recorder.log(model, epoch)
    tokens = model.embed(images).flatten(2).mT
    expected = model.attention(tokens, tokens, tokens, average_attn_weights=False)[1].detach().numpy()
    pairwise = np.load(tmp_path / "run/maps/pairwise-0002.npz")["attention"]
    assert pairwise.shape[:3] == (8, 2, 6)  # of eight images
    np.testing.assert_allclose(pairwise.reshape(8, 2, 6, 6), expected[:8], atol=1e-3)
    heads = np.load(tmp_path / "run/maps/heads-0002.npz")["attention"]
    np.testing.assert_allclose(heads.reshape(12, 2, 6), expected.mean(2), atol=1e-3)
    kept = sorted(path.name for path in (tmp_path / "run/maps").glob("pairwise-*"))
    assert kept == ["pairwise-0000.npz", "pairwise-0002.npz"]


def test_a_network_without_attention_or_with_what_cannot_be_seen(tmp_path, images):
    class HiddenAttention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x.mean(1, keepdim=True)  # no softmax, no known kernel

    cva.report.Recorder(tmp_path / "a", images, LABELS, CLASSES).log(Net(), 0)
    hidden = nn.Sequential(HiddenAttention(), Net())
    cva.report.Recorder(tmp_path / "b", images, LABELS, CLASSES).log(hidden, 0)
    for run in ("a", "b"):
        assert [one["title"] for one in record_json(tmp_path / run)["columns"].values()] == ["Grad-CAM"]


def test_outputs_with_logits_and_unknown_labels(tmp_path, images):
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def forward(self, x: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=self.net(x))

    labels = [None, 1, None, None, 2, None]
    cva.report.Recorder(tmp_path / "run", images, labels, methods=("gradient",)).log(Wrapped(), 0)
    about = record_json(tmp_path / "run")
    assert [loss is None for loss in about["losses"]] == [label is None for label in labels]
    names = json.loads((tmp_path / "run/maps/probes.json").read_text())
    assert names["class_names"] == ["0", "1", "2"]
    assert [probe["label"] for probe in names["probes"]] == labels
    counted = json.loads((tmp_path / "run/confusion/epoch-0000.json").read_text())["counts"]
    assert sum(entry[2] for entry in counted) == 2
