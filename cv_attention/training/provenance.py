"""Describes where a result came from: configuration, data set and code version."""

from dataclasses import asdict
from typing import Any

from cv_attention.config import Experiment
from cv_attention.rundir.code_version import code_version


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
