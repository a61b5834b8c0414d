"""One training, from the command line to the report, and what it leaves behind."""

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
from cv_attention.config import Experiment, Log
from cv_attention.config.plain import from_plain
from cv_attention.training import run as runs


def test_the_run_directory_holds_everything(tiny_run):
    for name in (
        "config.yaml", "summary.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics/0/metrics.csv",
        "maps/probes.json", "maps/epoch-0000.npz", "maps/epoch-0001.json", "report/index.html",
    ):  # fmt: skip
        assert (tiny_run / name).is_file(), name
    assert not list(tiny_run.rglob("*.partial"))


def test_the_resolved_configuration_makes_the_same_experiment(tiny_run):
    plain = yaml.safe_load((tiny_run / "config.yaml").read_text())
    experiment = from_plain(Experiment, plain)
    assert experiment.to_dict() == plain
    assert experiment.model.block == "cbam"
    assert experiment.data.digits.train == 60


def test_the_checkpoint_holds_plain_values_only(tiny_run):
    content = torch.load(tiny_run / "checkpoints/last.ckpt", weights_only=True)
    assert content["experiment"] == yaml.safe_load((tiny_run / "config.yaml").read_text())
    assert tuple(content["facts"]["class_names"]) == tuple("0123456789")


def test_metrics_equal_a_count_by_hand(tiny_run, tiny_summary):
    classifier = training.load(training.find_checkpoint(tiny_run))
    module = data.create(classifier.experiment.data)
    module.setup()
    images, labels = [], []
    for batch in module.test_dataloader():
        images.append(batch["image"])
        labels.append(batch["label"])
    facts = classifier.facts
    x, y = torch.cat(images), torch.cat(labels)
    mean, std = torch.tensor(facts.mean).view(3, 1, 1), torch.tensor(facts.std).view(3, 1, 1)
    with torch.no_grad():
        logits = classifier.network((x / 255 - mean) / std).double()
    top5 = logits.topk(5).indices
    loss = -logits.log_softmax(1)[range(len(y)), y].mean()
    assert len(y) == 30
    assert tiny_summary["test"]["accuracy"] == pytest.approx((logits.argmax(1) == y).double().mean().item())
    assert tiny_summary["test"]["accuracy_top5"] == pytest.approx((top5 == y[:, None]).any(1).double().mean().item())
    assert tiny_summary["test"]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert 0 < tiny_summary["test"]["pointing_chance"] < 1


def test_measures_how_much_the_blocks_are_in_use(tiny_run, tiny_summary):
    used, sites = tiny_summary["in_use"], tiny_summary["sites"]
    assert [block["block"] for block in used["blocks"]] == [site["block"] for site in sites]
    classifier = training.load(training.find_checkpoint(tiny_run)).eval()
    module = data.create(classifier.experiment.data)
    module.setup()
    split = module.splits["val"]
    assert used["images"] == len(split)
    x = classifier.normalise(split.batch([(0, i) for i in range(len(split))])["image"])
    seen = {}
    block = classifier.network.get_submodule(sites[0]["block"])
    block.register_forward_hook(lambda _, args, y: seen.update(x=args[0], y=y))
    with torch.no_grad():
        classifier.network(x)
    change = float((seen["y"] - seen["x"]).norm() / seen["x"].norm())
    assert used["blocks"][0]["change"] == pytest.approx(change, rel=1e-4)


def test_evaluating_again_gives_the_same(tiny_run, tiny_summary, capsys):
    again = training.evaluate(training.find_checkpoint(tiny_run))
    assert again == pytest.approx(tiny_summary["test"])
    capsys.readouterr()
    assert main(["test", str(tiny_run)]) == 0
    assert f"test accuracy: {tiny_summary['test']['accuracy']:.4f}" in capsys.readouterr().out


def test_a_folder_with_the_weights_alone_is_enough(tiny_run, tiny_summary, tmp_path, capsys):
    for name in ("config.yaml", "weights.safetensors"):
        (tmp_path / name).write_bytes((tiny_run / name).read_bytes())
    assert training.find_checkpoint(tmp_path) == tmp_path / "weights.safetensors"
    with pytest.raises(FileNotFoundError, match=r"last.ckpt does not exist"):
        training.find_checkpoint(tmp_path, "last")
    assert main(["test", str(tmp_path)]) == 0
    assert f"test accuracy: {tiny_summary['test']['accuracy']:.4f}" in capsys.readouterr().out


