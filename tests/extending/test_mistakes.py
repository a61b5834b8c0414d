"""Extensions that do not fit: each mistake is one line that names it."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cv_attention as cva
from cv_attention import backbones
from cv_attention.blocks.trust import class_paths_in, class_paths_of
from cv_attention.data.sources import custom
from cv_attention.judging import Case, Measure, evaluate_saliency
from cv_attention.judging.measures import resolve_measure
from cv_attention.maps import adapters
from cv_attention.training.recording.saliency_trial import check_methods
from cv_attention.training.tasks.metrics import create_metrics

SOURCE = """
import os
import numpy as np
import torch
from subprocess import run
from torch import nn
from torchmetrics import Metric


class Net(nn.Module):
    def __init__(self, num_classes, width=4): super().__init__()


class NoClasses(nn.Module):
    def __init__(self): super().__init__()


def edges(model, images, targets=None): return images.mean(1)
def two(model, images): return images
pixels = np.zeros((4, 8, 8, 3), np.uint8)
def good(root): return ["a", "b"], {"train": (pixels, [0, 1, 0, 1]), "test": (pixels[:2], [0, 1])}
def no_test(root): return ["a", "b"], {"train": (pixels, [0, 1, 0, 1])}
def beyond(root): return ["a", "b"], {"train": (pixels, [0, 1, 0, 1]), "test": (pixels, [2] * 4)}
def floats(root): return ["a", "b"], {"train": (pixels / 255, [0] * 4), "test": (pixels, [0] * 4)}
def few(root): return ["a", "b"], {"train": (pixels, [0] * 3), "test": (pixels, [0] * 4)}
def nothing(root): return None


class Broken(Net):
    def __init__(self, num_classes): raise RuntimeError("needs a licence")


def boom(model, images, targets=None): raise RuntimeError("out of order")
def tensors(root): return ["a", "b"], {"train": ([torch.zeros(3, 8, 8)] * 4, [0, 1, 0, 1]), "test": (pixels, [0] * 4)}
def twice(root): return ["a", "a"], good(root)[1]
def text(root): return "ab", good(root)[1]
def empty(root): return ["a", "b"], {**good(root)[1], "test": (pixels[:0], [])}


class Several(Metric):
    def update(self, logits, labels): pass
    def compute(self): return torch.zeros(3)


class Alone(Several):
    def update(self, logits): pass


