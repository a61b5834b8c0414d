"""Writes the page of a study: what it found, and of each training run the curves and the last maps."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cv_attention.report.read.metrics import thinned
from cv_attention.report.read.recording import UNREADABLE, Probe
from cv_attention.report.read.redaction import redact
from cv_attention.report.read.run_directory import Run, read_run
from cv_attention.report.studies.single_file import single_file
from cv_attention.report.write.epochs import PROBES_PER_SHARD, EpochWriter
from cv_attention.report.write.manifest import PICTURES_PER_SHARD, write_probes
from cv_attention.report.write.shards import write_shard
from cv_attention.report.write.thumbnails import small
from cv_attention.rundir.files import write_text

_MOST_POINTS = 200  # of a curve; there are many
_Pictures = tuple[str, list[dict[str, Any]], list[str]]  # folder of the shards, what is known of each image, hashes


@dataclass(frozen=True)
class ShownRun:
    """One training run of a study.

    Attributes:
        directory: Its run directory.
        arm: Its arm.
        recipe: Its recipe; may be empty.
        seed: Its seed.
    """

    directory: Path
    arm: str
    recipe: str
    seed: int

    @property
    def group(self) -> str:
        """Name of the runs that differ from this one in their seed alone."""
        return f"{self.arm} · {self.recipe}" if self.recipe else self.arm


@dataclass(frozen=True)
class DifferingImage:
    """One test image.

    Attributes:
        name: Its name in the data set.
        truth: Its class, or its text.
        picture: The pixels, uint8 (H, W, 3); None if they could not be read.
    """

    name: str
    truth: str
    picture: np.ndarray | None = None


@dataclass(frozen=True)
class DifferingImages:
    """Test images on which arms differ.

    Attributes:
        images: The images.
        answers: Name of a run directory -> what it predicted for each of them, None where that was right.
        total: Number of all test images.
        pairs: Recipe -> arm A -> arm B -> on how many of all test images A is right and B wrong, mean over the seeds
            that they share.
        note: Why pictures are missing; may be empty.
    """

    images: Sequence[DifferingImage]
    answers: Mapping[str, Sequence[str | None]]
    total: int
    pairs: Mapping[str, Mapping[str, Mapping[str, float]]]
    note: str = ""


def write_study_page(
    out: Path, study: Mapping[str, Any], runs: Sequence[ShownRun], tested: DifferingImages | None
) -> None:
    """Writes the page as one HTML file, whole or not at all.

    Of the runs, nothing but training curves, validation curves and maps of validation images is shown, whatever their
    directories hold; the test results that may be shown are in `study` and `tested`.

    Args:
        out: The file.
        study: What the page shows of the study, plain values; absolute paths are cut to their last part.
        runs: The training runs; those whose directory cannot be read are left out.
        tested: Test images on which arms differ; None shows none.
    """
    with TemporaryDirectory() as folder:
        root, known = Path(folder), {}
        (root / "data").mkdir()
        shown = [_write_run(root, number, run, known) for number, run in enumerate(runs)]
        content = {
            "version": 2,
            "blocks": {"maps": PROBES_PER_SHARD, "pictures": PICTURES_PER_SHARD},
            "runs": [run for run in shown if run],
            "study": {**redact(dict(study)), "tested": tested and _write_tested(root, tested)},
        }
        write_text(out, single_file(root, str(study["name"]), content, "study.js"))


def _write_run(root: Path, number: int, shown: ShownRun, known: dict[str, _Pictures]) -> dict[str, Any] | None:
    """Writes a run's last maps, and returns what the page needs of it at the start."""
    try:
        run = read_run(shown.directory)
    except (ValueError, OSError):  # it has failed before it wrote anything, or is damaged
        return None
    folder = f"run{number}"
    pictures, probes, hashes = _probes(root, folder, run.recording.probes, known)
    writer = EpochWriter(
        root, folder, [probe.label for probe in run.recording.probes], [each.get("box") for each in probes]
    )
    epochs, notices = _last_epoch(writer, run)
    return {
        "name": f"{shown.group}, seed {shown.seed}", "arm": shown.arm, "recipe": shown.recipe, "seed": shown.seed,
        "group": shown.group, "seeds": shown.group, "run": shown.directory.name, "folder": folder,
        "pictureFolder": pictures, "classes": run.class_names, "columns": list(writer.columns.values()),
        "probes": probes, "pictures": hashes, "epochs": epochs,
        "series": _curves(run),
        "resumed": [], "export": False, "costs": {"training_seconds": run.summary.get("training_seconds")},
        "notices": notices,
    }  # fmt: skip


def _curves(run: Run) -> dict[str, Any]:
    """Returns the curves that tell arms apart: all have one learning rate, and the loss of a single step is noise."""
    series = {name: thinned(points, _MOST_POINTS) for name, points in run.metrics.series.items()}
    if "train_loss_epoch" in series:
        series["train_loss"] = series.pop("train_loss_epoch")
    return {name: points for name, points in series.items() if not name.startswith("lr")}


def _last_epoch(writer: EpochWriter, run: Run) -> tuple[list[dict[str, Any]], list[str]]:
    """Writes the last epoch that was recorded, and can be read."""
    notices = []
    for snapshot in reversed(run.recording.snapshots):
        try:
            return [writer.write(snapshot)], notices
        except UNREADABLE:
            notices.append(f"{snapshot.source} could not be read; an earlier epoch is shown.")
    return [], notices


def _probes(root: Path, folder: str, probes: Sequence[Probe], known: dict[str, _Pictures]) -> _Pictures:
    """Writes the images of a run, unless another one has the same."""
    digest = hashlib.sha256(repr([(p.label, p.labels, p.box, p.name, p.flags) for p in probes]).encode())
    for probe in probes:
        digest.update(probe.image.read_bytes() if probe.image and probe.image.is_file() else b"-")
    key = digest.hexdigest()
    if key not in known:
        known[key] = (folder, *write_probes(root, folder, probes))
    return known[key]


def _write_tested(root: Path, tested: DifferingImages) -> dict[str, Any]:
    """Writes the pictures of test images; answers that runs share are written once."""
    urls = [None if image.picture is None else small(image.picture) for image in tested.images]
    hashes = [
        write_shard(root, f"tested/images-{block}", urls[start : start + PICTURES_PER_SHARD])
        for block, start in enumerate(range(0, len(urls), PICTURES_PER_SHARD))
    ]
    words: dict[str, int] = {}
    answers = {
        run: [None if answer is None else words.setdefault(answer, len(words)) for answer in given]
        for run, given in tested.answers.items()
    }
    return {
        "folder": "tested", "pictures": hashes, "total": tested.total, "pairs": tested.pairs, "note": tested.note,
        "probes": [
            {"label": None, "name": redact(image.name), "truth": image.truth,
             "size": None if image.picture is None else [image.picture.shape[1], image.picture.shape[0]]}
            for image in tested.images
        ],
        "words": list(words), "answers": answers,
    }  # fmt: skip
