"""Records what is read from the same few images every few epochs, and where the network looks for each character."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from cv_attention.alignment import align
from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.heads import Reading
from cv_attention.recording.probe_files import write_probes
from cv_attention.rundir.arrays import write_arrays
from cv_attention.rundir.contents import ProbeEntry, Probes
from cv_attention.rundir.layout import EpochFile, RunLayout
from cv_attention.rundir.readings import ReadEpoch, ReadProbe
from cv_attention.strips import alignment_strip
from cv_attention.training.recording.map_pictures import of_one_size
from cv_attention.training.recording.probes import spread_over_classes

_MOST_PICTURES = 8  # for the loggers


class Readings(Callback):
    """Writes texts, probabilities and attention weights of the probe images to ``maps/`` and to the loggers.

    It has no state of its own: the images follow from the data, and an epoch that is trained again is written again.

    Args:
        run: The run directory.
        every: Epochs between two recordings; the last epoch is always recorded.
        count: Number of probe images, spread over the lengths of the texts of the validation split.
    """

    def __init__(self, run: Path, every: int, count: int) -> None:
        self.run, self.every, self.count = RunLayout(run), every, count
        self._probes: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Chooses and writes the probe images."""
        if not trainer.is_global_zero:
            return
        split = trainer.datamodule.splits["val"]  # pyright: ignore[reportAttributeAccessIssue]
        chosen = spread_over_classes(split.lengths, self.count)
        self._probes = split.batch([(0, index) for index in chosen])
        entries = (
            ProbeEntry(RunLayout.probe_image(number), split.images.short_name(index))
            for number, index in enumerate(chosen)
        )
        pictures = self._probes["image"].permute(0, 2, 3, 1).cpu().numpy()
        write_probes(self.run, Probes((), tuple(entries)), pictures)

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Records what is read in this epoch."""
        last = trainer.current_epoch + 1 == trainer.max_epochs
        wanted = last or trainer.current_epoch % self.every == 0
        if not self._probes or not wanted or trainer.sanity_checking:
            return
        with trainer.precision_plugin.forward_context():
            readings, weights = self._read(pl_module)
        truths = [pl_module.alphabet.parts(numbers) for numbers in self._probes["tokens"].tolist()]
        decoded = [pl_module.alphabet.decode(numbers) for numbers in self._probes["tokens"].tolist()]
        probes = tuple(_probe(*each) for each in zip(readings, truths, decoded, strict=True))
        unit, epoch = pl_module.alphabet.unit, trainer.current_epoch
        record = ReadEpoch(epoch, trainer.global_step, unit, weights is not None, probes)
        if weights is not None:
            write_arrays(self.run.epoch_file(EpochFile.READING_WEIGHTS, epoch), {"weights": weights}, compressed=True)
        record.write(self.run.epoch_file(EpochFile.READING, epoch))
        if weights is not None:
            self._send(trainer, record, weights)

    @torch.no_grad()
    def _read(self, task: Any) -> tuple[list[Reading], np.ndarray | None]:
        """Returns the readings and the weights of their units, float16 (N, heads, T, h, w)."""
        batch = {name: values.to(task.device) for name, values in self._probes.items()}
        with eval_mode(task.network):
            memory = task.network.memory(task.normalise(batch["image"]), task.columns(batch))
            found = task.network.head.read(memory)
        readings = task.network.readings(found)
        if found.weights is None or memory.grid is None:
            return readings, None
        weights = found.weights[:, :, : max(len(reading.units) for reading in readings)].float().cpu()
        for row, reading in zip(weights, readings, strict=True):
            row[:, len(reading.units) :] = 0  # the end looks somewhere too
        return readings, weights.unflatten(-1, memory.grid).numpy().astype(np.float16)

    def _send(self, trainer: lightning.Trainer, record: ReadEpoch, weights: np.ndarray) -> None:
        """Logs a picture of each text, with the weights of its units, to the loggers that show pictures."""
        wanted = [one for one in trainer.loggers if isinstance(one, WandbLogger | TensorBoardLogger)]
        if not wanted:
            return
        images = self._probes["image"].permute(0, 2, 3, 1).cpu().numpy()
        shown = list(zip(images, record.probes, weights, strict=True))[:_MOST_PICTURES]
        strips = [
            alignment_strip(
                np.ascontiguousarray(image), one.text, one.confidence, one.units, one.confidences,
                heads[:, : len(one.units)].mean(0, dtype=np.float32),
            )
            for image, one, heads in shown
        ]  # fmt: skip
        captions = [f"{one.truth}, read as {one.text}" for _, one, _ in shown]
        for logger in wanted:
            if isinstance(logger, WandbLogger):
                logger.log_image("maps/reading", of_one_size(strips), caption=captions)
                continue
            for number, strip in enumerate(strips):
                logger.experiment.add_image(f"maps/reading/{number}", strip, trainer.global_step, dataformats="HWC")


def _probe(reading: Reading, true: list[str], truth: str) -> ReadProbe:
    each = tuple(round(value, 6) for value in reading.confidences)
    pairs = tuple(align(reading.units, true))
    return ReadProbe(reading.text, round(reading.confidence, 6), reading.units, each, truth, tuple(true), pairs)
