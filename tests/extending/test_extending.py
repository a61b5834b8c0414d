"""The files of docs/extending.md, in a folder outside of the package, used from the command line and from Python."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import cv_attention as cva
from cv_attention import training
from cv_attention.cli import main
from cv_attention.saliency.catalogue import METHODS
from tests.report.written import only_run

PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text()
FILES = dict(re.findall(r"<!-- file: (\w+\.py) -->\n```python\n(.*?)```", PAGE, re.S))
OPTIONS = [
    "--data.name=my_data.stripes", "--data.options={count: 60, side: 16}", "--data.batch_size=20",
    "--model.backbone=my_net.MyNet", "--model.options={width: 4}", "--model.at=conv*", "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu", "--trainer.precision=32-true", "--trainer.extra={enable_progress_bar: false}",
    "--log.every_n_steps=2", "--log.probes=4", "--log.wandb=disabled", "--log.curve_points=0",
    "--log.saliency=[grad_cam, my_methods.edges]", "--model.block=max_excite.MaxExcite",
    "--log.metrics=[torchmetrics.classification.MulticlassF1Score, my_metrics.Sure]",
]  # fmt: skip
MINE = ["my_data", "my_net", "my_methods", "my_metrics", "max_excite"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outside")
    contributing = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    [block] = re.findall(r"```python\n(.*?)```", contributing, re.S)
    for name, text in {**FILES, "max_excite.py": block}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])


@pytest.fixture(scope="module")
def run(folder) -> Path:
    """A run of which the data, the network, the block, a saliency method and two metrics are somebody's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["fit", *OPTIONS, "--log.root=runs", "--log.name=mine"]) == 0
    return folder / "runs/mine"


def test_the_page_has_a_file_of_each_kind():
    names = {
        "my_methods.py",
        "my_adapters.py",
        "my_data.py",
        "my_net.py",
        "my_metrics.py",
        "my_measures.py",
        "my_head.py",
    }
    assert FILES.keys() == names


def test_a_run_of_parts_of_ones_own(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["class_names"] == ["horizontal", "vertical"]
    assert summary["data"]["images"] == {"train": 54, "val": 6, "test": 15}
    assert len(summary["sites"]) == 2
    shown = only_run(run / "report/index.html")
    assert {"Grad-CAM", "edges", "conv1.2.attention.map", "conv2.2.attention.map"} == {
        c["title"] for c in shown["columns"]
    }
    assert {"val_multiclass_f1_score", "val_sure"} <= shown["series"].keys()


def test_the_metrics_are_those_of_the_predictions(run):
    from sklearn.metrics import f1_score

    found = np.load(run / "predictions.npz")
    test = json.loads((run / "summary.json").read_text())["test"]
    assert test["multiclass_f1_score"] == pytest.approx(f1_score(found["label"], found["predicted"], average="macro"))
    assert test["sure"] == pytest.approx((found["top_probabilities"][:, 0].astype(float) >= 0.9).mean(), abs=1e-6)


def test_the_images_are_those_of_the_function(run):
    classifier = training.load(run / "checkpoints/best.ckpt", trust=MINE)
    module = cva.data.create(classifier.experiment.data)
    module.setup()
    from my_data import stripes  # pyright: ignore[reportMissingImports]

    _, splits = stripes("data", count=60, side=16)
    batch = module.splits["test"].batch([(0, index) for index in range(15)])
    assert np.array_equal(batch["image"].permute(0, 2, 3, 1).numpy(), splits["test"][0])
    assert batch["label"].tolist() == splits["test"][1].tolist()


@pytest.mark.parametrize("left", MINE)
@pytest.mark.parametrize("command", ["test", "resume"])
def test_nothing_of_a_run_is_imported_without_trust(run, left, command, capsys):
    trusted = [name for name in MINE if name != left]
    line = ["test", str(run)] if command == "test" else ["fit", "--resume", str(run), "--trainer.max_epochs=2"]
    for name in MINE:
        sys.modules.pop(name, None)
    code = main([*line, "--trust", *trusted])
    message = capsys.readouterr().err
    if left == "my_methods" and command == "test":
        assert code == 0  # saliency methods are for the training run alone
        return
    assert code == 2
    assert f"names the class {left}." in message
    assert left not in sys.modules


def test_a_trusted_run_is_tested_and_explained(run, folder, capsys):
    trust = ["--trust", *MINE]
    assert main(["test", str(run), *trust]) == 0
    assert "test sure: " in capsys.readouterr().out
    images = ["--split", "test", "--checkpoint", str(run), "-o", "out", "--accelerator", "cpu"]
    options = ["--method", "my_methods.edges", "--options", "{power: 2.0}"]
    assert main(["saliency", *images, *options, *trust]) == 0
    from my_methods import edges  # pyright: ignore[reportMissingImports]

    rows = [json.loads(line) for line in (folder / "out/manifest.jsonl").read_text().splitlines()]
    classifier = training.load(run / "checkpoints/best.ckpt", trust=MINE)
    module = cva.data.create(classifier.experiment.data)
    module.setup()
    inputs = classifier.normalise(module.splits["test"].batch([(0, 3)])["image"])
    stored = np.load(folder / "out" / rows[3]["shard"])["my_methods.edges"][rows[3]["row"]].astype(float)
    np.testing.assert_allclose(stored * rows[3]["maps"][0]["scale"], edges(None, inputs, power=2.0)[0, 0], atol=2e-3)


def test_a_method_and_a_measure_are_judged(run, folder):
    line = ["evaluate-saliency", str(run), "-o", "judged", "--images", "8", "--device", "cpu", "--trust", *MINE]
    line += ["--methods", "grad_cam", "my_methods.edges", "--measures", "my_measures.smoothness", "deletion_auc"]
    assert main(line) == 0
    judged = json.loads((folder / "judged/saliency.json").read_text())
    assert list(judged["table"]) == ["grad_cam", "my_methods.edges", "random_map", "centre_bias"]
    smooth = {name: row["my_measures.smoothness"]["mean"] for name, row in judged["table"].items()}
    assert smooth["random_map"] > smooth["grad_cam"]
    assert smooth["random_map"] > smooth["centre_bias"]
    assert "my measures.smoothness ↓" in (folder / "judged/saliency.md").read_text()


def test_methods_are_functions_in_python(tmp_path):
    from my_methods import edges  # pyright: ignore[reportMissingImports]
    from my_net import MyNet  # pyright: ignore[reportMissingImports]

    images = torch.rand(4, 3, 16, 16)
    cva.report.Recorder(tmp_path / "run", images, methods=[edges, "grad_cam"]).log(MyNet(2), 0)
    about = json.loads((tmp_path / "run/maps/epoch-0000.json").read_text())["columns"]
    [key] = [key for key, column in about.items() if column["title"] == "edges"]
    stored = np.load(tmp_path / "run/maps/epoch-0000.npz")[key]
    np.testing.assert_allclose(stored, edges(None, images)[:, 0].numpy(), atol=1e-3)
    assert cva.saliency.resolve("grad_cam") is METHODS["grad_cam"]


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_a_method_may_differentiate_and_changes_nothing(around):
    """As in the training loop: the model in train mode, gradients of the last step, validation without gradients."""

    def slope(model, images, targets=None):
        assert not model.training
        images = images.clone().requires_grad_()
        model(images).sum().backward()
        model.train()
        return images.grad.abs().mean(1, keepdim=True)

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten())
    images = torch.rand(2, 3, 5, 5)
    model(images).square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with around():
        found = cva.saliency.resolve(slope)(model, images.clone())
    assert model.training
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    inputs = images.clone().requires_grad_()
    [expected] = torch.autograd.grad(model.eval()(inputs).sum(), inputs)
    torch.testing.assert_close(found, expected.abs().mean(1, keepdim=True))


