"""Describes where a result came from: configuration, data set and code version."""

from dataclasses import asdict
from typing import Any

from cv_attention.config import Experiment
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.facts import DataFacts


def described(experiment: Experiment, facts: DataFacts) -> dict[str, Any]:
    """Returns the metadata stored with weights, as plain values: ``experiment``, ``facts`` and ``provenance``."""
    return {"experiment": experiment.to_dict(), "facts": asdict(facts), "provenance": provenance(experiment)}


def provenance(experiment: Experiment) -> dict[str, str]:
    """Returns the configuration's fingerprint and the versions of the code, with the commit where that is known."""
    import torch

    return {"config": experiment.fingerprint(), "cv_attention": code_version(), "torch": str(torch.__version__)}
