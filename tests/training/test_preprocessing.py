"""Pretrained weights bring their own preprocessing: into training, and from there into everything made of the run."""

import csv
import json
import math

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from cv_attention import data, training
from cv_attention.cli import main
from cv_attention.config import Data, Experiment, Model
from cv_attention.training.checkpoint import weights
from cv_attention.training.preprocessing import adopt

MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
STEP = {"ResizeAndCrop": {"resize": 40, "crop": [32, 32], "interpolation": "bilinear"}}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Pictures of two classes, of many sizes."""
    root, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3), ("test", 3)):
        for label, name in enumerate(("dark", "light")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                size = (*random.integers(40, 90, 2), 3)
                pixels = random.integers(0, 128, size, dtype=np.uint8) + 127 * label
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Options of a tiny network of timm with weights of its own, and their file."""
    import timm

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "source.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    stated = {"mean": MEAN, "std": STD, "input_size": [3, 32, 32], "crop_pct": 0.8, "interpolation": "bilinear"}
    return {"pretrained_cfg_overlay": {"file": str(path), **stated}}, path


def options(photographs, pretrained, root, *more):
    return [
        "--data.name=folder", f"--data.root={photographs}", "--data.batch_size=8", "--model.backbone=timm/test_resnet",
        f"--model.options={json.dumps(pretrained[0])}", "--optimizer.lr=0.01", "--trainer.max_epochs=1",
        "--trainer.accelerator=cpu", "--trainer.precision=32-true", "--trainer.extra={enable_progress_bar: false}",
        "--log.wandb=disabled", "--log.maps_every=0", "--log.every_n_steps=1", f"--log.root={root}", "--log.name=run",
        *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(photographs, pretrained, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    assert main(["fit", *options(photographs, pretrained, root, "--model.pretrained=true")]) == 0
    return root / "run"


def test_the_weights_own_preprocessing_is_everywhere(run, photographs):
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["mean"] == MEAN
    assert config["data"]["std"] == STD
    assert config["data"]["eval_transforms"] == config["data"]["train_transforms"] == [STEP]
    for content in (
        torch.load(run / "checkpoints/best.ckpt", weights_only=True),
        weights.read(run / "weights.safetensors"),
    ):
        assert [list(content["facts"][name]) for name in ("mean", "std")] == [MEAN, STD]
        assert content["experiment"]["data"]["eval_transforms"] == [STEP]
    classifier = training.load(training.find_checkpoint(run))
    image = data.read_image(photographs / "test/dark/0.png")
    split = data.create(classifier.experiment.data)
    split.setup()
    seen = classifier.normalise(split.splits["test"][0]["image"][None])
    expected = _prepared(image)
    torch.testing.assert_close(seen[0], expected)


def _prepared(image):
    """By hand: Pillow's bilinear filter to a short side of 40, the middle 32×32, normalised."""
    height, width = image.shape[:2]
    short = min(height, width)
    size = (40 if width == short else int(40 * width / short), 40 if height == short else int(40 * height / short))
    pixels = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    top, left = (round((length - 32) / 2) for length in pixels.shape[:2])
    crop = pixels[top : top + 32, left : left + 32] / 255
    return torch.from_numpy((crop - MEAN) / STD).permute(2, 0, 1).float()


def test_training_starts_from_the_loss_of_guessing(run):
    with (run / "metrics/0/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("train_loss")]
    assert float(rows[0]["train_loss"]) == pytest.approx(math.log(2), abs=2e-3)


def test_the_start_says_what_the_weights_expect(photographs, pretrained, tmp_path, capsys):
    given = options(photographs, pretrained, tmp_path, "--model.pretrained=true", "--data.mean=[0.5,0.5,0.5]")
    assert main(["fit", *given]) == 0
    printed = capsys.readouterr().out
    assert "weights: pretrained timm/test_resnet; the head is reinitialized for 2 classes, at zero" in printed
    assert "expects mean 0.1/0.2/0.3, std 0.4/0.5/0.6, ResizeAndCrop(resize=40" in printed
    assert "as configured: data.mean" in printed
    facts = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["facts"]
    assert list(facts["mean"]) == [0.5, 0.5, 0.5]
    assert list(facts["std"]) == STD


def test_test_saliency_and_export_use_it_too(run, photographs, tmp_path, capsys):
    summary = json.loads((run / "summary.json").read_text())
    assert main(["test", str(run)]) == 0
    assert f"test accuracy: {summary['test']['accuracy']:.4f}" in capsys.readouterr().out
    out = tmp_path / "maps"
    given = [str(photographs / "test"), "--checkpoint", str(run), "-o", str(out)]
    assert main(["saliency", *given, "--accelerator=cpu"]) == 0
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    classifier = training.load(training.find_checkpoint(run))
    for row in rows:
        with torch.no_grad():
            logits = classifier.network(_prepared(data.read_image(row["image"]))[None])[0]
        np.testing.assert_allclose(row["logits"], logits, rtol=1e-4, atol=1e-4)
    exported = tmp_path / "network.pt2"
    assert main(["export", str(run), "--format=torch-export", "-o", str(exported)]) == 0
    extra = {"cv_attention.json": ""}
    torch.export.load(exported, extra_files=extra)
    assert json.loads(extra["cv_attention.json"])["facts"]["mean"] == MEAN


def experiment(**model):
    return Experiment(data=Data(name="folder"), model=Model(**model))


def test_a_file_is_prepared_as_its_library_prepares_its_own(pretrained):
    found, line = adopt(experiment(backbone="timm/test_resnet", weights=str(pretrained[1]), options=pretrained[0]))
    assert (found.data.mean, found.data.eval_transforms) == (MEAN, [STEP])
    assert "without augmentation" in line


def test_a_checkpoint_of_ours_is_prepared_as_it_was_trained(run):
    found, line = adopt(experiment(backbone="timm/test_resnet", weights=str(run)))
    assert (found.data.mean, found.data.std, found.data.eval_transforms) == (MEAN, STD, [STEP])
    assert str(run / "checkpoints/best.ckpt") in line


def test_transforms_that_are_configured_stay(pretrained):
    asked = experiment(backbone="timm/test_resnet", pretrained=True, options=pretrained[0])
    asked.data.train_transforms = ["HorizontalFlip"]
    asked.data.eval_transforms = [{"Resize": {"height": 8, "width": 8}}]
    found, line = adopt(asked)
    assert found.data.train_transforms == ["HorizontalFlip"]
    assert found.data.eval_transforms == [{"Resize": {"height": 8, "width": 8}}]
    assert found.data.mean == MEAN
    assert line.endswith("as configured: data.eval_transforms")


@pytest.mark.parametrize("name", ["text", "digit_strings"])
def test_texts_are_not_cropped(pretrained, name):
    asked = experiment(backbone="timm/test_resnet", pretrained=True, options=pretrained[0])
    asked.data.name = name
    found, line = adopt(asked)
    assert (found.data.mean, found.data.eval_transforms, found.data.train_transforms) == (MEAN, [], [])
    assert "ResizeAndCrop" not in line


def test_training_from_nothing_changes_nothing():
    for backbone in ("resnet20", "timm/test_resnet", "torchvision/resnet18"):
        asked = experiment(backbone=backbone)
        assert adopt(asked) == (asked, None)


def test_torchvisions_weights_state_theirs():
    found, line = adopt(experiment(backbone="torchvision/resnet50", pretrained=True))
    step = {"resize": 232, "crop": [224, 224], "interpolation": "bilinear"}
    assert found.data.eval_transforms == [{"ResizeAndCrop": step}]
    assert "ResNet50_Weights.IMAGENET1K_V2" in line


@pytest.mark.parametrize(
    ("option", "words"),
    [("--data.mean=[127,127,127]", r"data\.mean .* \[0, 1\]"), ("--data.std=[0.5,0.5]", r"data\.std must hold three")],
)
def test_statistics_that_make_no_sense_are_named(option, words, capsys):
    assert main(["fit", option]) == 2
    import re

    assert re.search(words, capsys.readouterr().err)


def test_the_head_alone_learns(photographs, pretrained, tmp_path):
    """Neither weights nor batch norm's statistics of the backbone move."""
    more = ["--model.pretrained=true", "--model.train=head", "--optimizer.lr=0.5", "--trainer.max_epochs=2"]
    assert main(["fit", *options(photographs, pretrained, tmp_path, *more)]) == 0
    after = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    before = torch.load(pretrained[1], weights_only=True)
    for name, value in before.items():
        assert name.startswith("fc.") or torch.equal(after[f"network.{name}"], value), name
    assert after["network.fc.weight"].any()


def test_a_head_alone_needs_a_trained_network(capsys):
    assert main(["fit", "--model.train=head"]) == 2
    assert "model.train is head, but the rest of the network is random" in capsys.readouterr().err


@pytest.mark.long
def test_resuming_keeps_what_was_adopted(photographs, pretrained, tmp_path, capsys):
    assert main(["fit", *options(photographs, pretrained, tmp_path, "--model.pretrained=true")]) == 0
    before = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["data"]
    assert main(["fit", f"--resume={tmp_path / 'run'}", "--trainer.max_epochs=2"]) == 0
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["data"] == before