class Named(Metric):
    def __init__(self, mine): super().__init__()
    def update(self, logits, labels): pass
    def compute(self): return 0.0
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "extension.py").write_text(SOURCE)
    (tmp_path / "script.py").write_text("raise SystemExit(2)")  # a command line of its own, parsed at the import
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "extension", raising=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: backbones.build("extension.Nett"), "extension has no network 'Nett'; did you mean 'Net'"),
        (lambda: backbones.build("extension.edges"), "extension has no network 'edges'"),
        (
            lambda: backbones.build("missing_module.Net"),
            "cannot import missing_module: neither installed nor a file in",
        ),
        (lambda: backbones.build("extension.NoClasses"), "must take num_classes"),
        (
            lambda: backbones.build("extension.Broken"),
            "cannot be built with the options {}: RuntimeError: needs a licence",
        ),
        (lambda: backbones.build("script.Net"), "cannot import script: SystemExit: 2"),
        (lambda: custom.load("extension.tensors", "data", {}), "a list of files, got a list of Tensor"),
        (
            lambda: custom.load("extension.twice", "data", {}),
            r"at least 2 classes of different names, got \['a', 'a'\]",
        ),
        (lambda: custom.load("extension.text", "data", {}), "must return class names"),
        (lambda: custom.load("extension.empty", "data", {}), "test: a split must have at least one image"),
        (
            lambda: cva.saliency.resolve("extension.boom")(None, torch.zeros(2, 3, 8, 8)),
            "boom fails: RuntimeError: out of",
        ),
        (
            lambda: create_metrics(3, ["extension.Several"], torch.float64),
            r"compute a tensor with one number, got shape \(3,\)",
        ),
        (lambda: create_metrics(3, ["extension.Alone"], torch.float64), r"must take logits \(B, 3\) and labels \(B,\)"),
        (
            lambda: create_metrics(3, [{"class_path": "extension.Named", "init_args": [1]}], torch.float64),
            "must be a mapping",
        ),
        (lambda: Measure("sideways", lambda case: case.heat), "good must be one of 'high', 'low'"),  # pyright: ignore
        (lambda: cva.maps.add_adapter(nn.Linear(2, 2), cva.maps.output_of("", "spatial")), "a class or its full name"),  # pyright: ignore
        (lambda: cva.maps.output_of("", "spacial"), "kind must be one of .* did you mean 'spatial'"),  # pyright: ignore
        (lambda: backbones.build("extension.Net", wide=3), "has no option 'wide'"),
        (lambda: backbones.build("extension.Net", pretrained=True), "no pretrained weights of 'extension.Net'"),
        (lambda: cva.saliency.resolve("grad_cm"), "unknown saliency method grad_cm; did you mean.*grad_cam"),
        (lambda: cva.saliency.resolve("extension.edge"), "has no function 'edge'; did you mean 'edges'"),
        (lambda: cva.saliency.resolve("extension.two"), r"two must take \(model, images, targets\)"),
        (lambda: cva.saliency.resolve("extension.run"), "has no function 'run'"),  # imported there, not its own
        (lambda: custom.load("extension.run", "data", {}), "has no function 'run'"),
        (lambda: custom.load("extension.good", "data", {"count": 3}), "unexpected keyword argument 'count'"),
        (lambda: custom.load("extension.no_test", "data", {}), "the splits train, test and perhaps val, got train"),
        (lambda: custom.load("extension.beyond", "data", {}), "positions 0 to 1 in the class names"),
        (lambda: custom.load("extension.floats", "data", {}), "must be uint8"),
        (lambda: custom.load("extension.few", "data", {}), "4 images have 3 labels"),
        (lambda: custom.load("extension.nothing", "data", {}), "must return"),
        (lambda: create_metrics(3, ["extension.Named"], torch.float64), "cannot be created with {}: .*'mine'"),
        (
            lambda: create_metrics(3, ["extension.Net"], torch.float64),
            "extension has no metric 'Net'",
        ),
        (lambda: create_metrics(3, [{"path": "x.Y"}], torch.float64), "an entry is a class path or"),
        (
            lambda: create_metrics(3, ["torchmetrics.MeanMetric"] * 2, torch.float64),
            "two metrics that are called mean_metric",
        ),
        (lambda: resolve_measure("insertion_acu"), "unknown measure insertion_acu; did you mean.*insertion_auc"),
        (lambda: resolve_measure("extension.edges"), "has no Measure 'edges'"),
        (lambda: cva.maps.add_adapter("Gate", cva.maps.output_of("", "spatial")), "a class or its full name"),
        (lambda: cva.maps.add_adapter(nn.Linear, "spatial"), "must be an Adapter"),
        (
            lambda: cva.data.create(cva.data.Data(name="fodler")),
            "data.name must be one of .*folder.*got 'fodler'",
        ),
        (
            lambda: cva.data.create(cva.data.Data(name="folder", options={"a": 1})),
            "data.options is for a data set of your",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_two_recorded_methods_of_one_name_are_noticed_before_training():
    methods = ["extension.edges", "theirs.edges"]
    with pytest.raises(ValueError, match=r"log\.saliency has two methods that are called edges"):
        check_methods(nn.Identity(), torch.zeros(1, 3, 8, 8), methods)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lambda case: case.heat.mean()", r"must compute a tensor of at most 2 values, one per image; got \(\)"),
        ("lambda case: [0.5, 0.5]", "must compute a tensor .* got list"),
        ("lambda case: case.heat.mean((1, 2, 3)) / 0", "gives values that are not finite"),
        ("lambda case: 1 / 0", "fails: ZeroDivisionError"),
    ],
)
def test_a_measure_that_gives_something_else_is_named(tmp_path, monkeypatch, text, message):
    (tmp_path / "measures.py").write_text(f"from cv_attention.judging import Measure\none = Measure('low', {text})\n")
    monkeypatch.setitem(sys.modules, "measures", None)  # so that it is removed again
    del sys.modules["measures"]
    images = torch.rand(2, 3, 8, 8)
    measure = resolve_measure("measures.one")
    assert measure is not None
    with pytest.raises(ValueError, match=f"measures.one {message}"):
        measure.compute(Case(nn.Identity(), lambda *_: images, images, torch.zeros(2), images[:, :1]))


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (
            cva.maps.output_of("squash", "spatial", lambda gate: gate[:, 0]),
            r"spatial must be \(B, 1, H, W\), .* gives \(2, 6, 6\)",
        ),
        (cva.maps.output_of("squash", "pairwise"), r"pairwise must be \(B, heads, queries, H, W\)"),
        (cva.maps.output_of("squash", "spatial", lambda gate: (gate,)), "gives a tuple"),  # pyright: ignore
        (
            cva.maps.output_of("sqash", "spatial"),
            "Gate.sqash is to be recorded, but does not exist; did you mean 'squash'",
        ),
    ],
)
def test_an_adapter_that_does_not_fit_is_named(monkeypatch, adapter, message):
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squash = nn.Sigmoid()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.squash(x.mean(1, keepdim=True))

    monkeypatch.setattr(adapters, "_ADAPTERS", dict(adapters._ADAPTERS))
    cva.maps.add_adapter(Gate, adapter)
    with pytest.raises(ValueError, match=message), cva.record(model := nn.Sequential(Gate())):
        model(torch.rand(2, 3, 6, 6))


