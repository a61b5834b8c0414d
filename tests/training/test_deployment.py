"""Exported networks give what the network gives, in the programs that they are exported for."""

import json

import numpy as np
import pytest
import torch

from cv_attention import record, training
from cv_attention.cli import main
from cv_attention.config import Experiment
from cv_attention.config.plain import from_plain
from cv_attention.training.checkpoint import weights
from cv_attention.training.export.deployment import Deployed
from cv_attention.training.loading import load


@pytest.fixture(scope="module")
def classifier(tiny_run):
    return training.load(training.find_checkpoint(tiny_run))


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def expected(classifier, images):
    """Logits and maps of the trained network itself, its normalisation written out."""
    facts = classifier.facts
    mean, std = torch.tensor(facts.mean).view(3, 1, 1), torch.tensor(facts.std).view(3, 1, 1)
    inputs = (images / 255 - mean) / std
    with torch.no_grad(), record(classifier.network) as maps:
        logits = classifier.network(inputs)
    return inputs, {"logits": logits, **{name: found.values for name, found in maps.items()}}


def run_onnx(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    about = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    return dict(zip(names, session.run(None, {"images": images.numpy()}), strict=True)), about


def run_program(path, images, names):
    files = {"cv_attention.json": ""}
    program = torch.export.load(path, extra_files=files)
    values = [value.detach().numpy() for value in program.module()(images)]
    return dict(zip(names, values, strict=True)), json.loads(files["cv_attention.json"])


@pytest.mark.parametrize(
    ("format", "maps", "normalised"),
    [
        pytest.param("onnx", True, False, marks=pytest.mark.long),
        ("torch-export", True, False),
        pytest.param("onnx", False, True, marks=pytest.mark.long),
        pytest.param("torch-export", False, True, marks=pytest.mark.long),
    ],
)
def test_a_graph_gives_logits_and_maps(
    format, maps, normalised, classifier, images, expected, tiny_run, tmp_path, capsys
):
    """Five images, where the graph was traced with two."""
    path = tmp_path / "model"
    options = [*(["--maps"] if maps else []), *(["--normalised"] if normalised else [])]
    assert main(["export", str(tiny_run), "--format", format, "-o", str(path), *options]) == 0
    inputs, wanted = expected
    names = list(wanted) if maps else ["logits"]
    given = inputs if normalised else images
    found, about = run_onnx(path, given) if format == "onnx" else run_program(path, given, names)
    assert list(found) == names
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name].numpy(), rtol=1e-3, atol=1e-4, err_msg=name)
    assert about["facts"]["class_names"] == list(classifier.facts.class_names)
    assert about["experiment"] == classifier.experiment.to_dict() | {"model": about["experiment"]["model"]}
    assert about["provenance"]["config"]
    assert ("uint8" in about["input"]) != normalised
    said = capsys.readouterr().out
    assert about["input"] in said
    gives = f"output: logits and {len(names) - 1} attention maps," if maps else "output: logits"
    assert said.splitlines()[-1].startswith(gives)
    assert len(said.splitlines()) == 3


def test_weights_need_nothing_else(tiny_run, tiny_summary, classifier, tmp_path, capsys):
    """The file alone tests, explains and is exported again."""
    path = tmp_path / "copied.safetensors"
    path.write_bytes((tiny_run / "weights.safetensors").read_bytes())
    assert main(["test", str(path)]) == 0
    assert f"test accuracy: {tiny_summary['test']['accuracy']:.4f}" in capsys.readouterr().out
    picture = str(tiny_run / "maps/images/0000.png")
    assert main(["saliency", picture, f"--checkpoint={path}", "-o", str(tmp_path / "out")]) == 0
    assert main(["export", str(path), "--format=safetensors", "-o", str(tmp_path / "again.safetensors")]) == 0
    before, after = weights.read(path), weights.read(tmp_path / "again.safetensors")
    assert after["experiment"] == before["experiment"]
    assert after["facts"] == before["facts"]
    assert after["state_dict"].keys() == before["state_dict"].keys()
    assert all(torch.equal(value, before["state_dict"][name]) for name, value in after["state_dict"].items())


def test_the_weights_are_plain_tensors_by_the_networks_names(tiny_run, classifier):
    from safetensors.torch import load_file

    stored = load_file(tiny_run / "weights.safetensors")
    for name, value in classifier.network.state_dict().items():
        assert torch.equal(stored[name], value)
    assert len(stored) == len(classifier.network.state_dict())


MISTAKES = {
    "no graph": (["--format=safetensors", "--maps"], ["safetensors", "onnx"]),
    "no format": (["--format=onx"], ["onx", "torch-export"]),
}


@pytest.mark.parametrize(("options", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_line(options, words, tiny_run, tmp_path, capsys):
    assert main(["export", str(tiny_run), "-o", str(tmp_path / "model"), *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(word in said for word in words)
    assert not (tmp_path / "model").exists()


def test_a_missing_package_says_what_to_install(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    assert main(["export", str(tiny_run), "-o", str(tmp_path / "model")]) == 2
    assert "pip (or uv pip) install 'cv_attention[onnx]'" in capsys.readouterr().err


def test_the_copy_leaves_the_network_alone(classifier):
    before = {name: value.clone() for name, value in classifier.network.state_dict().items()}
    deployed = Deployed(classifier, maps=True)
    for value in deployed.network.state_dict().values():
        value.zero_()
    assert all(torch.equal(value, before[name]) for name, value in classifier.network.state_dict().items())


def test_what_is_written_from_a_pretrained_runs_checkpoint_has_the_runs_configuration(tiny_checkpoint, tmp_path):
    content = torch.load(tiny_checkpoint, weights_only=True)
    content["experiment"]["model"]["pretrained"] = True  # our own networks have no such weights: none are looked for
    torch.save(content, tmp_path / "pretrained.ckpt")
    classifier = load(tmp_path / "pretrained.ckpt")
    weights.write(tmp_path / "weights.safetensors", classifier)
    found = weights.read(tmp_path / "weights.safetensors")
    assert found["experiment"] == content["experiment"]
    assert found["provenance"]["config"] == from_plain(Experiment, content["experiment"]).fingerprint()
