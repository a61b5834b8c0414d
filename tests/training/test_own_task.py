"""A task and a data module from outside the package, trained by our loop, against a loop written plainly."""

import json
import os
import signal
from dataclasses import replace

import lightning
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

from cv_attention import training
from cv_attention.cli import main
from cv_attention.config import Data, Experiment, Log, Model, Optimizer, Trainer
from cv_attention.data import DataModule
from cv_attention.report.read.facts import facts
from cv_attention.report.read.metrics import read_metrics
from cv_attention.report.read.run_directory import read_run
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.checkpoint import initial
from cv_attention.training.stopping.interruption import Terminated
from cv_attention.training.tasks.interface import TaskInterface
from tests.training.processes import differing, logged

EPOCHS, STEPS, BATCH, DECAY = 3, 4, 10, 0.8


class Split(Dataset):
    """Noisy squares; the target is how bright they are."""

    resident = True

    def __init__(self, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.targets = torch.rand(count, generator=generator)
        noise = torch.randint(-20, 21, (count, 3, 16, 16), generator=generator)
        self.images = (255 * self.targets.view(-1, 1, 1, 1) + noise).clamp(0, 255).to(torch.uint8)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, draws, device="cpu"):
        index = torch.tensor([position for _, position in draws])
        batch = {"image": self.images[index], "target": self.targets[index], "index": index}
        return {name: values.to(device) for name, values in batch.items()}


class Squares(DataModule):
    def __init__(self) -> None:
        super().__init__(batch_size=BATCH, seed=5)

    def setup(self, stage=None) -> None:
        if not self.splits:
            self.splits = {"train": Split(STEPS * BATCH, 1), "val": Split(15, 2), "test": Split(17, 3)}
            self.mean, self.std, self.image_size = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), (16, 16)


class Regressor(training.Task):
    name = "regression"
    criterion = training.Criterion("mse", higher_is_better=False)
    train_figures = ("absolute_error",)

    def build(self):
        return training.build_network(self.experiment.model, 1, self.facts.image_size)

    def training_step(self, batch, step):
        error = self.training_network(self.normalise(batch["image"]))[:, 0] - batch["target"]
        loss = error.square().mean()
        self.epoch_means.add(len(error), loss, absolute_error=error.abs().sum())
        return loss

    def validation_step(self, batch, step):
        self.log("val_mse", self.mse(batch), batch_size=len(batch["target"]))

    def test_step(self, batch, step):
        self.log("test_mse", self.mse(batch), batch_size=len(batch["target"]))

    def mse(self, batch):
        return functional.mse_loss(self(batch["image"])[:, 0], batch["target"])


def experiment(root, name="run", **log) -> Experiment:
    return Experiment(
        seed=3,
        model=Model(options={"width": 4}, block="se"),
        optimizer=Optimizer(name="SGD", lr=0.02, weight_decay=0.0, schedule=None, options={"momentum": 0.9}, ema=DECAY),
        trainer=Trainer(max_epochs=EPOCHS, accelerator="cpu", precision="32-true"),
        log=Log(root=str(root), name=name, wandb="disabled", every_n_steps=1, **log),
    )


def prepare(root, name="run", resume=None):
    return training.prepare(experiment(root, name), resume, task=Regressor, datamodule=Squares())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return training.fit(prepare(tmp_path_factory.mktemp("regression")))


@pytest.fixture(scope="module")
def summary(run):
    return json.loads((run / "summary.json").read_text())


def normalised(images):
    return ((images.float() - 127.5) / 63.75).contiguous(memory_format=torch.channels_last)


def error(network, split):
    with torch.no_grad():
        return functional.mse_loss(network(normalised(split.images))[:, 0], split.targets).item()


def _average(before, value, decay):
    return decay * before + (1 - decay) * value if value.is_floating_point() else value


@pytest.fixture(scope="module")
def plain():
    """The same training without our loop: its networks and averages after every epoch, its mean figures."""
    data = Squares()
    data.setup()
    lightning.seed_everything(3, verbose=False)
    network, _ = training.build_network(Model(options={"width": 4}, block="se"), 1, (16, 16))
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    train, average, step, epochs = data.splits["train"], None, 0, []
    for epoch in range(EPOCHS):
        batches, figures = data.train_dataloader()._batches, []
        batches.epoch = epoch
        network.train()
        for draws in batches:
            index = [position for _, position in draws]
            errors = network(normalised(train.images[index]))[:, 0] - train.targets[index]
            optimizer.zero_grad()
            errors.square().mean().backward()
            optimizer.step()
            figures += [torch.stack([errors.detach().square(), errors.detach().abs()])]
            step += 1
            decay = min(DECAY, 1 - step ** (-2 / 3))  # 0 in the first step
            state = {name: value.clone() for name, value in network.state_dict().items()}
            average = {name: _average((average or state)[name], value, decay) for name, value in state.items()}
        epochs.append((average, torch.cat(figures, 1).double().mean(1).tolist()))
    averaged: list[nn.Module] = []
    for average, _ in epochs:
        copy, _ = training.build_network(Model(options={"width": 4}, block="se"), 1, (16, 16))
        copy.load_state_dict(average)
        averaged.append(copy.eval())
    return data, averaged, [figures for _, figures in epochs]


