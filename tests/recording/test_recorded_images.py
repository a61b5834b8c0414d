"""Images and calls in every form that a `Recorder` takes, and in some that it does not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import cv_attention as cva
from tests.recording.nets import CLASSES, LABELS, Net, record_json


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
    ],
)
def test_wrong_arguments_are_named(tmp_path, images, change, message):
    arguments = {"images": images, "labels": LABELS, "class_names": CLASSES, **change}
    with pytest.raises(ValueError, match=message):
        cva.report.Recorder(tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


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
