"""What a fit tests is what it saves, whatever swaps weights or changes the network around a validation."""

import json
import signal
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch

from cv_attention import data, training
from cv_attention.cli import main
from cv_attention.recording.faithfulness import faithfulness_curves
from cv_attention.training.callbacks.averaging import MovingAverage
from tests.training.processes import End, logged, train
from tests.training.test_techniques import Linear
from tests.training.test_techniques import train as train_linear

EMA = "--optimizer.ema=0.9"
QUICK = ["--log.wandb=disabled", "--log.maps_every=0"]

TECHNIQUES = {
    "ema": [EMA],
    "ema of a mixed training": [
        EMA, "--data.mixup=0.4", "--data.cutmix=1", "--data.flip_test=true", "--optimizer.label_smoothing=0.1",
    ],
    "ema of frozen weights": [EMA, "--model.block=cbam", "--model.train=blocks"],
    "ema of accumulated steps": [EMA, "--trainer.accumulate_grad_batches=2", "--trainer.gradient_clip_val=1"],
    "ema in bfloat16": [EMA, "--trainer.precision=bf16-mixed", "--model.channels_last=false"],
    "bfloat16 with small images first": ["--trainer.precision=bf16-mixed", "--data.progressive={0: 16, 1: 32}"],
    "automatic precision": ["--trainer.precision=auto"],
    "dropped paths and rows": ["--model.options={width: 4, drop_path_rate: 0.2}", "--data.balanced=true"],
}  # fmt: skip


def figures(run: Path) -> list[dict[str, float]]:
    """The test figures of the summary, of the run, of its best checkpoint, and of its safetensors file."""
    summary = json.loads((run / "summary.json").read_text())["test"]
    files = [training.find_checkpoint(run), run / "checkpoints/best.ckpt", run / "weights.safetensors"]
    return [summary, *(training.evaluate(file) for file in files)]


def assert_tested_what_is_saved(run: Path) -> None:
    first, *others = figures(run)
    assert all(other == first for other in others), (first, others)  # to the bit


def validated_again(run: Path) -> dict[str, float]:
    """The validation figures of the best checkpoint."""
    classifier = training.load(training.find_checkpoint(run))
    module = data.create(classifier.experiment.data, seed=classifier.experiment.seed)
    module.setup()
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, precision=classifier.experiment.trainer.precision, logger=False,  # pyright: ignore
        enable_checkpointing=False, enable_progress_bar=False, use_distributed_sampler=False,
    )  # fmt: skip
    [found] = trainer.validate(classifier, datamodule=module, verbose=False)
    return dict(found)


def validated(run: Path) -> dict[str, float]:
    """The logged figures of the epoch that was saved as the best one."""
    epoch = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["epoch"]
    [row] = [row for row in logged(run) if "val_loss" in row and int(row["epoch"]) == epoch]
    return {name: float(value) for name, value in row.items() if name.startswith("val_")}


AT_ONCE = ("ema",)  # the others train in the long tests


