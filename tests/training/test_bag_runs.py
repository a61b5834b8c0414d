"""Training on bags: the run directory, its report, another test, resuming."""

import json

import numpy as np
import pytest
import torch

from cv_attention import config, training
from cv_attention.cli import main
from cv_attention.report.write.panels import _bags

OPTIONS = [
    "--data.name=digit_bags", "--data.bags.train=40", "--data.bags.val=12", "--data.bags.test=20",
    "--data.bags.side=16", "--data.batch_size=8", "--model.backbone=convnet", "--model.head=gated",
    "--model.options={widths: [8, 8], strides: [2, 2]}", "--trainer.max_epochs=2", "--trainer.accelerator=cpu",
    "--trainer.precision=32-true", "--trainer.extra={enable_progress_bar: false}", "--log.wandb=disabled",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    assert main(["fit", *OPTIONS, f"--log.root={root}", "--log.name=run"]) == 0
    return root / "run"


def test_the_run_says_what_was_trained_and_where_the_weight_is(run):
    said = json.loads((run / "summary.json").read_text())
    assert said["task"] == "bags"
    assert {"auroc", "accuracy", "loss", "weight_on_key", "weight_on_key_chance"} <= said["test"].keys()
    assert said["higher_is_better"] == {"auroc": True, "accuracy": True}
    assert said["data"]["bags"] == {"train": 40, "val": 12, "test": 20}
    assert 0.05 < said["test"]["weight_on_key_chance"] < 0.4
    assert said["finished"]
    arrays = np.load(run / "predictions.npz")
    assert len(arrays["label"]) == 20


def test_the_report_has_the_images_sorted_by_weight(run):
    bags = _bags(run / "bags.npz")
    assert len(bags) == 16
    assert {bag["label"] for bag in bags} == {0, 1}
    for bag in bags:
        weights = [image["weight"] for image in bag["images"]]
        assert weights == sorted(weights, reverse=True)
        assert abs(sum(weights) - 1) < 1e-3
        assert any(image["key"] == 1 for image in bag["images"]) == bool(bag["label"])
        assert all(image["url"].startswith("data:image/png;base64,") for image in bag["images"])
    assert list((run / "report/data/run0").glob("bags.*.js"))


def test_the_weights_are_those_of_the_network(run):
    task = training.load(run / "weights.safetensors", task=training.BagClassifier)
    module = training.preparation.data.create(task.experiment.data, seed=0)
    module.setup()
    batch = module.splits["test"].batch([(0, 0), (0, 1)])
    weights = task.weights(batch)
    values = task.network.encoder(task.normalise(batch["image"][batch["keep"]]))
    first = values[: int(batch["keep"][0].sum())]
    block = task.network.pool.block
    scores = (first @ block.key.weight[:, :, 0, 0].T).tanh() * (first @ block.opening.weight[:, :, 0, 0].T).sigmoid()
    torch.testing.assert_close(weights[0, : len(first)], (scores @ block.w[0]).softmax(0))
    assert (weights[~batch["keep"]] == 0).all()


def test_another_test_gives_the_same_figures(run, capsys):
    said = json.loads((run / "summary.json").read_text())["test"]
    found = training.evaluate(training.find_checkpoint(run))
    assert found == pytest.approx(said, abs=1e-5)
    assert main(["test", str(run)]) == 0
    assert "test weight on key" in capsys.readouterr().out


@pytest.mark.long
def test_a_resumed_run_is_equal_to_the_bit(run, tmp_path):
    options = [*OPTIONS, f"--log.root={tmp_path}", "--optimizer.schedule=null"]
    assert main(["fit", *options, "--log.name=whole", "--data.bags.most=6"]) == 0
    assert main(["fit", *options, "--log.name=part", "--data.bags.most=6", "--trainer.max_epochs=1"]) == 0
    assert main(["fit", "--resume", str(tmp_path / "part"), "--trainer.max_epochs=2"]) == 0
    states = [
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "part")
    ]
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"model": config.Model(backbone="convnet", head="pay_attention")},
            "head is pay_attention, but bags",
        ),
        ({"model": config.Model(backbone="convnet", head="gru")}, "head is gru, but bags take additive"),
        ({"data": config.Data(name="digit_bags", flip_test=True)}, "data.flip_test is True, but the task bags"),
    ],
)
def test_mistakes(options, words):
    facts = training.DataFacts(("a", "b"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
    with pytest.raises(ValueError, match=words):
        training.BagClassifier(config.Experiment(**options), facts)
