"""Every test image's prediction in one file, against a plain forward of the checkpoint."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import data, training
from cv_attention.cli import main
from tests.quick import quick_first

QUICK = ["--log.wandb=disabled", "--log.maps_every=0", "--trainer.max_epochs=1"]


def by_hand(run) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels and per-image losses of the test split, in its order."""
    classifier = training.load(training.find_checkpoint(run))
    module = data.create(classifier.experiment.data, seed=classifier.experiment.seed)
    module.setup()
    split = module.splits["test"]
    batch = split.batch([(0, index) for index in range(len(split))])
    with torch.no_grad():
        logits = classifier(batch["image"]).double()
        if classifier.experiment.data.flip_test:
            logits = (logits + classifier(batch["image"].flip(3)).double()) / 2
    smoothing = classifier.experiment.optimizer.label_smoothing
    targets = (1 - smoothing) * torch.eye(10)[batch["label"]] + smoothing / 10
    return logits, batch["label"], -(targets * logits.log_softmax(1)).sum(1)


@pytest.mark.parametrize(
    "options", quick_first([[], ["--data.flip_test=true", "--optimizer.label_smoothing=0.1", "--optimizer.ema=0.9"]]),
    ids=["plain", "mirrored, smoothed and averaged"],
)  # fmt: skip
def test_the_file_holds_what_the_network_says(options, tiny_options, tmp_path):
    run = tmp_path / "run"
    assert main(["fit", *tiny_options, *QUICK, *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    with np.load(run / "predictions.npz", allow_pickle=False) as file:
        found = dict(file)
    logits, labels, losses = by_hand(run)
    probabilities = logits.softmax(1)
    assert found["index"].tolist() == list(range(30))
    assert found["name"].tolist() == [f"{row:05d}" for row in range(30)]
    assert found["class_names"].tolist() == list("0123456789")
    assert found["label"].tolist() == labels.tolist()
    assert found["predicted"].tolist() == logits.argmax(1).tolist()
    np.testing.assert_allclose(found["probability"], probabilities[range(30), labels], atol=1e-5)
    np.testing.assert_allclose(found["loss"], losses, atol=1e-4)
    best = probabilities.topk(5, dim=1)
    assert found["top_classes"].tolist() == best.indices.tolist()
    np.testing.assert_allclose(found["top_probabilities"], best.values, atol=1e-3)
    summary = json.loads((run / "summary.json").read_text())["test"]
    assert (found["predicted"] == found["label"]).mean() == pytest.approx(summary["accuracy"])
    assert found["loss"].mean() == pytest.approx(summary["loss"], rel=1e-5)


@pytest.mark.long
def test_testing_again_writes_the_same_file_where_it_is_wanted(tiny_options, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", *tiny_options, *QUICK, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    with np.load(run / "predictions.npz") as file:
        before = dict(file)
    (run / "predictions.npz").unlink()
    assert main(["test", str(run)]) == 0
    assert f"predictions: {run / 'predictions.npz'}" in capsys.readouterr().out
    elsewhere = tmp_path / "elsewhere.npz"
    assert main(["test", str(run / "weights.safetensors"), "--predictions", str(elsewhere)]) == 0
    for written in (run / "predictions.npz", elsewhere):
        with np.load(written) as file:
            assert set(file) == set(before)
            assert all(np.array_equal(file[name], before[name]) for name in before)
    (run / "predictions.npz").unlink()
    assert main(["test", str(run / "checkpoints/best.ckpt")]) == 0  # a file by itself belongs to no folder
    assert not (run / "predictions.npz").exists()
    capsys.readouterr()
    assert main(["test", str(run), "--predictions", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_photographs_are_named_by_folder_and_file(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("cat", "dog", "owl"):
            folder = tmp_path / "animals" / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    options = [
        "--data.name=folder", f"--data.root={tmp_path / 'animals'}", "--data.batch_size=4", "--trainer.accelerator=cpu",
        "--model.options={width: 4}", f"--log.root={tmp_path / 'runs'}", "--log.name=run",
        "--trainer.extra={enable_progress_bar: false}",
    ]  # fmt: skip
    assert main(["fit", *options, *QUICK]) == 0
    with np.load(tmp_path / "runs/run/predictions.npz", allow_pickle=False) as file:
        assert file["name"].tolist() == [
            f"{name}/{number}.png" for name in ("cat", "dog", "owl") for number in range(4)
        ]
        assert file["label"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert file["top_classes"].shape == (12, 3)  # there are no five


@pytest.mark.parametrize("option", quick_first(["--root", "--data.root"]))
def test_predictions_of_other_images_stay_out_of_the_run_directory(option, tmp_path, capsys):
    for split, name, number in [(s, c, n) for s in ("train", "val") for c in "ab" for n in range(4)]:
        for root in ("photos", "others"):
            image = Image.effect_noise((32, 32), 40 + number).convert("RGB")
            (tmp_path / root / split / name).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / root / split / name / f"{root}-{number}.png")
    options = ["--data.name=folder", f"--data.root={tmp_path}/photos", "--data.val_fraction=0.5", "--data.batch_size=4"]
    options += ["--model.options={width: 2}", "--trainer.accelerator=cpu", "--trainer.precision=32-true"]
    assert main(["fit", *QUICK, *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    before = (tmp_path / "run/predictions.npz").read_bytes()
    capsys.readouterr()
    assert main(["test", str(tmp_path / "run"), option, str(tmp_path / "others")]) == 0
    assert "predictions" not in capsys.readouterr().out
    assert (tmp_path / "run/predictions.npz").read_bytes() == before
