"""Carries out an export on all devices, through Lightning's `Trainer.predict`."""

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Protocol, TypeVar

import lightning
from lightning.pytorch.callbacks import Callback
from torch import nn

from cv_attention.exporting.batches import Batch, Batches, ShardBatches
from cv_attention.exporting.progress import ImageProgress
from cv_attention.exporting.sources import Item
from cv_attention.exporting.verification import missing
from cv_attention.training.stopping.ending import raising_keyboard_interrupt
from cv_attention.training.stopping.interruption import Interruption, silence_lightning
from cv_attention.training.trainer import quieten

Outcome = TypeVar("Outcome")


class Settings(Protocol):
    """What every export's configuration says of batches, shards and devices."""

    batch_size: int
    shard_size: int
    workers: int
    accelerator: str
    devices: int | str
    num_nodes: int
    strategy: str
    precision: str


class Writer(Protocol):
    """Writes the shards of a process in the background.

    Attributes:
        out: Folder of the export.
        stopped: Set when nothing more can be written.
        error: The reason.
    """

    out: Path
    stopped: Event
    error: str

    def open(self) -> None:
        """Starts its threads; called in the writing process."""
        ...

    def close(self) -> None:
        """Waits until everything is written."""
        ...


class Work(lightning.LightningModule):
    """Processes the batches of this process and passes the results to its writer.

    Args:
        network: What is used of a trained network.
        config: Batches, shards and devices.
        items: All images.
        writer: Writes the shards.

    Attributes:
        verb: What is done to images, for the progress bar.
        shards: Number of shards.
        interruption: Receives signals; `carry_out` sets it.
    """

    verb = "processing"
    interruption: Interruption

    def __init__(self, network: nn.Module, config: Settings, items: list[Item], writer: Writer) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer shards than devices
        self.network, self.config, self.items, self.writer = network, config, items, writer
        self.shards = -(-len(items) // config.shard_size)

    def batches(self, parts: ShardBatches, stopped: Callable[[], bool]) -> Batches:
        """Decodes the images of batches as the network takes them.

        Args:
            parts: The batches.
            stopped: Ends the iteration early once it returns True.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement batches()")

    def process(self, batch: Batch) -> None:
        """Computes the results of one batch and passes them to the writer."""
        raise NotImplementedError(f"{type(self).__name__} must implement process()")

    def finish(self) -> None:
        """Merges all shards, in the first process, once all processes have written theirs."""
        raise NotImplementedError(f"{type(self).__name__} must implement finish()")

    def images_of(self, shards: Sequence[int]) -> int:
        """Counts the images of these shards; the last shard may be smaller."""
        size = self.config.shard_size
        return sum(min(size, len(self.items) - shard * size) for shard in shards)

    def predict_dataloader(self) -> Batches:
        """Divides the missing shards as seen by process 0; others would see files being written meanwhile."""
        config, trainer, out = self.config, self.trainer, self.writer.out
        left = missing(out, self.shards) if trainer.is_global_zero else []
        left = trainer.strategy.broadcast(left)
        rank = {"rank": trainer.global_rank, "world_size": trainer.world_size}
        parts = ShardBatches(len(self.items), config.shard_size, config.batch_size, left, **rank)
        return self.batches(parts, lambda: self.interruption.received > 0 or self.writer.stopped.is_set())

    def on_predict_start(self) -> None:
        """Opens the writer in this process."""
        self.interruption.follow_fork()
        self.writer.open()

    def on_predict_end(self) -> None:
        """Closes the writer."""
        self.writer.close()

    def predict_step(self, batch: Batch, step: int) -> int:
        """Processes one batch; returns its number of images."""
        self.process(batch)
        return len(batch)


class _Merge(Callback):
    """Finishes the export in the first process, once all processes have written their shards."""

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, Work)
        trainer.strategy.barrier("shards are written")
        if trainer.is_global_zero:
            try:
                pl_module.finish()
            except OSError as error:  # the disk is still full
                pl_module.writer.error = pl_module.writer.error or " ".join(str(error).split())
        trainer.strategy.barrier("the export is finished")


def carry_out(
    work: Work,
    begin: Callable[[], list[str]],
    summary: Callable[[int, float, bool], Outcome],
    *,
    command: str,
    progress: bool,
) -> Outcome:
    """Processes all images of missing shards; SIGTERM and Ctrl-C end it after the present batch.

    Args:
        work: What is to be done.
        begin: Prepares the folder in the first process; returns notices to print.
        summary: Makes the outcome of the number of images that were left before, the seconds that it took, and whether
            this is the first process.
        command: Name of the command, for messages.
        progress: Whether to show a progress bar.
    """
    trainer = _trainer(work.config, [_Merge(), *([ImageProgress(work.verb)] if progress else [])])
    work.interruption = Interruption(pass_on=lambda number: _tell_children(trainer, number))
    if trainer.global_rank == 0:
        for line in begin():
            print(f"{command}: {line}", file=sys.stderr, flush=True)
    before, start = work.images_of(missing(work.writer.out, work.shards)), time.perf_counter()
    with raising_keyboard_interrupt(
        lambda: "; run the same command again to resume" if trainer.is_global_zero else None
    ):
        work.interruption.listen()
        try:
            trainer.predict(work, return_predictions=False)
            # Still listening: what a signal finds complete is reported as complete.
            return summary(before, time.perf_counter() - start, trainer.global_rank == 0)
        finally:
            work.interruption.stop_listening()


def _trainer(config: Settings, callbacks: list[Callback]) -> lightning.Trainer:
    quieten()
    warnings.filterwarnings(
        "ignore", r"Total length of `\w+` across ranks is zero"
    )  # a finished export that is run again
    arguments: dict[str, Any] = {
        name: getattr(config, name) for name in ("accelerator", "devices", "num_nodes", "strategy", "precision")
    }
    trainer = lightning.Trainer(
        **arguments,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,  # `ShardBatches` divides by rank, without padding
        inference_mode=False,  # inference tensors would have to be copied for autograd
    )
    silence_lightning(trainer)
    return trainer


def _tell_children(trainer: lightning.Trainer, number: int) -> None:
    """Sends a signal to the processes that Lightning launched from this one."""
    launcher: Any = trainer.strategy.launcher
    if launcher is not None:
        launcher.kill(number)