def test_two_methods_of_one_name_are_not_taken_for_one():
    methods = [partial(cva.saliency.grad_cam, layers=layer) for layer in ("conv1", "conv2")]
    with pytest.raises(ValueError, match="two that are called grad_cam; give one of them another __name__"):
        evaluate_saliency(Path("best.ckpt"), methods=methods)


def test_a_method_that_returns_something_else_is_named():
    method = cva.saliency.resolve("extension.edges")
    with pytest.raises(ValueError, match=r"edges must return \(2, 1, 8, 8\), got \(2, 8, 8\)"):
        method(None, torch.zeros(2, 3, 8, 8))


def test_files_are_read_when_they_are_needed(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / f"{number}.png")
    text = "def files(root):\n    part = [f'{root}/{n}.png' for n in range(3)], [0, 1, 1]\n"
    (tmp_path / "listing.py").write_text(text + "    return ['a', 'b'], {'train': part, 'test': part}\n")
    names, images = custom.load("listing.files", str(tmp_path), {})
    assert names == ["a", "b"]
    assert np.array_equal(np.stack([images["test"].read(index) for index in range(3)]), pixels)
    assert images["train"].short_name(2).endswith("2.png")


@pytest.mark.parametrize(
    "call",
    [
        lambda: backbones.build("extension.Net"),
        lambda: cva.saliency.resolve("extension.edges"),
        lambda: custom.load("extension.good", "data", {}),
        lambda: create_metrics(3, ["extension.Named"], torch.float64),
        lambda: create_metrics(3, ["torchmetrics.image.FrechetInceptionDistance"], torch.float64),
    ],
)
def test_nothing_that_a_file_names_is_imported(call):
    with class_paths_of("theirs.ckpt"), pytest.raises(ValueError, match=r"theirs.ckpt names the class .*--trust "):
        call()
    assert "extension" not in sys.modules


def test_a_file_may_name_metrics_of_classification():
    with class_paths_of("theirs.ckpt"):
        metrics = create_metrics(3, ["torchmetrics.classification.MulticlassF1Score"], torch.float64)
    assert "val_multiclass_f1_score" in metrics["val"].keys(keep_base=False)


def test_class_paths_are_found_wherever_they_stand():
    config = {
        "block": {"residual": "a.B", "at": [["c.D", 1]]},
        "root": "x/y.z",
        "name": "se",
        "rate": 0.1,
        "tag": "a. b",
    }
    assert class_paths_in(config) == ["a.B", "c.D"]
