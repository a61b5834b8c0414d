"""Files that the system does not let be read are not called damaged, and stay where they are."""

import errno
import io
import shutil
from pathlib import Path

import pytest
import torch

from cv_attention.cli import main
from cv_attention.rundir import Damaged, NotRead, read_json, read_yaml, summary
from cv_attention.training.checkpoint import checkpoints, weights
from cv_attention.training.checkpoint.resumable import resumable
from cv_attention.training.tasks.classifier import Classifier
from tests.quick import quick_first


@pytest.fixture
def run(tiny_run, tmp_path) -> Path:
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("report", "wandb", ".lock"))


FAILURES = {
    "permission": PermissionError(errno.EACCES, "Permission denied"),
    "disk": OSError(errno.EIO, "Input/output error"),
    "open files": OSError(errno.EMFILE, "Too many open files"),
    "memory": MemoryError(),
    "torch's memory": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "torch's open": RuntimeError("open file failed because of errno 24 on fopen: Too many open files"),
}


@pytest.mark.parametrize("failure", quick_first(FAILURES.values(), 3), ids=FAILURES)
def test_a_checkpoint_that_cannot_be_read_now_stays(failure, run, monkeypatch, capsys):
    before = sorted(path.name for path in (run / "checkpoints").iterdir())

    def refuse(*args: object, **options: object) -> None:
        raise failure

    monkeypatch.setattr(torch, "load", refuse)
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs=3"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{run}/checkpoints/last.ckpt cannot be read now: " in error
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == before
    monkeypatch.undo()
    assert resumable(run, Classifier)[0].name == "last.ckpt"


@pytest.mark.parametrize("name", ["checkpoints/best.ckpt", "weights.safetensors"])
def test_a_disk_that_fails_in_the_middle_of_a_file_is_not_damage(name, run, monkeypatch):
    path = run / name
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(Damaged):
        checkpoints.read(path)

    def fail(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoints, "checksum", fail)
    with pytest.raises(NotRead, match=rf"{name} cannot be read now: Input/output error"):
        checkpoints.read(path)


def test_weights_and_summaries_that_cannot_be_opened_name_the_reason(run, monkeypatch):
    opened = io.open

    def refuse(file: object, *args: object, **options: object) -> object:
        if str(file).startswith(str(run)):
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return opened(file, *args, **options)  # pyright: ignore

    monkeypatch.setattr(io, "open", refuse)
    for read, name in (
        (checkpoints.read, "weights.safetensors"),
        (read_json, "summary.json"),
        (read_yaml, "config.yaml"),
        (lambda path: summary.read(path.parent), "summary.json"),
    ):
        with pytest.raises(NotRead, match=f"{run / name} cannot be read now: Permission denied"):
            read(run / name)


def test_memory_that_ends_while_a_hash_is_computed_is_not_damage(run, monkeypatch):
    def verifying(*args: object) -> object:
        def finish() -> None:
            raise MemoryError

        return finish

    monkeypatch.setattr(weights, "verifying", verifying)
    with pytest.raises(NotRead, match="not enough memory"):
        checkpoints.read(run / "weights.safetensors")
