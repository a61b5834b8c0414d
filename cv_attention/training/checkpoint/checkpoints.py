"""Reads and writes checkpoint files atomically, verified before a run resumes from them."""

import errno
import io
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cv_attention.config.plain import from_plain
from cv_attention.rundir import Damaged, NewerFormat, NotRead
from cv_attention.rundir.checksums import checksum
from cv_attention.rundir.files import link_or_copy, write_bytes
from cv_attention.rundir.layout import PUBLISHED_WEIGHTS, RunLayout, runs_in
from cv_attention.training.checkpoint import weights
from cv_attention.training.checkpoint.digest import sha256
from cv_attention.training.checkpoint.sealing import sealed, verifying
from cv_attention.training.tasks.task import Task

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
_PARTS = {"experiment": Mapping, "facts": Mapping, "state_dict": Mapping}
_OF_THE_SYSTEM = re.compile(r"allocate memory|out of memory|errno|os error|start new thread", re.IGNORECASE)
_FIRST_TASK = "classification"  # of files from before they named their task
_DROPPED = {"all": (), "best": (LAST, PREVIOUS), "weights": (LAST, PREVIOUS, BEST)}  # by log.keep


class OtherTask(ValueError):
    """A file holds the network of another task than the one that is asked for."""


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
    content, end_verification = begin(checkpoint)
    end_verification()
    check_network(content, checkpoint)
    return content


def verified(checkpoint: Path) -> Any:
    """Reads whatever a file of weights holds, verified where it can be, without asking for its parts; see `read`."""
    content, end_verification = begin(checkpoint)
    end_verification()
    return content


def begin(checkpoint: Path) -> tuple[Any, Callable[[], None]]:
    """Reads a file and begins to verify it.

    Returns:
        Its content, and a function that waits for the verdict, and raises what `read` raises.
    """

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


def check_network(content: Any, checkpoint: Path) -> None:
    """Raises ValueError unless a file says which network it belongs to."""
    if not isinstance(content, dict) or not _PARTS.keys() <= content.keys():
        raise ValueError(f"{checkpoint} is not a checkpoint of cv_attention: it does not record its network")
    for name, kind in _PARTS.items():
        if not isinstance(content[name], kind):
            raise Damaged(f"{checkpoint} is damaged: its {name} must be a mapping, got {type(content[name]).__name__}")


def _instead(checkpoint: Path) -> str:
    """Names another file of the same run that holds a network."""
    run = checkpoint.parent if checkpoint.suffix == ".safetensors" else checkpoint.parent.parent
    others = {
        BEST: (RunLayout(run).weights, "the network that was tested last"),
        RunLayout(run).weights.name: (RunLayout(run).checkpoint("best"), "the best network"),
        LAST: (RunLayout(run).checkpoint("previous"), "the checkpoint before it"),
    }
    file, content = others.get(checkpoint.name, (None, ""))
    return f"; {file} is {content}" if file is not None and file.is_file() else ""


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
    """Finds a checkpoint of a run.

    Args:
        path: A checkpoint, a file of weights (``.safetensors``), or a run directory.
        name: Which checkpoint of the run directory: ``best``, the one that is used and was tested (see
            `selection.select`), or ``last``. If a copy of the directory has no checkpoints, the
            ``weights.safetensors`` in it is the best one. In a folder that was shared it is ``model.safetensors``.

    Returns:
        Path of the file.

    Raises:
        FileNotFoundError: if there is none; the message lists the existing ones.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import training
        >>> Path("runs/mine/checkpoints").mkdir(parents=True)
        >>> Path("runs/mine/checkpoints/last.ckpt").touch()  # as `fit` does, with content
        >>> training.find_checkpoint(Path("runs/mine"), "last").as_posix()
        'runs/mine/checkpoints/last.ckpt'
    """
    if path.is_file():
        return path
    if not path.exists():
        near = [str(run) for run in runs_in(path.parent)]
        existing = f"; available: {', '.join(near)}" if near else ""
        raise FileNotFoundError(f"{path} does not exist{existing}")
    if name == "best" and (published := path / PUBLISHED_WEIGHTS).is_file():
        return published
    checkpoint = RunLayout(path).checkpoint(name)
    if checkpoint.is_dir():
        raise ValueError(f"{checkpoint} is a folder, expected a checkpoint")
    if not checkpoint.is_file():
        if name == "best" and (final := RunLayout(path).weights).is_file():
            return final
        existing = sorted(str(file) for file in path.rglob("*.ckpt"))
        raise FileNotFoundError(f"{checkpoint} does not exist; {path} holds {', '.join(existing) or 'no checkpoint'}")
    return checkpoint


def facts_in(values: Any, kind: type[Any]) -> Any:
    """Reads the facts of a checkpoint.

    Args:
        values: Plain values, as the checkpoint holds them.
        kind: The task's `facts_type`.

    Raises:
        ValueError: where they cannot be those of a network.
    """
    facts = from_plain(kind, values, "facts")
    facts = replace(facts, **{name: tuple(value) for name, value in vars(facts).items() if isinstance(value, list)})
    facts.check()
    return facts


def require_task(content: Mapping[str, Any], checkpoint: Path, task: type[Task]) -> None:
    """Raises OtherTask unless a network was trained for `task`; `content` is that of its file."""
    name = content.get("task", _FIRST_TASK)
    if name != task.name:
        raise OtherTask(
            f"{checkpoint} was trained for the task {str(name)[:40]!r}, not {task.name!r}; from Python, give the class "
            "of its task as task="
        )


def name_of(checkpoint: Path | Task) -> str:
    """Names what `load` takes: a file by its path, an open network by its backbone and the file of its weights."""
    if isinstance(checkpoint, Path):
        return str(checkpoint)
    model = checkpoint.experiment.model
    return f"{model.backbone} with {model.weights or 'pretrained weights'}"


def digest_of(checkpoint: Path | Task) -> str:
    """Returns the SHA-256 of a file, or of an open network: its weights, and what it was built from."""
    if isinstance(checkpoint, Path):
        return checksum(checkpoint)
    model = checkpoint.experiment.model
    built = {name: getattr(model, name) for name in ("backbone", "options", "block", "at")}
    return sha256({**built, "state_dict": checkpoint.network.state_dict()})


def epochs_trained(checkpoint: Path) -> int:
    """Returns how many epochs the network of a checkpoint had been trained when it was written after one."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["epoch"] + 1
