from pathlib import Path

import pytest

from cv_attention.cli import main

# A run of seconds: 60 strings of up to three digits, a plain convolutional network and a narrow GRU.
TINY = [
    "--data.name=digit_strings", "--data.strings.train=60", "--data.strings.val=20", "--data.strings.test=30",
    "--data.strings.longest=3", "--data.batch_size=20", "--model.backbone=convnet",
    "--model.head={name: gru, width: 32}", "--optimizer.name=adamw", "--optimizer.lr=0.002", "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu", "--trainer.precision=32-true", "--trainer.extra={enable_progress_bar: false}",
    "--log.wandb=disabled", "--log.probes=4",
]  # fmt: skip


@pytest.fixture(scope="session")
def tiny_options():
    return TINY


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """The run directory of a finished training."""
    root = tmp_path_factory.mktemp("runs")
    assert main(["fit", *TINY, f"--log.root={root}", "--log.name=tiny"]) == 0
    return root / "tiny"


@pytest.fixture
def transcriber(tiny_run):
    """Its task, with weights that read different texts from different images, and look all over them."""
    import torch

    from cv_attention import training

    task = training.load(training.find_checkpoint(tiny_run), task=training.Transcriber)
    torch.manual_seed(0)
    for name, parameter in task.network.head.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1 if "embedding" in name else 1.0)
    return task.eval()
