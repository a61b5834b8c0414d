"""A non-finite loss stops training, with a message that names the step."""

import json

import pytest
import torch

from cv_attention.cli import main
from cv_attention.training.tasks.classifier import Classifier
from tests.quick import quick_first


@pytest.mark.parametrize("value", quick_first([float("nan"), float("inf")]))
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_no_number_stops_with_its_step_and_images(
    value, accumulate, tiny_options, tmp_path, monkeypatch, capsys
):
    """Three batches an epoch, so step 1 and batch 5 of six; losses are read every second step."""
    original, seen = Classifier.training_step, []

    def training_step(self, batch, number):
        seen.append(sorted(batch["index"].tolist()))
        return original(self, batch, number) * (value if len(seen) == 5 else 1)

    monkeypatch.setattr(Classifier, "training_step", training_step)
    options = [*tiny_options, f"--trainer.accumulate_grad_batches={accumulate}", "--log.wandb=disabled"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 1
    step = {1: 4, 2: 2}[accumulate]  # with accumulation the epochs have two steps each: batches 0 and 1, batch 2
    about = json.loads((tmp_path / "run/nonfinite.json").read_text())
    assert about == {"step": step, "epoch": 1, "loss": str(value), "images": seen[4]}
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"the loss is {value} at step {step} of epoch 1, on the training images {seen[4][0]}, {seen[4][1]}" in said
    good = tmp_path / "run/checkpoints/last.ckpt"
    reached = torch.load(good, weights_only=True)["global_step"]
    assert f"the last good checkpoint is {good} of step {reached}" in said
    assert reached == {1: 3, 2: 2}[accumulate]


def test_a_weight_that_is_no_number_is_not_saved(tiny_options, tmp_path, monkeypatch, capsys):
    """The loss of the epoch's last step is right; what the optimizer makes of it is not."""
    original = Classifier.optimizer_step

    def optimizer_step(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if self.global_step == 3 - 1:
            next(self.parameters()).data[0] = float("nan")

    monkeypatch.setattr(Classifier, "optimizer_step", optimizer_step)
    options = [*tiny_options, "--log.wandb=disabled", "--log.maps_every=0"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 1
    assert "a weight is not finite after step 3; there is no checkpoint yet" in capsys.readouterr().err
    assert not list(tmp_path.glob("run/checkpoints/*.ckpt"))


def test_the_device_is_read_at_log_steps_and_checkpoints_only(tiny_options, tmp_path, monkeypatch):
    reads = []
    for name in ("item", "__float__", "__bool__", "__int__", "tolist"):
        original = getattr(torch.Tensor, name)

        def read(tensor, *args, original=original, name=name):
            if inside:
                reads.append(name)
            return original(tensor, *args)

        monkeypatch.setattr(torch.Tensor, name, read)
    inside: list[int] = []
    per_step = {}
    from cv_attention.training.callbacks.losses import Losses

    original_end = Losses.on_train_batch_end

    def on_train_batch_end(self, trainer, *args):
        inside.append(1)
        before = len(reads)
        original_end(self, trainer, *args)
        per_step[trainer.global_step] = len(reads) - before
        inside.clear()

    monkeypatch.setattr(Losses, "on_train_batch_end", on_train_batch_end)
    options = [*tiny_options, "--log.wandb=disabled", "--log.maps_every=0", "--log.every_n_steps=3"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    assert {step: bool(count) for step, count in per_step.items()} == {
        step: step % 3 == 0 for step in range(1, 7)
    }  # fmt: skip