def test_an_adapter_shows_a_gate_of_another_package(monkeypatch):
    from cv_attention.maps import adapters

    monkeypatch.setattr(adapters, "_ADAPTERS", dict(adapters._ADAPTERS))
    sys.modules.pop("my_adapters", None)
    from my_adapters import TheirGate  # pyright: ignore[reportMissingImports]

    class Derived(TheirGate):
        pass

    x = torch.rand(2, 8, 5, 6)
    for kind in (TheirGate, Derived):
        model = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 1), kind(8))
        with cva.record(model) as maps:
            out = model(x)
        gate = maps["1"]
        assert (gate.kind, tuple(gate.values.shape)) == ("spatial", (2, 1, 5, 6))
        torch.testing.assert_close(gate.values * model[0](x), out)
    cva.maps.add_adapter("my_adapters.TheirGate", cva.maps.output_of("reduce", "spatial"))
    with cva.record(model) as maps:
        model(x)
    torch.testing.assert_close(maps["1"].values, model[1].reduce(model[0](x)))


@pytest.fixture(scope="module")
def reading_run(folder) -> Path:
    """A run whose head is somebody's own."""
    options = [
        "--data.name=digit_strings", "--data.strings.train=40", "--data.strings.val=10", "--data.strings.test=10",
        "--data.strings.width=64", "--data.strings.longest=2", "--data.batch_size=20", "--model.backbone=convnet",
        "--model.options={widths: [8, 8], strides: [4, 2]}", "--trainer.max_epochs=1", "--trainer.accelerator=cpu",
        "--trainer.extra={enable_progress_bar: false}", "--log.wandb=disabled",
        "--model.head={class_path: my_head.Bigrams, init_args: {width: 8}}",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["fit", *options, "--log.root=runs", "--log.name=bigrams"]) == 0
    return folder / "runs/bigrams"


def test_a_head_of_ones_own_is_trained_tested_and_read_with(reading_run, capsys):
    assert main(["test", str(reading_run), "--trust", "my_head"]) == 0
    assert "test cer: " in capsys.readouterr().out
    task = training.load(reading_run / "checkpoints/best.ckpt", trust=["my_head.Bigrams"], task=training.Transcriber)
    assert type(task.network.head).__name__ == "Bigrams"
    with cva.record(task.network) as maps:
        readings = task.read(torch.zeros(2, 3, 48, 64, dtype=torch.uint8), beams=3)
    assert len(readings) == 2
    assert maps["head.map"].values.shape[-2:] == (6, 8)


def test_a_head_of_a_file_is_not_imported_without_trust(reading_run, capsys):
    sys.modules.pop("my_head", None)
    assert main(["test", str(reading_run)]) == 2
    assert "names the class my_head.Bigrams" in capsys.readouterr().err
    assert "my_head" not in sys.modules