def test_the_curves_cover_every_epoch(tiny_run):
    with (tiny_run / "metrics/0/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["epoch"] for row in rows if row.get("val_accuracy")} == {"0", "1"}
    logged = [row for row in rows if row.get("train_loss")]
    assert [int(row["step"]) for row in logged] == [1, 3, 5]
    cosine = [0.025 * (1 + math.cos(math.pi * step / 6)) for step in (1, 3, 5)]
    assert [float(row["lr"]) for row in logged] == pytest.approx(cosine)


def test_maps_of_every_block_are_written(tiny_run):
    about = json.loads((tiny_run / "maps/epoch-0001.json").read_text())
    arrays = np.load(tiny_run / "maps/epoch-0001.npz")
    kinds = [column["kind"] for column in about["columns"].values()]
    assert kinds.count("channel") == kinds.count("spatial") == 9  # three residual units in each of three stages
    assert kinds.count("grad_cam") == 1
    assert len(about["predictions"]) == 4
    for key, column in about["columns"].items():
        assert arrays[key].dtype == np.float16
        assert arrays[key].ndim == (2 if column["kind"] == "channel" else 3)
        assert len(arrays[key]) == 4
        assert np.isfinite(arrays[key]).all()
    assert np.allclose(np.sum(about["probabilities"], 1), 1, atol=1e-4)


def test_the_logged_maps_are_those_of_the_checkpoint(tiny_run):
    """The last epoch's maps, computed again from the stored images with plain hooks."""
    classifier = training.load(training.find_checkpoint(tiny_run, "last"))
    probes = json.loads((tiny_run / "maps/probes.json").read_text())["probes"]
    pictures = [np.array(Image.open(tiny_run / "maps" / probe["image"])) for probe in probes]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    about = json.loads((tiny_run / "maps/epoch-0001.json").read_text())
    arrays = np.load(tiny_run / "maps/epoch-0001.npz")
    for key, column in about["columns"].items():
        if column["source"] == "saliency":
            continue
        seen = []
        module = classifier.network.get_submodule(column["title"])
        handle = module.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output))
        with torch.no_grad():
            classifier(images)
        handle.remove()
        expected = seen[0].flatten(1) if column["kind"] == "channel" else seen[0][:, 0]
        np.testing.assert_allclose(arrays[key], expected.numpy(), atol=2e-3)


def test_wandb_writes_offline_files_with_rendered_maps(tiny_run):
    [offline] = (tiny_run / "wandb").glob("offline-run-*")
    assert list(offline.glob("*.wandb"))
    pictures = list((offline / "files/media/images/maps").rglob("*.png"))
    assert len(pictures) >= 4
    height, width, _ = np.array(Image.open(pictures[0])).shape
    assert min(height, width) > 32  # a title above and a colour bar below the image


def test_the_best_checkpoint_is_the_one_tested(tiny_run):
    content = torch.load(tiny_run / "checkpoints/best.ckpt", weights_only=True)
    with (tiny_run / "metrics/0/metrics.csv").open() as file:
        accuracies = {
            int(row["epoch"]): float(row["val_accuracy"]) for row in csv.DictReader(file) if row.get("val_accuracy")
        }
    assert accuracies[content["epoch"]] == max(accuracies.values())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None, "weights"])
def test_a_foreign_checkpoint_is_one_line(content, tiny_run, tmp_path, capsys):
    file = tmp_path / "some.ckpt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "weights":  # of another model than it says
        stored = torch.load(tiny_run / "checkpoints/last.ckpt", weights_only=True)
        stored["experiment"]["model"]["block"] = "se"
        torch.save(stored, file)
    else:
        torch.save({"state_dict": {}}, file)
    assert main(["test", str(file)]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "some.ckpt" in printed


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_photograph_found_in_training_is_one_line(workers, tmp_path, capsys):
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "animals" / split / name
            folder.mkdir(parents=True)
            for number in range(12 if split == "train" else 2):  # of several sizes, so that they stay on the disk
                pixels = random.integers(0, 255, (24 + number, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    broken = tmp_path / "animals/train/dog/11.png"
    broken.write_bytes(broken.read_bytes()[:200])
    options = [
        "--data.name=folder", f"--data.root={tmp_path / 'animals'}", f"--data.workers={workers}", "--data.batch_size=4",
        "--data.train_transforms=[{Resize: {height: 32, width: 32}}]", "--trainer.max_epochs=1",
        "--data.eval_transforms=[{Resize: {height: 32, width: 32}}]", "--trainer.extra={enable_progress_bar: false}",
        "--model.options={width: 4}", f"--log.root={tmp_path / 'runs'}", "--log.wandb=disabled", "--log.maps_every=0",
    ]  # fmt: skip
    assert main(["fit", *options]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "train/dog/11.png" in printed
    assert "cannot be decoded" in printed


@pytest.mark.parametrize("made", [False, True])
def test_a_discarded_run_takes_only_the_folders_made_for_it(made, tmp_path, monkeypatch):
    monkeypatch.setenv("CV_ATTENTION_RUN", "")  # which `create` sets
    root = tmp_path / "mine/runs"
    if made:
        root.mkdir(parents=True)
    run = runs.create(Experiment(log=Log(root=str(root))), rank=0)
    assert run.parent == root
    runs.discard(run)
    assert root.is_dir() == made
    assert tmp_path.is_dir()
