import json
from pathlib import Path

import pytest

from cv_attention.cli import main

# A run of seconds: 60 small pictures, a narrow ResNet-20 with a channel and a spatial gate.
TINY = [
    "--data.digits.train=60", "--data.digits.val=20", "--data.digits.test=30", "--data.digits.canvas=32",
    "--data.digits.digit=16", "--data.digits.clutter=2", "--data.batch_size=20",
    "--model.options={width: 4}", "--optimizer.lr=0.05", "--trainer.max_epochs=2", "--trainer.accelerator=cpu",
    "--trainer.precision=32-true",  # the same numbers on every machine
    "--trainer.extra={enable_progress_bar: false}", "--log.every_n_steps=2", "--log.probes=4",
]  # fmt: skip


@pytest.fixture(scope="session")
def tiny_options():
    return TINY


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """The run directory of a finished training with CBAM."""
    root = tmp_path_factory.mktemp("runs")
    assert main(["fit", *TINY, "--model.block=cbam", f"--log.root={root}", "--log.name=tiny"]) == 0
    return root / "tiny"


@pytest.fixture(scope="session")
def tiny_summary(tiny_run) -> dict:
    return json.loads((tiny_run / "summary.json").read_text())


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """The checkpoint of a narrow, untrained ResNet-20 with CBAM, for 32x32 images of ten classes."""
    return save_untrained(tmp_path_factory.mktemp("checkpoint") / "tiny.ckpt", "cbam")


@pytest.fixture(scope="session")
def plain_checkpoint(tmp_path_factory) -> Path:
    """The same without attention."""
    return save_untrained(tmp_path_factory.mktemp("checkpoint") / "plain.ckpt", None)


def save_untrained(path: Path, block: str | None) -> Path:
    from dataclasses import asdict

    import torch

    from cv_attention.config import Data, Experiment, Model
    from cv_attention.training import Classifier, DataFacts

    torch.manual_seed(0)
    digits = {"train": 60, "val": 20, "test": 30, "canvas": 32, "digit": 16, "clutter": 2}
    experiment = Experiment(data=Data(), model=Model(options={"width": 4}, block=block))
    for name, value in digits.items():
        setattr(experiment.data.digits, name, value)
    facts = DataFacts(tuple("0123456789"), (0.1, 0.1, 0.1), (0.3, 0.3, 0.3), (32, 32))
    classifier = Classifier(experiment, facts)
    for parameter in classifier.parameters():
        if parameter.ndim == 1:  # branches start at 0, which would make every map a constant
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    content = {"experiment": experiment.to_dict(), "facts": asdict(facts), "state_dict": classifier.state_dict()}
    torch.save(content, path)
    return path
