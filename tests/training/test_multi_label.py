"""Runs with several classes per image, and of numbers: trained, resumed, tested, explained and exported."""

import json

import numpy as np
import pytest
import torch

from cv_attention import comparison, config, judging, training
from cv_attention.config import Data, Digits, Experiment, Log, Loss, Model, Optimizer, Trainer
from cv_attention.rundir import summary
from cv_attention.rundir.counts.label_counts import LabelCounts
from cv_attention.saliency_export import export_saliency

DIGITS = Digits(train=40, val=20, test=20, canvas=24, digit=10, most=3, clutter=2)


def experiment(root, name="run", epochs=2, **changes):
    parts = {
        "data": Data(targets="multi", batch_size=10, digits=DIGITS, mixup=0.2, cutmix=1.0),
        "model": Model(options={"width": 4}, block="se"),
        "optimizer": Optimizer(lr=0.05, schedule=None, ema=0.9, label_smoothing=0.1),
        "loss": Loss(class_weights="balanced"),
        "trainer": Trainer(max_epochs=epochs, accelerator="cpu", precision="32-true", monitor="f1_macro"),
        "log": Log(root=str(root), name=name, wandb="disabled", curve_points=0, probes=4),
    }
    return Experiment(**{**parts, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("several")
    return training.fit(training.prepare(experiment(root)))


def test_the_summary(run):
    found = summary.read(run)
    assert found["task"] == "multi_label"
    assert {"map", "auroc", "f1_macro", "f1_macro_tuned", "f1_micro_tuned", "subset_accuracy"} <= found["test"].keys()
    assert found["higher_is_better"]["f1_macro"] is True
    assert found["selected"]["reason"] == "it has the best validation f1 macro"
    assert {len(values) for values in found["per_class"].values()} == {10}


def test_metrics_follow_from_the_predictions(run):
    from sklearn import metrics

    stored, found = np.load(run / "predictions.npz"), summary.read(run)
    labels, probabilities = stored["labels"], stored["probabilities"]
    there = labels.any(0)
    each = [metrics.average_precision_score(labels[:, c], probabilities[:, c]) for c in np.flatnonzero(there)]
    assert found["test"]["map"] == pytest.approx(np.mean(each), abs=1e-5)
    decided = probabilities >= stored["thresholds"]
    assert np.array_equal(stored["decided"], decided)
    assert found["test"]["f1_micro_tuned"] == pytest.approx(
        metrics.f1_score(labels, decided, average="micro"), abs=1e-6
    )
    recalls = metrics.recall_score(labels, decided, average=None, zero_division=np.nan)
    stated = [np.nan if value is None else value for value in found["per_class"]["recall"]]
    assert stated == pytest.approx(recalls.tolist(), nan_ok=True)
    assert found["test"]["loss"] == pytest.approx(stored["loss"].mean(), rel=1e-5)


def test_counts_follow_from_the_predictions(run):
    stored, counts = np.load(run / "predictions.npz"), LabelCounts.read(run / "labels" / "test.json")
    labels, decided = stored["labels"].astype(int), stored["decided"].astype(int)
    assert counts.true == labels.sum(0).tolist()
    assert counts.right == (labels * decided).sum(0).tolist()
    both = np.zeros((10, 10), int)
    for first, second, images in counts.together:
        both[first, second] = images
    assert np.array_equal(both, np.triu(labels.T @ labels, 1))
    wrong = np.zeros((10, 10), int)
    for first, second, images in counts.mistaken:
        wrong[first, second] = images
    assert np.array_equal(wrong, labels.T @ (decided * (1 - labels)))


@pytest.mark.parametrize("name", ["checkpoints/best.ckpt", "weights.safetensors"])
def test_files_hold_the_thresholds(run, name):
    """Tested again from either file, with the thresholds of the validation."""
    assert training.evaluate(run / name) == pytest.approx(summary.read(run)["test"])
    task = training.load(run / name, task=training.MultiLabelClassifier)
    assert list(task.facts.thresholds) == pytest.approx(summary.read(run)["per_class"]["threshold"])
    assert len(set(task.facts.thresholds)) > 1


@pytest.mark.long
def test_resumed_to_the_same_bits(run, tmp_path):
    """Stopped after one of two epochs and resumed: the same weights, thresholds and metrics."""
    first = training.fit(training.prepare(experiment(tmp_path, epochs=1)))
    again = training.fit(training.prepare(experiment(tmp_path), first))
    one, other = (training.load(path / "weights.safetensors", task=None) for path in (run, again))
    assert one.facts == other.facts
    assert all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))
    assert summary.read(run)["test"] == summary.read(again)["test"]


