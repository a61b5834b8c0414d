"""How much of a bare PyTorch loop's speed is left in ``cv-attention fit``: same model, same images in memory, in turns.

    python benchmarks/training_loop.py [--backbone resnet20 | timm/resnet18 | empty] [--rounds 5] [--steps 30]
    python benchmarks/training_loop.py --against float32      # bf16 with channels_last compared with plain float32

Both sides take the same uint8 images, normalise and train at 32×32, batch 128, SGD with Nesterov momentum and a
per-step cosine schedule, and note the loss every 50 steps. `fit`'s side is the whole machinery: data module, Trainer,
loggers, checkpoints. `empty` is one linear layer on a corner pixel: what is left is the cost of the loop itself. Each
round times a stretch of steps of both, in alternating order; the figure is the median of the rounds'.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial

import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from cv_attention import training
from cv_attention.config import Data, Digits, Experiment, Log, Model, Optimizer, Trainer

BATCH = 128


class StepClock(Callback):
    """Seconds of the training steps alone, without start-up, validation and test."""

    def on_train_epoch_start(self, trainer, pl_module):
        self.start = time.perf_counter()

    def on_validation_start(self, trainer, pl_module):
        self.seconds = time.perf_counter() - self.start


class Empty(nn.Module):
    """Ten logits of one pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images[:, :, 0, 0])


def prepare(backbone: str, precision: str, channels_last: bool, steps: int, root: str) -> training.Prepared:
    digits = Digits(train=BATCH * steps, val=20, test=20, canvas=32, digit=16, clutter=2)
    name = "resnet20" if backbone == "empty" else backbone
    prepared = training.prepare(
        Experiment(
            data=Data(name="cluttered_digits", batch_size=BATCH, digits=digits),
            model=Model(backbone=name, channels_last=channels_last),
            optimizer=Optimizer(name="sgd", lr=0.05),
            trainer=Trainer(
                max_epochs=1, accelerator="cpu", devices=1, precision=precision, extra={"enable_progress_bar": False}
            ),
            log=Log(root=root, maps_every=0, wandb="disabled"),
        )
    )
    if backbone == "empty":
        prepared.task.network = Empty()
    return prepared


def fit_seconds(backbone: str, precision: str, channels_last: bool, steps: int, root: str) -> float:
    """Seconds a step of ``fit``."""
    prepared = prepare(backbone, precision, channels_last, steps, root)
    clock = StepClock()
    prepared.trainer.callbacks.append(clock)  # pyright: ignore[reportAttributeAccessIssue]
    with contextlib.redirect_stdout(io.StringIO()):
        prepared.trainer.fit(prepared.task, datamodule=prepared.datamodule)
    return clock.seconds / steps


def bare_seconds(backbone: str, precision: str, channels_last: bool, steps: int, root: str) -> float:
    """Seconds a step of a loop that does nothing but train."""
    prepared = prepare(backbone, precision, channels_last, steps, root)
    split = prepared.datamodule.splits["train"]
    images = torch.stack([torch.as_tensor(sample["image"]) for sample in split])
    labels = torch.tensor([int(sample["label"]) for sample in split])
    network = prepared.task.network.train()
    mean, std = (255 * torch.tensor(v).view(3, 1, 1) for v in (prepared.datamodule.mean, prepared.datamodule.std))
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order, losses = torch.randperm(len(images)), []
    start = time.perf_counter()
    for step in range(steps):
        chosen = order[BATCH * step : BATCH * (step + 1)]
        inputs = ((images[chosen] - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = nn.functional.cross_entropy(network(inputs), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            losses.append(loss.item())
    return (time.perf_counter() - start) / steps


def compare(sides: dict[str, Callable[[int, str], float]], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds a step of each side, in each round."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as root:
        for seconds in sides.values():  # warm-up, not counted
            seconds(3, root)
        for turn in range(rounds):
            for name, seconds in list(sides.items())[:: -1 if turn % 2 else 1]:
                found[name].append(seconds(steps, root))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet20")
    parser.add_argument("--against", choices=("bare", "float32"), default="bare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.against == "float32":
        first, second = "fit, bf16, channels_last", "fit, float32"
        sides = {
            first: partial(fit_seconds, options.backbone, "bf16-mixed", True),
            second: partial(fit_seconds, options.backbone, "32-true", False),
        }
    else:
        first, second = "fit", "bare loop"
        sides = {
            first: partial(fit_seconds, options.backbone, "32-true", True),
            second: partial(bare_seconds, options.backbone, "32-true", True),
        }
    found = compare(sides, options.rounds, options.steps)
    for name, seconds in found.items():
        middle = statistics.median(seconds)
        print(f"{name:<25} median {BATCH / middle:9.1f} images/s, {1e6 * middle:9.0f} µs a step")
    pairs = list(zip(found[first], found[second], strict=True))
    rates = [theirs / ours for ours, theirs in pairs]
    above = [1e6 * (ours - theirs) for ours, theirs in pairs]
    print(f"rate of {first} / {second}: median {statistics.median(rates):.3f} ({min(rates):.3f} to {max(rates):.3f})")
    print(f"µs a step above: median {statistics.median(above):.0f} ({min(above):.0f} to {max(above):.0f})")
    print(f"{options.backbone}, {options.rounds} rounds of {options.steps} steps, {options.threads} threads")


if __name__ == "__main__":
    main()
