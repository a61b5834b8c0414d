"""Names every file and folder of a run directory and of a saliency export; ``docs/rundir.md`` describes them."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

RUN_FORMAT = 1  # of ``summary.json``, and so of a run directory
READING_FORMAT = 1  # of ``maps/reading-XXXX.json``
PUBLISHED_WEIGHTS = "model.safetensors"  # in a folder in the layout of the Hugging Face Hub
EXPORT_FORMAT = 1  # of ``export.json``, and so of a saliency export


class EpochFile(Enum):
    """Files that are written once per recorded epoch, ``<folder>/<stem>-<epoch>.<suffix>``.

    Attributes:
        folder: Folder below the run directory.
        stem: Beginning of the file's name.
        suffix: Its end, without the dot.
    """

    RECORD = ("maps", "epoch", "json")
    MAPS = ("maps", "epoch", "npz")
    CLASSES = ("maps", "classes", "npz")
    HEADS = ("maps", "heads", "npz")
    PAIRWISE = ("maps", "pairwise", "npz")
    GATES = ("maps", "gates", "npz")
    GLIMPSES = ("maps", "glimpses", "npz")
    READING = ("maps", "reading", "json")
    READING_WEIGHTS = ("maps", "reading", "npz")
    CONFUSION = ("confusion", "epoch", "json")
    LABELS = ("labels", "epoch", "json")

    def __init__(self, folder: str, stem: str, suffix: str) -> None:
        self.folder, self.stem, self.suffix = folder, stem, suffix

    def file_name(self, epoch: int) -> str:
        """Returns the file's name for an epoch index; -1 stands for the state before training."""
        return f"{self.stem}-{epoch:04d}.{self.suffix}"

    def epoch_of(self, path: Path) -> int | None:
        """Returns the epoch index in a file's name; None where the name is not of this kind."""
        named = re.fullmatch(rf"{self.stem}-(-?\d+)\.{self.suffix}", path.name)
        return int(named[1]) if named else None


@dataclass(frozen=True)
class RunLayout:
    """Paths of a run directory; nothing is read or created.

    Attributes:
        root: The run directory.
    """

    root: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.root / "config.yaml"

    @property
    def summary(self) -> Path:
        """Results, costs, provenance and checksums, with the format number."""
        return self.root / "summary.json"

    @property
    def predictions(self) -> Path:
        """The prediction for every test image."""
        return self.root / "predictions.npz"

    @property
    def bags(self) -> Path:
        """The images of some test bags, with their attention weights."""
        return self.root / "bags.npz"

    @property
    def readings(self) -> Path:
        """The text that was read from every test image, with the true one."""
        return self.root / "readings.csv"

    @property
    def recalled(self) -> Path:
        """The answers to every test episode, with the right ones."""
        return self.root / "recalled.csv"

    @property
    def memory(self) -> Path:
        """Some test episodes of a network that recalls, with the weights of its memory."""
        return self.root / "memory.npz"

    @property
    def weights(self) -> Path:
        """The tested network's weights."""
        return self.root / "weights.safetensors"

    @property
    def nonfinite(self) -> Path:
        """Step and images of a loss that was not finite."""
        return self.root / "nonfinite.json"

    @property
    def lock(self) -> Path:
        """Held by the process that trains into the directory."""
        return self.root / ".lock"

    @property
    def page(self) -> Path:
        """The report's page."""
        return self.root / "report" / "index.html"

    @property
    def metrics(self) -> Path:
        """Folder of the curves, with one folder for each start of the training run."""
        return self.root / "metrics"

    def metrics_file(self, part: int | str) -> Path:
        """Returns the curves of one start of the training run, counted from 0."""
        return self.metrics / str(part) / "metrics.csv"

    def metrics_files(self) -> list[tuple[int, Path]]:
        """Returns (part, file) of all curves that exist, in the order of the parts."""
        found = self.metrics.glob("*/metrics.csv")
        return sorted((int(path.parent.name), path) for path in found if path.parent.name.isdecimal())

    def next_part(self) -> int:
        """Returns the number of the next start: 0 at first, one more after every resume."""
        taken = [int(folder.name) for folder in self.metrics.glob("*") if folder.name.isdecimal()]
        return max(taken, default=-1) + 1

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.root / "checkpoints"

    def checkpoint(self, name: str) -> Path:
        """Returns a checkpoint, by its name without the suffix: ``best``, ``last`` or ``previous``."""
        return self.checkpoints / f"{name}.ckpt"

    @property
    def maps(self) -> Path:
        """Folder of the probe images and everything recorded of them."""
        return self.root / "maps"

    @property
    def probes(self) -> Path:
        """Lists the probe images and the class names."""
        return self.maps / "probes.json"

    @staticmethod
    def probe_image(number: int) -> str:
        """Returns the name of a probe image below the folder of the maps."""
        return f"images/{number:04d}.png"

    @property
    def faithfulness(self) -> Path:
        """Insertion and deletion curves of the last recorded epoch."""
        return self.maps / "faithfulness.json"

    @property
    def tested_confusion(self) -> Path:
        """Confusion counts of the test split."""
        return self.root / "confusion" / "test.json"

    @property
    def tested_labels(self) -> Path:
        """Counts of the classes of the test split, where images may have several."""
        return self.root / "labels" / "test.json"

    def epoch_file(self, kind: EpochFile, epoch: int) -> Path:
        """Returns a file of one recorded epoch."""
        return self.root / kind.folder / kind.file_name(epoch)

    def epoch_files(self, kind: EpochFile) -> dict[int, Path]:
        """Returns the files of one kind that exist, by epoch index and in its order."""
        found = {kind.epoch_of(path): path for path in (self.root / kind.folder).glob(f"{kind.stem}-*.{kind.suffix}")}
        return {epoch: found[epoch] for epoch in sorted(epoch for epoch in found if epoch is not None)}

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's files."""
        return self.root / "tensorboard"

    @property
    def wandb(self) -> Path:
        """Folder of wandb's files."""
        return self.root / "wandb"

    @property
    def wandb_id(self) -> Path:
        """The id under which wandb knows the run."""
        return self.wandb / "id"


