"""Comparisons are paired: a seed gives the same backbone and the same batches, whatever block is inserted."""

import random

import numpy as np
import pytest
import torch

from cv_attention import data
from cv_attention.config import Data, Digits, Experiment, Model, Optimizer
from cv_attention.rundir.facts import DataFacts
from cv_attention.training.tasks.classifier import Classifier
from tests.quick import quick_first

BLOCKS = [
    "se", "cbam", "eca", "simam", "coordinate", "bam", "non_local", {"name": "cbam", "reduction": 2},
    {"class_path": "tests.training.noise.Noise"},
]  # fmt: skip


def built(block, init="plain"):
    """A network, and what the generators hold after it was built; then two batches."""
    import lightning

    lightning.seed_everything(3, verbose=False)
    experiment = Experiment(seed=3, model=Model(options={"width": 4}, block=block, init=init))
    facts = DataFacts(tuple("0123456789"), (0.5,) * 3, (0.2,) * 3, (32, 32))
    network = Classifier(experiment, facts).network
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    module = data.create(Data(batch_size=8, digits=Digits(40, 10, 10, canvas=32, digit=16)), seed=experiment.seed)
    module.setup()
    batches = [batch["index"].tolist() for batch in module.train_dataloader()]
    return network.state_dict(), states, batches


@pytest.fixture(scope="module")
def plain():
    return built(None)


@pytest.mark.parametrize("init", quick_first(["plain", "identity"]))
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_backbone_and_batches_do_not_depend_on_the_block(block, init, plain):
    weights, states, batches = built(block, init)
    assert len(weights) > len(plain[0]) or block == "simam"
    for name, value in plain[0].items():
        assert torch.equal(weights[name], value), name
    assert states == plain[1]
    assert batches == plain[2]


def test_the_fingerprint_is_the_configurations():
    one, other = Experiment(), Experiment(optimizer=Optimizer(lr=0.2))
    assert one.fingerprint() == Experiment().fingerprint() != other.fingerprint()
    one.log.name = "another name"  # decides nothing
    assert one.fingerprint() == Experiment().fingerprint()
    assert len(one.fingerprint()) == 12


def test_every_result_says_what_made_it(tiny_run, tiny_summary):
    import cv_attention
    from cv_attention.training.checkpoint import weights

    checkpoint = torch.load(tiny_run / "checkpoints/best.ckpt", weights_only=True)
    stored = weights.read(tiny_run / "weights.safetensors")
    about = checkpoint["provenance"]
    assert tiny_summary["provenance"] == stored["provenance"] == about
    assert about["config"] == Experiment.fingerprint(_experiment(checkpoint))
    assert about["cv_attention"].startswith(cv_attention.__version__)


def _experiment(checkpoint):
    from cv_attention.config.plain import from_plain

    return from_plain(Experiment, checkpoint["experiment"])


def test_a_summary_says_on_what_the_run_was_trained(tiny_run, tiny_summary):
    import csv
    import platform

    machine = tiny_summary["hardware"]
    assert (machine["accelerator"], machine["devices"], machine["precision"]) == ("cpu", 1, "32-true")
    assert machine["threads"] == torch.get_num_threads()
    assert machine["device"] not in ("", platform.node())
    assert tiny_summary["data"]["images"] == {"train": 60, "val": 20, "test": 30}
    [path] = (tiny_run / "metrics").glob("*/metrics.csv")
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("val_accuracy")]
    best = max(rows, key=lambda row: float(row["val_accuracy"]))  # the first of several
    best = best if tiny_summary["selected"]["epoch"] == "best" else rows[-1]
    validation = tiny_summary["validation"]
    assert validation["epoch"] == int(best["epoch"]) + 1
    assert validation["accuracy"] == pytest.approx(float(best["val_accuracy"]))
    assert validation["loss"] == pytest.approx(float(best["val_loss"]))