@pytest.mark.parametrize(
    "options",
    [pytest.param(TECHNIQUES[n], id=n, marks=() if n in AT_ONCE else pytest.mark.long) for n in TECHNIQUES],
)
def test_the_summary_is_of_the_saved_weights(options, tiny_options, tmp_path):
    assert main(["fit", *tiny_options, *QUICK, *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    assert_tested_what_is_saved(tmp_path / "run")
    assert validated_again(tmp_path / "run") == validated(tmp_path / "run")


@pytest.mark.long
def test_the_summary_of_a_compiled_training_is_of_the_saved_weights(tiny_options, tmp_path):
    options = [*tiny_options, *QUICK, EMA, "--trainer.compile=true", "--trainer.max_epochs=1"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    assert_tested_what_is_saved(tmp_path / "run")


@pytest.mark.long
def test_a_resumed_run_tests_the_saved_weights(tiny_options, tmp_path):
    options = [*tiny_options, *QUICK, EMA, "--trainer.max_epochs=1", f"--log.root={tmp_path}", "--log.name=run"]
    assert main(["fit", *options]) == 0
    assert main(["fit", "--resume", str(tmp_path / "run"), "--trainer.max_epochs=3"]) == 0
    assert_tested_what_is_saved(tmp_path / "run")
    assert validated_again(tmp_path / "run") == validated(tmp_path / "run")


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGUSR1])
def test_a_test_that_was_stopped_is_made_up_for_with_the_saved_weights(how, tiny_options, tmp_path):
    options = ["fit", *tiny_options, *QUICK, EMA, f"--log.root={tmp_path}", "--log.name=run"]
    run, said = tmp_path / "run", tmp_path / "said.txt"
    assert train(options, said, End("test", 1, how)) == 128 + how
    last = said.read_text().strip().splitlines()[-1]
    assert last == f"stopped by {how.name} in the test; resume with: cv-attention fit --resume {run}"
    assert "Traceback" not in said.read_text()
    assert main(["fit", "--resume", str(run)]) == 0
    assert_tested_what_is_saved(run)


@pytest.mark.long
def test_the_last_faithfulness_is_of_the_averaged_network(tiny_options, tmp_path):
    options = [*tiny_options, EMA, "--model.block=cbam", "--log.wandb=disabled", "--log.curve_points=4"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    maps, last = tmp_path / "run/maps", tmp_path / "run/checkpoints/last.ckpt"
    found = json.loads((maps / "faithfulness.json").read_text())["curves"]["Grad-CAM"]["deletion"]["auc"]
    about = json.loads((maps / "epoch-0001.json").read_text())["columns"]
    [key] = [key for key, column in about.items() if column["kind"] == "grad_cam"]
    heats = {"Grad-CAM": torch.from_numpy(np.load(maps / "epoch-0001.npz")[key])}
    classifier = training.load(last)
    split = data.create(classifier.experiment.data, seed=0)
    split.setup()
    from cv_attention.training.recording.probes import spread_over_classes

    chosen = spread_over_classes(split.splits["val"].images.labels, 4)
    inputs = classifier.normalise(split.splits["val"].batch([(0, index) for index in chosen])["image"])

    def deletion() -> list[float]:
        judged = faithfulness_curves(classifier.network, inputs, heats, 4, classifier.facts.mean, epoch=1)
        return judged.curves["Grad-CAM"]["deletion"]["auc"]

    assert found == pytest.approx(deletion(), abs=2e-5)
    classifier.network.load_state_dict(torch.load(last, weights_only=True)["trained_weights"])
    assert found != pytest.approx(deletion(), abs=2e-5)


class Failing(lightning.Callback):
    def on_validation_batch_end(self, *_, **__):
        raise RuntimeError("somebody's callback")


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_validation_that_fails_leaves_the_trained_network_in_its_place(tmp_path):
    module, average = Linear(), MovingAverage(0.5)
    network = module.network
    with pytest.raises(RuntimeError, match="somebody's callback"):
        train_linear(module, tmp_path, [Failing(), average])
    assert module.network is network
    assert module.network.weight.item() == pytest.approx(1 - 0.1 * (1 + 2 + 3 + 4), abs=1e-6)
    assert average.average is not None
    assert average.average.module is not network


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*`test_step`")
def test_a_checkpoint_by_itself_is_validated_and_tested_as_it_is(tmp_path):
    """The same trainer, with the average of a fit still in its callbacks."""

    class Tested(Linear):
        def test_step(self, batch, step):
            self.seen.append(self.network.weight.item())

        def test_dataloader(self):
            return self.trainer.val_dataloaders

    module, average = Tested(), MovingAverage(0.5)
    fitted = train_linear(module, tmp_path, [average])
    fitted.save_checkpoint(tmp_path / "some.ckpt")
    content = torch.load(tmp_path / "some.ckpt", weights_only=True)
    content["state_dict"]["network.weight"].fill_(7.0)
    torch.save(content, tmp_path / "some.ckpt")
    loader = torch.utils.data.DataLoader(torch.zeros(2, 1))  # pyright: ignore[reportArgumentType]
    module.seen.clear()
    fitted.validate(module, loader, ckpt_path=tmp_path / "some.ckpt", verbose=False)
    fitted.test(module, loader, ckpt_path=tmp_path / "some.ckpt", verbose=False)
    assert module.seen == [7.0] * 4


@pytest.mark.long
def test_two_processes_validate_the_average_that_is_saved(tiny_options, tmp_path):
    """Each process has batch statistics of its own; those of the first are saved."""
    options = ["fit", *tiny_options, *QUICK, EMA, "--trainer.strategy=ddp", "--trainer.devices=2"]
    options += [f"--log.root={tmp_path}", "--log.name=run"]
    said = tmp_path / "said.txt"
    assert train(options, said, processes=2) == 0, said.read_text()
    first, *others = figures(tmp_path / "run")
    assert all(other == pytest.approx(first, rel=1e-5) for other in others)
    assert validated_again(tmp_path / "run") == pytest.approx(validated(tmp_path / "run"), rel=1e-5)