def runs_in(folder: Path) -> list[Path]:
    """Returns the run directories directly below a folder, sorted by name."""
    return sorted(path.parent for path in folder.glob(f"*/{RunLayout(Path()).config.name}"))


# What a directory must hold, at least one of these, to be taken for a run.
MARKS = tuple(getattr(RunLayout(Path()), name).name for name in ("config", "summary", "metrics", "maps"))
# What reports and comparisons read; its checksums are in the summary of a finished run.
CHECKSUMMED = (
    *(
        "config.yaml",
        "predictions.npz",
        "readings.csv",
        "recalled.csv",
        "metrics/*/metrics.csv",
        "confusion/*",
        "labels/*",
        "maps/*.*",
    ),
    "maps/images/*",
)


@dataclass(frozen=True)
class ExportLayout:
    """Paths of a saliency export; nothing is read or created.

    Attributes:
        root: Folder of the export.
    """

    root: Path

    PICTURES = ("inputs", "overlays", "panels", "alignments", "crops", "because")  # each with one folder per shard
    SHARD_SUFFIXES = ("jsonl", "npz", "safetensors", "sha256", "request")

    @property
    def description(self) -> Path:
        """What was asked for and how far it came, with the format number."""
        return self.root / "export.json"

    @property
    def shards(self) -> Path:
        """Folder of the shards."""
        return self.root / "shards"

    def shard(self, number: int, suffix: str) -> Path:
        """Returns a file of a shard, by one of `SHARD_SUFFIXES`; the ``jsonl`` exists once the shard is whole."""
        return self.shards / f"{number:06d}.{suffix}"

    def rows(self) -> list[Path]:
        """Returns the rows of all whole shards, in the order of the images."""
        return sorted(self.shards.glob("*.jsonl"))

    @property
    def readings(self) -> Path:
        """The texts that were read, of ``cv-attention read``."""
        return self.root / "readings.csv"

    @property
    def classes(self) -> Path:
        """The classes that images were recognised as, of ``cv-attention recall``."""
        return self.root / "classes.csv"

    def manifest(self, suffix: str) -> Path:
        """Returns the rows of all shards in one file, ``jsonl`` or ``parquet``."""
        return self.root / f"manifest.{suffix}"