def test_our_loop_trains_what_a_plain_loop_trains(run, summary, plain):
    data, averaged, figures = plain
    series = read_metrics(RunLayout(run)).series
    assert [at for at, _, _ in series["train_absolute_error"]] == [1, 2, 3]
    assert [value for _, _, value in series["train_loss_epoch"]] == pytest.approx([f[0] for f in figures], rel=1e-5)
    assert [value for _, _, value in series["train_absolute_error"]] == pytest.approx([f[1] for f in figures], rel=1e-5)
    errors = [error(network, data.splits["val"]) for network in averaged]
    assert [value for _, _, value in series["val_mse"]] == pytest.approx(errors, rel=1e-5)
    best = min(range(EPOCHS), key=errors.__getitem__)
    assert len(set(errors)) == EPOCHS
    assert errors[best] < max(errors)
    assert summary["selected"] == {"epoch": "best", "reason": "it has the best validation mse"}
    assert torch.load(run / "checkpoints/best.ckpt", weights_only=True)["epoch"] == best
    assert summary["validation"] == {"mse": pytest.approx(errors[best], rel=1e-5), "epoch": best + 1}
    assert summary["test"] == {"mse": pytest.approx(error(averaged[best], data.splits["test"]), rel=1e-5)}
    weights = load_file(run / "weights.safetensors")
    for name, value in averaged[best].state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-5, atol=1e-6)


def test_the_run_directory_is_complete_and_holds_nothing_of_classes(run, summary):
    names = {str(path.relative_to(run)) for path in run.rglob("*") if "report" not in path.parts and path.is_file()}
    assert names - {".lock"} == {
        "config.yaml", "summary.json", "weights.safetensors", "metrics/0/metrics.csv",
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", "checkpoints/previous.ckpt",
    }  # fmt: skip
    assert (run / "report/index.html").is_file()
    assert summary["task"] == "regression"
    assert summary["finished"]
    images = {"train": 40, "val": 15, "test": 17}
    assert summary["data"] == {"module": "Squares", "batch_size": BATCH, "images": images}
    shown = dict(facts(read_run(run)))
    assert (shown["Data"], shown["Batch size"]) == ("Squares", str(BATCH))
    assert summary["in_use"]["predictions_changed"] is None
    assert len(summary["in_use"]["blocks"]) == 9
    assert summary["higher_is_better"] == {"mse": False}
    assert "class_names" not in summary


def test_an_interrupted_run_ends_like_one_that_was_not(run, summary, tmp_path, monkeypatch, capsys):
    original, steps = Regressor.training_step, []

    def training_step(self, batch, number):
        steps.append(number)
        if len(steps) == STEPS + 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, number)

    monkeypatch.setattr(Regressor, "training_step", training_step)
    with pytest.raises(Terminated):
        training.fit(prepare(tmp_path, "cut"))
    monkeypatch.undo()
    cut = tmp_path / "cut"
    again = f"training.prepare(experiment, resume=Path('{cut}'), task=Regressor, ...)"
    printed = capsys.readouterr()
    assert f"stopped by SIGTERM after step 6; resume with: {again}" in printed.err
    assert "epoch 1 of 3: train loss " in printed.out
    assert "train absolute error" in printed.out
    assert "val mse" in printed.out
    assert training.fit(prepare(tmp_path, "cut", cut)) == cut
    for name in ("last", "best"):
        ours, theirs = (torch.load(r / f"checkpoints/{name}.ckpt", weights_only=True) for r in (cut, run))
        for part in ("state_dict", "trained_weights", "optimizer_states", "random_states", "epoch_means", "epoch"):
            assert not list(differing(ours[part], theirs[part], part))
    assert logged(cut) == logged(run)
    assert json.loads((cut / "summary.json").read_text())["test"] == summary["test"]


def test_a_network_is_loaded_as_its_own_task_alone(run, summary, tmp_path, capsys):
    for file in ("checkpoints/best.ckpt", "weights.safetensors"):
        assert training.evaluate(run / file, task=Regressor, datamodule=Squares()) == pytest.approx(summary["test"])
        with pytest.raises(ValueError, match=rf"{file} was trained for the task 'regression', not 'classification'; "):
            training.load(run / file)
    with pytest.raises(ValueError, match=r"last\.ckpt was trained for the task 'regression', not 'classification'"):
        training.prepare(replace(experiment(tmp_path), trainer=Trainer(max_epochs=9)), run)
    assert (run / "checkpoints/last.ckpt").is_file()
    assert main(["test", str(run)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ValueError, match="the task regression writes no predictions"):
        training.evaluate(run / "weights.safetensors", None, tmp_path / "p.npz", task=Regressor, datamodule=Squares())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": Data(mixup=0.2)}, "data.mixup is 0.2, but the task regression does not use it"),
        ({"optimizer": Optimizer(label_smoothing=0.1)}, "optimizer.label_smoothing is 0.1, but the task regression"),
        ({"log": Log(metrics=["torchmetrics.MeanSquaredError"])}, "log.metrics is .* but the task regression"),
    ],
)
def test_options_that_a_task_does_not_use_are_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        training.prepare(replace(experiment(tmp_path), **change), task=Regressor, datamodule=Squares())
    assert not list(tmp_path.iterdir())


def test_a_classifiers_weights_start_another_task_without_their_head(tiny_checkpoint):
    model = Model(options={"width": 4}, block="cbam", weights=str(tiny_checkpoint))
    network, _ = training.build_network(model, 1, (32, 32))
    assert initial.start(network, model, None) == [f"weights: {tiny_checkpoint}; the head is reinitialized, at zero"]
    assert not network.get_parameter("fc.weight").any()
    before = torch.load(tiny_checkpoint, weights_only=True)["state_dict"]["network.conv1.weight"]
    assert torch.equal(network.get_parameter("conv1.weight"), before)


def test_the_interface_presupposes_no_classes():
    """What a task need not say: a task of which nothing is known has no classes and no recorders."""
    unknown = TaskInterface()
    assert unknown.output_names() is None
    assert unknown.guess() is None
    assert unknown.recorders(None) == unknown.techniques() == unknown.prediction_writers(None) == []  # pyright: ignore
    assert unknown.figures({"test_cer": 0.5}, None) == {"cer": 0.5}
