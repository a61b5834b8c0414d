"""Describes where a result came from: configuration, data set and code version."""

import subprocess
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from cv_attention.config import Experiment
from cv_attention.version import __version__


def described(task: str, experiment: Experiment, facts: Any) -> dict[str, Any]:
    """Returns what is stored with weights, as plain values.

    Args:
        task: Name of the task.
        experiment: The configuration.
        facts: What the network knows of its data, a dataclass.

    Returns:
        ``task``, ``experiment``, ``facts`` and ``provenance``.
    """
    return {
        "task": task,
        "experiment": experiment.to_dict(),
        "facts": asdict(facts),
        "provenance": provenance(experiment),
    }


def provenance(experiment: Experiment) -> dict[str, str]:
    """Returns the configuration's fingerprint and the versions of the code, with the commit where that is known."""
    import torch

    return {"config": experiment.fingerprint(), "cv_attention": code_version(), "torch": str(torch.__version__)}


@cache
def code_version() -> str:
    """Returns the package's version; from a checkout also the commit, and ``dirty`` where files differ from it."""
    package = Path(__file__).parents[1]
    if not (package.parent / ".git").exists():
        return __version__
    try:
        git = ["git", "-C", str(package.parent), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
        commit = subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # no git here, or not our checkout
        return __version__
    return f"{__version__}+{commit}"
