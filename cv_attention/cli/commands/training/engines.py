"""Chooses where ``cv-attention study`` trains: ``--engine``, ``--threads``, ``--gpus`` and ``--slurm``."""

import re
from typing import Any

from cv_attention import study
from cv_attention.cli.errors import UserError, user_errors
from cv_attention.study.running.engine import Engine

ENGINES = (
    "local:N trains N networks at once on this machine (default 2); ray or ray:N on the cluster of RAY_ADDRESS or one "
    "that it starts; slurm or slurm:N as jobs, N of them in the queue at once (default 64)."
)
_MOST = {"local": 256, "ray": 10_000, "slurm": 10_000}
_JOBS = 64  # in the queue of SLURM at once


def chosen(text: str, threads: int | None, gpus: float | None, slurm: str | None) -> Engine:
    """Returns the engine that the options name; nothing starts.

    Args:
        text: ``--engine``.
        threads: ``--threads``.
        gpus: ``--gpus``.
        slurm: ``--slurm``.

    Raises:
        UserError: naming the option.
    """
    name, workers = _named(text)
    if threads is not None and not 1 <= threads <= 1024:
        raise UserError(f"--threads must be in [1, 1024], got {threads}")
    if gpus is not None and (name == "local" or not 0 <= gpus <= 64):
        why = "belongs to ray and slurm; local:N divides the GPUs" if name == "local" else "must be in [0, 64]"
        raise UserError(f"--gpus {why}, got {gpus:g}")
    if slurm is not None and name != "slurm":
        raise UserError(f"--slurm belongs to --engine slurm, got --engine {text}")
    with user_errors():
        if name == "ray":
            return study.RayEngine(workers, threads or 1, gpus)
        if name == "slurm":
            return study.SlurmEngine(workers or _JOBS, threads or 1, gpus, _options(slurm or ""))
    return study.LocalEngine(workers or 2, threads)


def _named(text: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(local|ray|slurm)(?::(\d{1,5}))?", text)
    most = _MOST[match[1]] if match else 0
    if match is None or (match[2] and not 1 <= int(match[2]) <= most):
        numbers = f", N from 1 to {most:,}" if match else ""
        raise UserError(f"--engine must be local:N, ray, ray:N, slurm or slurm:N{numbers}, got {text}")
    return match[1], int(match[2]) if match[2] else None


def _options(text: str) -> dict[str, Any]:
    """Reads ``partition=gpu,timeout_min=240``; whole numbers and decimals become numbers."""
    options: dict[str, Any] = {}
    for entry in filter(None, text.split(",")):
        name, equals, value = entry.partition("=")
        if not equals or not re.fullmatch(r"[a-z_]+", name) or not value:
            raise UserError(f"--slurm must be NAME=VALUE,NAME=VALUE, got {entry!r}")
        number = float(value) if re.fullmatch(r"\d{1,9}\.\d{1,6}", value) else value
        options[name] = int(value) if re.fullmatch(r"\d{1,9}", value) else number
    return options
