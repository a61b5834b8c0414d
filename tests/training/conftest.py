import json
from pathlib import Path

import pytest

from cv_attention.cli import main

# A run of seconds: 60 small pictures, a narrow ResNet-20 with a channel and a spatial gate.
TINY = [
    "--data.digits.train=60", "--data.digits.val=20", "--data.digits.test=30", "--data.digits.canvas=32",
    "--data.digits.digit=16", "--data.digits.clutter=2", "--data.batch_size=20",
    "--model.options={width: 4}", "--optimizer.lr=0.05", "--trainer.max_epochs=2", "--trainer.accelerator=cpu",
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
