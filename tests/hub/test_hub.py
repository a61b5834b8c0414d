"""Networks on the Hub: uploaded and downloaded by `huggingface_hub`'s own client, to and from a local stand-in."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard, constants
from PIL import Image
from safetensors import safe_open

import cv_attention as cva
from cv_attention import hub, training
from cv_attention.cli import main
from cv_attention.rundir import summary
from tests.hub.stand_in import Hub, serving
from tests.training.conftest import TINY

IMAGES = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run, next to one of another seed."""
    root = tmp_path_factory.mktemp("runs")
    fit = ["fit", *TINY, "--model.block=cbam", f"--log.root={root}", "--log.wandb=disabled", "--trainer.max_epochs=1"]
    assert main([*fit, "--log.name=first"]) == 0
    shutil.copytree(root / "first", root / "second")
    config = yaml.safe_load((root / "second/config.yaml").read_text())
    (root / "second/config.yaml").write_text(yaml.safe_dump({**config, "seed": 7}))
    tested = summary.read(root / "second")["test"]
    summary.update(root / "second", test={**tested, "accuracy": tested["accuracy"] + 0.1})
    return root / "first"


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    with serving() as served:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, served.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # which has a server of its own
        monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
        yield served


def same(network: training.Task, run: Path) -> bool:
    expected = training.load(training.find_checkpoint(run))
    with torch.no_grad():
        return torch.equal(network(IMAGES), expected(IMAGES))


def test_pushed_and_loaded_again(run: Path, stand_in: Hub, capsys):
    assert main(["push", str(run), "somebody/digits-cbam", "--license", "apache-2.0"]) == 0
    assert f"{stand_in.url}/somebody/digits-cbam (private): model.safetensors, config.json" in capsys.readouterr().out
    model = stand_in.models["somebody/digits-cbam"]
    assert model.private
    assert set(model.files) - {".gitattributes"} == {"model.safetensors", "config.json", "maps.webp", "README.md"}
    network = cva.load("somebody/digits-cbam")
    assert isinstance(network, training.Classifier)
    assert network.facts.class_names == tuple("0123456789")
    assert same(network, run)
    assert same(cva.load("somebody/digits-cbam", revision=model.commit), run)
    asked = [request for request in stand_in.requests if "/resolve/" in request]
    assert {request.rpartition("/")[2] for request in asked} == {"model.safetensors"}  # nothing else is downloaded


def test_the_folder_says_the_same_and_sends_nothing(run: Path, tmp_path, capsys):
    out = tmp_path / "folder"
    assert main(["push", str(run), "-o", str(out), "--license", "mit"]) == 0
    assert capsys.readouterr().out.split() == [
        str(out / name) for name in ("model.safetensors", "config.json", "maps.webp", "README.md")
    ]
    assert same(cva.load(out), run)
    assert main(["export", str(out), "--format", "safetensors", "-o", str(tmp_path / "again.safetensors")]) == 0
    config = json.loads((out / "config.json").read_text())
    tested = summary.read(run)["test"]
    assert config["results"]["test"] == tested
    assert config["facts"]["class_names"] == list("0123456789")
    with Image.open(out / "maps.webp") as picture:
        assert picture.format == "WEBP"
        assert picture.height > 4 * 128
    with safe_open(out / "model.safetensors", "pt") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items() if name != "format"}
    assert about["provenance"] == summary.read(run)["provenance"]
    for name in ("config.json", "README.md"):
        assert str(run.parent) not in (out / name).read_text()
    assert str(run.parent) not in json.dumps(about)


def test_the_card_is_what_the_hub_reads(run: Path, tmp_path):
    hub.write_folder(run, tmp_path, title="somebody/digits-cbam", license="cc-by-4.0")
    card, text = ModelCard.load(tmp_path / "README.md"), (tmp_path / "README.md").read_text()
    tested = summary.read(run)["test"]
    assert (card.data.license, card.data.library_name) == ("cc-by-4.0", "cv_attention")
    assert card.data.pipeline_tag == "image-classification"
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found["accuracy"] == tested["accuracy"]
    assert 'cva.load("somebody/digits-cbam")' in text
    assert "mean ± standard deviation, 2 seeds" in text
    assert "Seeds of the same configuration: 0, 7." in text
    accuracy = tested["accuracy"]
    assert f"{accuracy + 0.05:.4g} ± {0.1 / 2**0.5:.4g}" in text
    assert "`resnet20` with `cbam` at `residual`" in text
    assert "](maps.webp)" in text
    assert "60 train, 20 val, 30 test images" in text
    bare = hub.write_folder(run, tmp_path, pictures=0)
    assert [path.name for path in bare] == ["model.safetensors", "config.json", "README.md"]
    assert not (tmp_path / "maps.webp").exists()
    text = (tmp_path / "README.md").read_text()
    assert "The author states no licence." in text
    assert "maps.webp" not in text
    assert "license" not in ModelCard.load(tmp_path / "README.md").data.to_dict()


