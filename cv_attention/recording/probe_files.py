"""Writes what was recorded of the probe images to the ``maps`` folder of a run directory."""

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cv_attention.maps import BlockUsage
from cv_attention.recording.snapshots.snapshot import Snapshot
from cv_attention.rundir.arrays import write_arrays
from cv_attention.rundir.contents import Box, ColumnEntry, EpochRecord, ProbeEntry, Probes
from cv_attention.rundir.files import write_bytes
from cv_attention.rundir.layout import EpochFile, RunLayout


def probe_entries(
    names: Sequence[str | None], labels: Tensor, boxes: Sequence[Box | None], label_rows: Tensor | None
) -> tuple[ProbeEntry, ...]:
    """Describes the recorded images (N).

    Args:
        names: What each is called; None where it has no name.
        labels: True classes (N), -1 where unknown.
        boxes: True box of each, None where unknown.
        label_rows: Which classes each image has, bool (N, classes), where it may have several.
    """
    known = [None if label < 0 else label for label in labels.tolist()]
    rows = [None] * len(known) if label_rows is None else [tuple(row.nonzero()[:, 0].tolist()) for row in label_rows]
    about = zip(names, known, boxes, rows, strict=True)
    return tuple(
        ProbeEntry(RunLayout.probe_image(number), name, label, box, labels=several)
        for number, (name, label, box, several) in enumerate(about)
    )


def write_probes(run: RunLayout, probes: Probes, pictures: NDArray[np.uint8]) -> None:
    """Writes the images (N, H, W, 3) and their list."""
    for entry, pixels in zip(probes.probes, pictures, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        write_bytes(run.maps / entry.image, buffer.getvalue())
    probes.write(run.probes)


def same_probes(run: RunLayout, probes: Probes, pictures: NDArray[np.uint8]) -> bool:
    """Returns whether a run directory holds these very images under these labels and names of classes."""
    try:
        if Probes.read(run.probes) != probes:
            return False
        for entry, pixels in zip(probes.probes, pictures, strict=True):
            with Image.open(run.maps / entry.image) as stored:
                if not np.array_equal(np.asarray(stored), pixels):
                    return False
    except Exception:  # whatever a torn file provokes
        return False
    return True


def _shares(block: BlockUsage) -> list[tuple[str, float]]:
    return [(name, value) for name, value in vars(block).items() if name != "block" and math.isfinite(value)]


def write_epoch(
    run: RunLayout,
    snapshot: Snapshot,
    labels: Tensor,
    epoch: int,
    step: int | None,
    label_rows: Tensor | None = None,
) -> None:
    """Writes one epoch, in place of what was recorded of it before.

    Args:
        run: The run directory.
        snapshot: What was recorded.
        labels: True classes (N), -1 where unknown.
        epoch: Index of the epoch.
        step: Optimizer steps taken, where known.
        label_rows: Which classes each image has, bool (N, classes), where it may have several.
    """
    logits, columns = snapshot.logits, snapshot.columns
    if label_rows is None:
        losses = functional.cross_entropy(logits, labels, reduction="none", ignore_index=-1)
        known, probabilities, decided = (labels >= 0).tolist(), logits.softmax(1), ()
    else:
        losses = functional.binary_cross_entropy_with_logits(logits, label_rows.float(), reduction="none").mean(1)
        known, probabilities = [True] * len(logits), logits.sigmoid()
        decided = [row.nonzero()[:, 0].tolist() for row in probabilities >= 0.5]
    record = EpochRecord(
        epoch=epoch,
        step=step,
        columns={key: ColumnEntry(entry.title, entry.source, entry.kind) for key, entry in columns.items()},
        predictions=logits.argmax(1).tolist(),
        probabilities=[[round(p, 6) for p in row] for row in probabilities.tolist()],
        losses=[loss if there else None for loss, there in zip(losses.tolist(), known, strict=True)],
        decided=decided,
        blocks={one.block: {name: float(f"{value:.5g}") for name, value in _shares(one)} for one in snapshot.blocks},
    )
    write_arrays(run.epoch_file(EpochFile.MAPS, epoch), {key: column.values for key, column in columns.items()})
    record.write(run.epoch_file(EpochFile.RECORD, epoch))
    details = {
        EpochFile.CLASSES: snapshot.classes,
        EpochFile.HEADS: snapshot.heads,
        EpochFile.PAIRWISE: snapshot.pairwise,
        EpochFile.GLIMPSES: snapshot.glimpses,
    }
    for kind, arrays in details.items():
        path = run.epoch_file(kind, epoch)
        if arrays:
            write_arrays(path, arrays)
        else:
            path.unlink(missing_ok=True)
    for old in list(run.epoch_files(EpochFile.PAIRWISE).values())[1:-1]:  # the first and the newest stay
        old.unlink()
