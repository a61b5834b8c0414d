"""How much of a bare PyTorch loop's speed is left in ``cv-attention fit``: same model, same images in memory, in turns.

    python benchmarks/training_loop.py [--rounds 5] [--steps 30]

Both sides take the same uint8 images, normalise and train ResNet-20 at 32×32, batch 128, SGD with Nesterov momentum
and a per-step cosine schedule. `fit`'s side is the whole machinery: data module, Trainer, loggers, checkpoints, bar.
Each round times a stretch of steps of both, in alternating order; the figure is the median of the rounds' ratios.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time

import torch
import wandb
from lightning.pytorch.callbacks import Callback
from torch import nn

from cv_attention import training
from cv_attention.config import Data, Digits, Experiment, Log, Model, Optimizer, Trainer


class StepClock(Callback):
    """Seconds of the training steps alone, without start-up, validation and test."""

    def on_train_epoch_start(self, trainer, pl_module):
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer, pl_module):
        self.seconds = time.perf_counter() - self.start


def experiment(steps: int, root: str) -> Experiment:
    digits = Digits(train=128 * steps, val=20, test=20, canvas=32, digit=16, clutter=2)
    return Experiment(
        data=Data(name="cluttered_digits", batch_size=128, digits=digits),
        model=Model(backbone="resnet20"),
        optimizer=Optimizer(name="sgd", lr=0.05),
        trainer=Trainer(max_epochs=1, accelerator="cpu", devices=1),
        log=Log(root=root, maps_every=0),
    )


def fit_rate(steps: int, root: str) -> float:
    """Images per second of ``fit``."""
    prepared = training.prepare(experiment(steps, root))
    clock = StepClock()
    prepared.trainer.callbacks.append(clock)
    with contextlib.redirect_stdout(io.StringIO()):
        prepared.trainer.fit(prepared.classifier, datamodule=prepared.datamodule)
    wandb.finish()
    return 128 * steps / clock.seconds


def bare_rate(steps: int, root: str) -> float:
    """Images per second of a loop that does nothing but train."""
    prepared = training.prepare(experiment(steps, root))
    split = prepared.datamodule.splits["train"]
    images = torch.stack([torch.as_tensor(sample["image"]) for sample in split])
    labels = torch.tensor([int(sample["label"]) for sample in split])
    network = prepared.classifier.network.train()
    mean, std = (255 * torch.tensor(v).view(3, 1, 1) for v in (prepared.datamodule.mean, prepared.datamodule.std))
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = torch.randperm(len(images))
    start = time.perf_counter()
    for step in range(steps):
        chosen = order[128 * step : 128 * (step + 1)]
        inputs = ((images[chosen] - mean) / std).contiguous(memory_format=torch.channels_last)
        loss = nn.functional.cross_entropy(network(inputs), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return 128 * steps / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sides = {"fit": fit_rate, "bare loop": bare_rate}
    found: dict[str, list[float]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as root:
        for rate in sides.values():  # warm-up, not counted
            rate(3, root)
        for turn in range(options.rounds):
            for name, rate in sorted(sides.items(), reverse=turn % 2 == 1):
                found[name].append(rate(options.steps, root))
    ratios = [a / b for a, b in zip(found["fit"], found["bare loop"], strict=True)]
    for name, rates in found.items():
        print(f"{name:<10} median {statistics.median(rates):8.1f} images/s")
    print(f"{'ratio':<10} median {statistics.median(ratios):8.3f}  (min {min(ratios):.3f}, max {max(ratios):.3f})")
    print(f"{options.rounds} rounds of {options.steps} steps, {options.threads} threads, torch {torch.__version__}")


if __name__ == "__main__":
    main()