def test_the_card_of_a_study(run: Path, tmp_path):
    trial = tmp_path / "studies/trials/0123456789abcdef"
    shutil.copytree(run, trial)
    row = {"label": "cbam", "units": ["0", "1"], "mean": 0.91, "difference": 0.02, "low": 0.01, "high": 0.03,
           "verdict": "better", "reason": ""}  # fmt: skip
    plain = {**row, "label": "plain", "difference": None, "low": None, "high": None, "verdict": "none",
             "reason": "the reference"}  # fmt: skip
    study = {"trials": [{"run": trial.name}], "sealed": False, "split": "test", "metric": "accuracy",
             "recipes": [{"comparison": {"tables": [{"rows": [plain, row]}]}}]}  # fmt: skip
    (tmp_path / "studies/digits").mkdir()
    (tmp_path / "studies/digits/study.json").write_text(json.dumps(study))
    hub.write_folder(trial, tmp_path / "out")
    text = (tmp_path / "out/README.md").read_text()
    assert "## Study digits" in text
    assert "+0.02 [+0.01, +0.03]" in text
    (tmp_path / "studies/digits/study.json").write_text(json.dumps({**study, "sealed": True}))
    hub.write_folder(trial, tmp_path / "out")
    text, config = (tmp_path / "out/README.md").read_text(), json.loads((tmp_path / "out/config.json").read_text())
    assert "still sealed" in text
    assert "test" not in config["results"]
    assert ModelCard.load(tmp_path / "out/README.md").data.eval_results is None


def test_a_public_model_is_not_updated_by_accident(run: Path, stand_in: Hub, capsys):
    assert main(["push", str(run), "somebody/shown", "--public", "true"]) == 0
    assert not stand_in.models["somebody/shown"].private
    assert main(["push", str(run), "somebody/shown"]) == 2
    assert "somebody/shown is a public model; --public true uploads there" in capsys.readouterr().err
    assert len(stand_in.models["somebody/shown"].messages) == 1


def test_a_foreign_file_imports_nothing(run: Path, stand_in: Hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('PWNED', 'w').close()\nclass Evil: pass\n")
    hub.push(run, "somebody/evil")
    model = stand_in.models["somebody/evil"]
    with safe_open(tmp_path / hub.write_folder(run, tmp_path)[0].name, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {name: value for name, value in file.metadata().items() if name != "sha256"}
    experiment = json.loads(metadata["experiment"])
    experiment["model"]["block"] = {"class_path": "evil.Evil"}
    from safetensors.torch import save

    model.files["model.safetensors"] = save(tensors, {**metadata, "experiment": json.dumps(experiment)})
    model.commit = "1" * 40
    with pytest.raises(ValueError, match=r"names the class evil\.Evil, .*trust=\['evil\.Evil'\]"):
        cva.load("somebody/evil")
    assert not Path("PWNED").exists()
    assert "evil" not in sys.modules


def test_what_is_not_there(run: Path, stand_in: Hub, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="is neither a path nor a model on the Hub"):
        cva.load("somebody/none")
    hub.push(run, "somebody/digits")
    with pytest.raises(FileNotFoundError, match="has no revision 'v9'"):
        cva.load("somebody/digits", revision="v9")
    del stand_in.models["somebody/digits"].files["model.safetensors"]
    stand_in.models["somebody/digits"].commit = "2" * 40
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        cva.load("somebody/digits")
    with pytest.raises(ValueError, match="is called ORG/NAME"):
        hub.push(run, "digits")
    with pytest.raises(FileNotFoundError):
        hub.push(tmp_path / "none", "somebody/digits")
    with pytest.raises(ValueError, match="is not a finished run"):
        hub.write_folder(training.find_checkpoint(run), tmp_path)
    with pytest.raises(ValueError, match="applies only to models on the Hub"):
        cva.load(run, revision="main")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(stand_in.url, constants.ENDPOINT)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between its attempts
    with pytest.raises(ConnectionError, match="the Hub cannot be reached"):
        cva.load("somebody/never")
    with pytest.raises(ConnectionError, match="cannot be uploaded"):
        hub.push(run, "somebody/never")


@pytest.mark.long  # two processes
def test_another_hub_by_the_environment(run: Path, tmp_path):
    with serving() as served:
        environment = {**os.environ, "HF_ENDPOINT": served.url, "HF_TOKEN": "hf_stand_in", "HF_HUB_DISABLE_XET": "1",
                       "HF_HOME": str(tmp_path)}  # fmt: skip
        push = [sys.executable, "-m", "cv_attention.cli", "push", str(run), "somebody/digits", "--license", "mit"]
        assert subprocess.run(push, env=environment, capture_output=True).returncode == 0
        script = "import cv_attention as cva; print(cva.load('somebody/digits').facts.class_names[3])"
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert done.stdout == "3\n", done.stderr
        again = subprocess.run(
            [sys.executable, "-c", script], env={**environment, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
        )
        assert again.stdout == "3\n", again.stderr
