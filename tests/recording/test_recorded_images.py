"""Images and calls in every form that a `Recorder` takes, and in some that it does not."""

import functools
import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import cv_attention as cva
from tests.recording.nets import CLASSES, LABELS, Net, column, record_json


def as_files(folder: Path, pixels: np.ndarray) -> list[Path]:
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"{number}.png")
    return [folder / f"{number}.png" for number in range(len(pixels))]


@pytest.mark.parametrize("form", ["uint8", "float", "numpy", "files", "list of tensors", "list of arrays"])
def test_images_may_come_in_any_form(tmp_path, form):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 7, 3), dtype=np.uint8)
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    given = {
        "uint8": tensor,
        "float": tensor / 255,
        "numpy": pixels,
        "files": as_files(tmp_path, pixels) if form == "files" else None,
        "list of tensors": list(tensor),
        "list of arrays": list(pixels),
    }[form]
    got = []

    class Looking(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            got.append(x.detach().clone())
            return super().forward(x)

    run = tmp_path / "run"
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    cva.report.Recorder(run, given, class_names=CLASSES, mean=mean, std=std, batch_size=None).log(Looking(), 0)
    expected = (tensor / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(got[0], expected)
    for number in range(4):
        assert np.array_equal(np.array(Image.open(run / f"maps/images/{number:04d}.png")), pixels[number])
    name = json.loads((run / "maps/probes.json").read_text())["probes"][2]["name"]
    assert name == (str(tmp_path / "2.png") if form == "files" else None)


def test_grey_images_and_numbers_beyond_one_are_shown(tmp_path):
    grey = torch.linspace(-2, 2, 2 * 6 * 6).view(2, 6, 6)
    cva.report.Recorder(tmp_path / "run", grey).log(Net(channels=1), 0)
    shown = np.array(Image.open(tmp_path / "run/maps/images/0001.png"))
    expected = np.round((grey[1].numpy() + 2) / 4 * 255)
    assert np.array_equal(shown, np.repeat(expected[..., None], 3, 2))


def test_a_function_normalises_what_it_is_given(tmp_path, model):
    images = torch.randint(0, 256, (5, 3, 12, 10), dtype=torch.uint8)
    seen = []

    def normalise(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch)
        return batch.float() / 127.5 - 1

    recorder = cva.report.Recorder(tmp_path / "run", images, normalise=normalise, mean=[0.5] * 3, batch_size=2)
    recorder.log(model, 0)
    assert {batch.dtype for batch in seen} == {torch.uint8}
    model.eval()
    logits = model(images.float() / 127.5 - 1).softmax(1)
    np.testing.assert_allclose(record_json(tmp_path / "run")["probabilities"], logits.detach().numpy(), atol=1e-5)
    recorder.faithfulness(model, points=4)
    assert json.loads((tmp_path / "run/maps/faithfulness.json").read_text())["mean"] == [0.5] * 3
    for points, step in ((7, 18), (119, 2), (500, 1)):  # of 120 pixels; never more points than were asked for
        recorder.faithfulness(model, points=points)
        content = json.loads((tmp_path / "run/maps/faithfulness.json").read_text())
        curve = content["baselines"]["random"]["deletion"]["curve"][0]
        assert (content["step"], len(curve)) == (step, -(-120 // step) + 1)
        assert len(curve) <= points + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": "cat.jpg"}, "put it into a list"),
        ({"images": torch.zeros(6, 3, 12, 10, dtype=torch.int64)}, "must be uint8 or floating point"),
        ({"images": torch.full((6, 3, 12, 10), float("nan"))}, "must be finite"),
        ({"images": np.zeros((6, 3, 12, 10), np.uint8)}, r"for \(N, C, H, W\) pass a tensor"),
        ({"images": [torch.zeros(3, 4, 4), torch.zeros(3, 5, 4)]}, "must have one size"),
        ({"images": []}, "at least one"),
        ({"labels": [0, 1]}, "one class for each of the 6 images, got 2"),
        ({"labels": [0, 1, 2, 0, 1, 3]}, "has class 3, but class_names has 3 names"),
        ({"labels": [0, 1, 2, 0, 1, -1]}, "indices of classes from 0 on, or None"),
        ({"methods": ("grad_cm",)}, "unknown saliency method grad_cm; did you mean.*grad_cam"),
        ({"mean": [0.5] * 3}, "mean and std go together"),
        ({"mean": [0.5] * 2, "std": [0.5] * 2}, "one number per channel, 3, got 2"),
        ({"mean": 0.5, "std": 0.0}, "std must be positive"),
        ({"normalise": lambda x: x, "std": 0.5}, "either normalise or std"),
        ({"names": ["a"]}, "names must have one entry for each of the 6 images, got 1"),
        ({"boxes": [(5, 0, 1, 1)] * 6}, "x0 <= x1"),
        ({"boxes": [3] * 6}, "a box must be .* got 3"),
        ({"labels": ["zero", "one", "two"] * 2}, "indices of classes from 0 on, or None where unknown, got 'zero'"),
        ({"labels": [0, 1, 2, 0, 1, float("nan")]}, "indices of classes .* got nan"),
        ({"labels": torch.eye(3)[LABELS]}, r"indices of classes .* got \[1.0, 0.0, 0.0\]"),
        ({"labels": 2}, "labels must be a list with one class for each of the 6 images, got 2"),
        ({"names": "abcdef"}, "names must be a list .* got 'abcdef'"),
        ({"class_names": "abc"}, "class_names must be a list of names"),
        ({"class_names": {1: "zero", 2: "one", 3: "two"}}, "in the order of the logits, or map 0, 1, 2"),
        ({"images": [(torch.zeros(3, 4, 4), 0)] * 6}, "got a list with a tuple in it"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 on, got 0"),
        ({"config": SimpleNamespace(lr=0.1)}, "config must be a mapping"),
        ({"config": {"model": "resnet"}}, "model must be a mapping"),
        ({"config": {"root": Path("here")}}, "config must hold numbers, text, lists and mappings"),
        ({"methods": [lambda m, x, t=None: x, lambda m, x, t=None: x]}, "two that are called <lambda>"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, images, change, message):
    arguments = {"images": images, "labels": LABELS, "class_names": CLASSES, **change}
    with pytest.raises(ValueError, match=message):
        cva.report.Recorder(tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_arguments_may_be_arrays_paths_and_mappings(tmp_path, images, model):
    arguments = {
        "class_names": {"0": "zero", "1": "one", "2": "two"},  # as Hugging Face stores `id2label`
        "names": [tmp_path / f"{n}.png" for n in range(6)],
        "boxes": np.tile([1, 2, 5, 7], (6, 1)),
        "methods": None,
    }
    recorder = cva.report.Recorder(tmp_path / "run", images, np.array(LABELS), **arguments)
    recorder.log(model, np.int64(3), step=np.int64(7))
    stored = json.loads((tmp_path / "run/maps/probes.json").read_text())
    assert stored["class_names"] == CLASSES
    assert stored["probes"][2]["name"] == str(tmp_path / "2.png")
    assert stored["probes"][5]["box"] == [1, 2, 5, 7]
    assert record_json(tmp_path / "run", 3)["step"] == 7
    cva.report.Recorder(tmp_path / "run", images, LABELS, **{**arguments, "names": np.array(arguments["names"], str)})


def test_images_of_pillow_are_rgb_or_grey(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    for mode, channels in (("RGB", 3), ("P", 3), ("CMYK", 3), ("L", 1), ("1", 1)):
        converted = [Image.fromarray(one).convert(mode) for one in pixels]
        recorder = cva.report.Recorder(tmp_path / mode, converted)
        expected = np.stack([np.asarray(one.convert("RGB")) for one in converted])
        assert recorder.images.values.shape[1] == channels
        assert np.array_equal(recorder.images.pictures, expected)


def test_a_recorder_can_be_sent_to_another_process(tmp_path, images, model):
    recorder = cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES, mean=0.5, std=0.25)
    pickle.loads(pickle.dumps(recorder)).log(model, 0)
    recorder.log(model, 1)
    one, other = (record_json(tmp_path / "run", epoch)["probabilities"] for epoch in (0, 1))
    assert one == other


def test_methods_are_told_apart_by_what_they_are(tmp_path, images, model):
    def grad_cam(model: nn.Module, images: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        return images.mean(1, keepdim=True)

    cva.report.Recorder(tmp_path / "own", images, LABELS, CLASSES, methods=[grad_cam]).log(model, 0)
    np.testing.assert_allclose(column(tmp_path / "own", "grad_cam"), images.mean(1).numpy(), atol=1e-3)
    layer = functools.partial(cva.saliency.layer_cam, layers="conv2")
    cva.report.Recorder(tmp_path / "partial", images, LABELS, CLASSES, methods=[layer]).log(model, 0)
    expected = cva.saliency.layer_cam(model, images, layers="conv2")[:, 0]
    np.testing.assert_allclose(column(tmp_path / "partial", "layer_cam"), expected.numpy(), atol=1e-3)


def test_a_file_is_not_a_run(tmp_path, images):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ValueError, match=r"run must be a directory, but .* is a file"):
        cva.report.Recorder(tmp_path / "run", images)
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, m: r.log(m, 0, loss="high"), "metric loss must be a number, got 'high'"),
        (lambda r, m: r.log(m, 0, loss=torch.zeros(2)), "metric loss must be a number"),
        (lambda r, m: r.log(m, 0, test_accuracy=0.5), "give them to Recorder.test"),
        (lambda r, m: r.log(m, 1.5), "epoch must be a whole number"),
        (lambda r, m: r.log(m, -2), "epoch must be a whole number"),
        (lambda r, m: r.log(m, 0, step=1.5), "step must be a whole number, or None where unknown, got 1.5"),
        (lambda r, m: r.confusion(-2, LABELS, LABELS), "epoch must be a whole number"),
        (lambda r, m: r.faithfulness(m, points=0), "points must be a whole number from 1 on, got 0"),
        (lambda r, m: r.log(lambda images: images.mean((2, 3)), 0), "model must be a torch.nn.Module"),
        (lambda r, m: r.log(Net(classes=4), 0), "class_names has 3 names, but the model gives 4 logits"),
        (lambda r, m: r.log(nn.Conv2d(3, 3, 1), 0), "logits"),
        (
            lambda r, m: r.log(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), 0),
            "method grad_cam does not work with Sequential: no module .*; leave it out of methods",
        ),
        (lambda r, m: r.close(), "nothing was logged"),
        (lambda r, m: r.test(torch.zeros(2, 3), [0, 1]), "log an epoch before the test"),
        (lambda r, m: r.faithfulness(m), "record an epoch before"),
    ],
)
def test_wrong_calls_are_named(tmp_path, model, images, call, message):
    recorder = cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES)
    with pytest.raises(ValueError, match=message):
        call(recorder, model)
    assert not (tmp_path / "run").exists()