def test_saliency_of_a_class(run, tmp_path):
    settings = config.SaliencyExport(method="rise", options={"masks": 4}, target="3", accelerator="cpu", workers=1)
    best = run / "checkpoints" / "best.ckpt"
    done = export_saliency(best, [], tmp_path / "maps", settings, split="test")
    rows = [json.loads(line) for line in done.manifest.read_text().splitlines()]
    stored = np.load(run / "predictions.npz")
    for row, probabilities, decided in zip(rows, stored["probabilities"], stored["decided"], strict=True):
        assert row["target_class"] == "3"
        assert row["probability"] == pytest.approx(probabilities.max(), abs=1e-4)
        assert row["decided"] == [str(label) for label in np.flatnonzero(decided)]
    with pytest.raises(ValueError, match="an image may have several classes; name one of them"):
        export_saliency(best, [], tmp_path / "true", config.SaliencyExport(target="true"), split="test")
    with pytest.raises(ValueError, match="finds several classes in an image, but measures of saliency"):
        judging.evaluate_saliency(best, methods=["grad_cam"], measures=["deletion_auc"], images=4)
    with pytest.raises(ValueError, match="trained for the task 'multi_label', not 'classification'"):
        training.load(best)


def test_runs_are_compared_by_map(run):
    found = comparison.compare([run])
    assert (found.metric, found.higher_is_better) == ("map", True)


@pytest.mark.long
def test_the_exported_file_says_what_it_returns(run, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from cv_attention.training.export.deployment import export

    done = export(run / "checkpoints" / "best.ckpt", "onnx", tmp_path / "net.onnx")
    stated = {entry.key: entry.value for entry in onnx.load(done.path).metadata_props}
    assert "the sigmoid of each is the probability" in stated["output"]
    assert len(json.loads(stated["facts"])["thresholds"]) == 10


def test_a_lower_loss_can_choose_the_epoch(tmp_path):
    """With one class per image, by binary cross-entropy of mixed labels, and a class that counts more."""
    changed = experiment(
        tmp_path,
        data=Data(batch_size=10, digits=DIGITS, mixup=0.2),
        loss=Loss("bce", target_threshold=0.2, class_weights={"3": 2.0}),
        trainer=Trainer(max_epochs=2, accelerator="cpu", precision="32-true", monitor="loss"),
        log=Log(root=str(tmp_path), name="bce", wandb="disabled", maps_every=0, metrics=["balanced_accuracy", "auroc"]),
    )
    run = training.fit(training.prepare(changed))
    found = summary.read(run)
    assert {"accuracy", "balanced_accuracy", "auroc"} <= found["test"].keys()
    assert found["selected"]["reason"] == "it has the best validation loss"
    assert sum(found["per_class"]["images"]) == 20
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    losses = [entry["best"] for name, entry in content["callbacks"].items() if "Checkpoints" in name]
    assert losses == [found["validation"]["loss"]] or found["validation"]["loss"] == pytest.approx(losses[0])


def test_numbers(tmp_path):
    """How many digits an image has: errors in digits, and the file that is exported returns digits."""
    changed = experiment(
        tmp_path,
        data=Data(targets="numbers", batch_size=10, digits=DIGITS),
        optimizer=Optimizer(lr=0.01),
        loss=Loss("huber"),
        trainer=Trainer(max_epochs=1, accelerator="cpu", precision="32-true"),
    )
    run = training.fit(training.prepare(changed))
    stored, found = np.load(run / "predictions.npz"), summary.read(run)
    error = stored["predicted"].astype(float) - stored["true"]
    assert found["test"]["mae"] == pytest.approx(np.abs(error).mean(), abs=1e-5)
    assert found["test"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()), abs=1e-5)
    assert found["test"]["r2"] == pytest.approx(1 - (error**2).mean() / stored["true"].var(), abs=1e-4)
    assert found["test"]["loss"] == pytest.approx(stored["loss"].mean(), abs=1e-5)
    assert comparison.compare([run]).higher_is_better is False
    task = training.load(run / "weights.safetensors", task=None)
    assert training.evaluate(run / "weights.safetensors") == pytest.approx(found["test"])
    from cv_attention.training.export.deployment import Deployed

    deployed = Deployed(task)
    images = deployed.example(3)["images"]
    with torch.no_grad():
        torch.testing.assert_close(deployed(images)[0], task(images).float(), rtol=1e-4, atol=1e-4)
    assert deployed.outputs == ["values"]


def test_hard_attention_is_refused():
    hard = Experiment(data=Data(targets="multi"), model=Model(backbone="convnet", block="hard", at="pool"))
    facts = training.LabelFacts(("a", "b"), (0.5,) * 3, (0.2,) * 3, (24, 24))
    with pytest.raises(ValueError, match="learned by the reward of the one right class"):
        training.MultiLabelClassifier(hard, facts)
