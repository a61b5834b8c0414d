"""Reads and writes checkpoint files atomically, verified before a run resumes from them."""

import errno
import io
import math
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cv_attention.blocks.trust import check_trusted, class_paths_of
from cv_attention.config import SOURCES, Experiment
from cv_attention.plain import from_plain
from cv_attention.rundir import Damaged, NewerFormat, NotRead
from cv_attention.rundir.checksums import checksum
from cv_attention.rundir.facts import DataFacts
from cv_attention.rundir.files import link_or_copy, write_bytes
from cv_attention.rundir.layout import RunLayout, runs_in
from cv_attention.training.checkpoint import weights
from cv_attention.training.checkpoint.digest import sha256
from cv_attention.training.checkpoint.sealing import sealed, verifying
from cv_attention.training.tasks.classifier import Classifier

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
_PARTS = {"experiment": Mapping, "facts": Mapping, "state_dict": Mapping}
_OF_THE_SYSTEM = re.compile(r"allocate memory|out of memory|errno|os error|start new thread", re.IGNORECASE)
_LARGEST = 16_384  # pixels on a side of the images that a network takes
_DROPPED = {"all": (), "best": (LAST, PREVIOUS), "weights": (LAST, PREVIOUS, BEST)}  # by log.keep


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint atomically, once it lies on the disk, and keeps the previous one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes `checkpoint` to `path`, atomically.

        Raises:
            OSError: if it cannot be written; an existing file is unharmed.
        """
        buffer, path = io.BytesIO(), Path(path)
        if path.is_dir():  # put there by someone else
            set_aside(path)
        torch.save(sealed(checkpoint), buffer)
        write_bytes(path, buffer.getbuffer(), durable=True, keep=PREVIOUS if path.name == LAST else None)


def read(checkpoint: Path) -> dict[str, Any]:
    """Reads and verifies the content of a checkpoint or a ``.safetensors`` file, without running code from it.

    Raises:
        ValueError: if the file is damaged, of another kind, or of a newer format; one line that names it and a file
            next to it that can be used instead.
        OSError: if the system cannot read it, which says nothing about its content.
    """
    content, end_verification = _begin(checkpoint)
    end_verification()
    _check_parts(content, checkpoint)
    return content


def verified(checkpoint: Path) -> Any:
    """Reads any file of weights, verified if possible, without requiring particular parts; see `read`."""
    content, end_verification = _begin(checkpoint)
    end_verification()
    return content


def _begin(checkpoint: Path) -> tuple[Any, Callable[[], None]]:
    """Reads a file and starts verifying it; returns its content and a function that waits for the result."""

    def finish() -> None:
        try:
            verdict()
        except Exception as error:  # values that cannot be hashed
            raise _failed(checkpoint, error) from error

    try:
        if checkpoint.is_dir():
            raise Damaged("it is a folder")
        with checkpoint.open("rb"):
            pass  # safetensors raises its own error for every failure to open a file
        if checkpoint.suffix == ".safetensors":
            content, verdict = weights.begin(checkpoint)
        else:
            content = torch.load(checkpoint, map_location="cpu", weights_only=True)
            verdict = verifying(content if isinstance(content, dict) else {}, checkpoint)
    except NewerFormat:
        raise
    except Exception as error:  # whatever a damaged or foreign file provokes
        raise _failed(checkpoint, error) from error
    return content, finish


def _failed(checkpoint: Path, error: Exception) -> Exception:
    """Distinguishes a damaged file from one that the system could not read, whose content may be intact."""
    if isinstance(error, FileNotFoundError):
        return error
    if not isinstance(error, Damaged):
        if isinstance(error, OSError):
            of_the_system = error.errno not in (None, errno.EINVAL)  # raised by a seek in a truncated file
        else:
            of_the_system = isinstance(error, MemoryError) or _OF_THE_SYSTEM.search(str(error)) is not None
        if of_the_system:
            return NotRead(checkpoint, MemoryError() if "memory" in str(error) else error)
        try:
            checksum(checkpoint)  # libraries report disk failures as damage
        except OSError as failure:
            return NotRead(checkpoint, failure)
    return _damaged(checkpoint, error)


def _damaged(checkpoint: Path, error: Exception) -> Damaged:
    reason = " ".join((str(error) or type(error).__name__).splitlines()[0].split())
    if "Weights only load failed" in reason:  # torch then explains how to run the code anyway
        reason = (
            "it is damaged, or holds Python objects in addition to weights, which are never loaded: that would run code"
        )
    if not reason.startswith(str(checkpoint)):
        reason = f"{checkpoint} cannot be read as a checkpoint: {reason}"
    return Damaged(f"{reason}{_instead(checkpoint)}")


def _check_parts(content: Any, checkpoint: Path) -> None:
    """Raises ValueError unless a file records which network it belongs to."""
    if not isinstance(content, dict) or not _PARTS.keys() <= content.keys():
        raise ValueError(f"{checkpoint} is not a checkpoint of cv_attention: it does not record its network")
    for name, kind in _PARTS.items():
        if not isinstance(content[name], kind):
            raise Damaged(f"{checkpoint} is damaged: its {name} must be a mapping, got {type(content[name]).__name__}")


def _instead(checkpoint: Path) -> str:
    """Names another file of the same run that holds a network."""
    run = checkpoint.parent if checkpoint.suffix == ".safetensors" else checkpoint.parent.parent
    near = {
        BEST: (RunLayout(run).weights, "the network that was tested last"),
        RunLayout(run).weights.name: (RunLayout(run).checkpoint("best"), "the best network"),
        LAST: (RunLayout(run).checkpoint("previous"), "the checkpoint before it"),
    }
    file, what = near.get(checkpoint.name, (None, ""))
    return f"; {file} is {what}" if file is not None and file.is_file() else ""


def set_aside(path: Path) -> None:
    """Renames an unreadable checkpoint to ``last.ckpt.torn``, so that it is not mistaken for a checkpoint."""
    with suppress(FileNotFoundError):  # another training process has moved it
        torn = path.with_name(f"{path.name}.torn")
        if torn.is_dir() and not torn.is_symlink():
            shutil.rmtree(torn)
        path.replace(torn)


def keep_last_as_best(run: Path) -> None:
    """Makes ``best.ckpt`` the network of the last epoch too, by a hard link if the file system supports it."""
    link_or_copy(RunLayout(run).checkpoint("last"), RunLayout(run).checkpoint("best"))


def drop(run: Path, keep: str) -> None:
    """Removes the checkpoints that ``log.keep`` excludes, after training and testing."""
    for name in _DROPPED[keep]:
        (RunLayout(run).checkpoints / name).unlink(missing_ok=True)
    if keep == "weights":
        with suppress(OSError):  # something else is there
            RunLayout(run).checkpoints.rmdir()


def find_checkpoint(path: Path, name: str = "best") -> Path:
    """Finds a checkpoint.

    Args:
        path: A checkpoint, a file of weights (``.safetensors``), or a run directory.
        name: Which checkpoint of the run directory: ``best``, the one that is used and was tested (see
            `selection.select`), or ``last``. If a copy of the directory has no checkpoints, the
            ``weights.safetensors`` in it is the best one.

    Raises:
        FileNotFoundError: if there is none; the message lists the existing ones.
    """
    if path.is_file():
        return path
    if not path.exists():
        near = [str(run) for run in runs_in(path.parent)]
        there = f"; available: {', '.join(near)}" if near else ""
        raise FileNotFoundError(f"{path} does not exist{there}")
    checkpoint = RunLayout(path).checkpoint(name)
    if checkpoint.is_dir():
        raise ValueError(f"{checkpoint} is a folder, expected a checkpoint")
    if not checkpoint.is_file():
        if name == "best" and (final := RunLayout(path).weights).is_file():
            return final
        there = sorted(str(found) for found in path.rglob("*.ckpt"))
        raise FileNotFoundError(f"{checkpoint} does not exist; {path} holds {', '.join(there) or 'no checkpoint'}")
    return checkpoint


def load(checkpoint: Path | Classifier, trust: Collection[str] | None = ()) -> Classifier:
    """Rebuilds the network of a checkpoint or of a ``.safetensors`` file, with its weights, on the CPU, in eval mode.

    An already opened network (`opening.open_pretrained`) is returned as it is. A file can name a block by its
    class path, which is imported only if the user trusts it.

    Args:
        checkpoint: The file.
        trust: Modules and classes that the file may name, such as ``my_block`` or ``my_block.MyBlock``; None allows
            all, for files that this process has written.

    Raises:
        ValueError: if the file was not written by cv_attention, its weights do not fit its configuration, or it names a
            class that is not in `trust`.
    """
    if isinstance(checkpoint, Classifier):
        return checkpoint
    content, end_verification = _begin(checkpoint)
    try:
        _check_parts(content, checkpoint)
        experiment = from_plain(Experiment, content["experiment"], "experiment")
        facts = facts_in(content["facts"])
        with nullcontext() if trust is None else class_paths_of(checkpoint, trust):
            if experiment.data.name not in SOURCES:  # imported later, when the data is opened
                check_trusted(experiment.data.name)
            classifier = Classifier(_unloaded(experiment), facts)
    except Exception as error:  # whatever a foreign configuration raises
        end_verification()
        reason = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, ValueError | OSError):
            reason = f"its network cannot be built ({type(error).__name__}: {reason[:300]})"
        raise ValueError(reason if reason.startswith(str(checkpoint)) else f"{checkpoint}: {reason}") from error
    end_verification()
    classifier.experiment = experiment  # as trained, so that files written from now on have the run's fingerprint
    try:
        classifier.load_state_dict(content["state_dict"])
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{checkpoint} does not fit {experiment.model.backbone}: {reason}") from error
    return classifier.eval()


def _unloaded(experiment: Experiment) -> Experiment:
    """Returns the configuration of the same network without weights, since the checkpoint holds them.

    timm would read any file named by ``checkpoint_path``.
    """
    options = {name: value for name, value in experiment.model.options.items() if name != "checkpoint_path"}
    return replace(experiment, model=replace(experiment.model, pretrained=False, options=options))


def facts_in(values: Any) -> DataFacts:
    """Reads the facts of a checkpoint; raises ValueError if they are not those of a network."""
    facts = from_plain(DataFacts, values, "facts")
    height, width = facts.image_size
    if not facts.class_names or not all(isinstance(side, int) and 0 < side <= _LARGEST for side in (height, width)):
        raise ValueError(
            f"facts must name classes and an image size of at most {_LARGEST} pixels a side, got "
            f"{len(facts.class_names)} classes and {height} x {width}"
        )
    if not all(math.isfinite(value) for value in (*facts.mean, *facts.std)) or 0 in facts.std:
        raise ValueError(f"facts.mean and facts.std must be finite and std not 0, got {facts.mean} and {facts.std}")
    return DataFacts(**{field.name: tuple(getattr(facts, field.name)) for field in fields(DataFacts)})


def name_of(checkpoint: Path | Classifier) -> str:
    """Names what `load` takes: a file by its path, an open network by its backbone and the file of its weights."""
    if isinstance(checkpoint, Path):
        return str(checkpoint)
    model = checkpoint.experiment.model
    return f"{model.backbone} with {model.weights or 'pretrained weights'}"


def digest_of(checkpoint: Path | Classifier) -> str:
    """Returns the SHA-256 of a file, or of an open network: its weights, and what it was built from."""
    if isinstance(checkpoint, Path):
        return checksum(checkpoint)
    model = checkpoint.experiment.model
    built = {name: getattr(model, name) for name in ("backbone", "options", "block", "at")}
    return sha256({**built, "state_dict": checkpoint.network.state_dict()})


def epochs_trained(checkpoint: Path) -> int:
    """Returns how many epochs the network of a checkpoint had been trained when it was written after one."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["epoch"] + 1
