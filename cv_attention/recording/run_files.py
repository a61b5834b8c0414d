"""Writes configuration, summary and page of a run that a `Recorder` records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.recording.network import block_names, described
from cv_attention.recording.probe_files import same_probes
from cv_attention.report.write.build import build
from cv_attention.rundir import summary
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.contents import Probes
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import MARKS, RunLayout

_RECORDER = "recorder"  # in the summary of a run that a `Recorder` writes


def begin(
    run: RunLayout,
    model: nn.Module,
    inputs: Tensor,
    probes: Probes,
    pictures: NDArray[np.uint8],
    config: Mapping[str, Any],
) -> None:
    """Writes what is known before the first epoch; a run that was completed before is open again.

    Raises:
        ValueError: if the directory holds a run of ``cv-attention fit``, or one of other images.
    """
    check_directory(run, probes, pictures)
    text = _config(model, config)  # before anything is written
    if run.summary.exists():
        summary.forget_results(run.root)
    versions = {"cv_attention": code_version(), "torch": str(torch.__version__)}
    about = {_RECORDER: True, "class_names": list(probes.class_names), "provenance": versions}
    summary.update(run.root, **about, **described(model, inputs))
    write_text(run.config, text)


def check_directory(run: RunLayout, probes: Probes | None, pictures: NDArray[np.uint8]) -> None:
    """Raises ValueError if a directory holds a run of ``cv-attention fit``, or one of other images.

    Args:
        run: The run directory.
        probes: What is to be recorded; None where the class names are not known yet, and images are not compared.
        pictures: The images (N, H, W, 3).
    """
    if any((run.root / mark).exists() for mark in MARKS) and not summary.read(run.root).get(_RECORDER):
        raise ValueError(f"{run.root} holds a run that no Recorder has written; give another directory")
    if probes and run.probes.exists() and not same_probes(run, probes, pictures):
        raise ValueError(
            f"{run.root} holds maps of other images, labels or class names; give another directory, or remove it to "
            "start over"
        )


def configuration(config: Any) -> dict[str, Any]:
    """Returns a recorder's `config` as a dictionary.

    Raises:
        ValueError: if it is not a mapping, its ``model`` is none, or YAML cannot hold one of its values.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ValueError(f"config must be a mapping such as {{'seed': 0}}, or vars(...) of it, got {config!r:.60}")
    found = dict(config or {})
    part = found.get("model", {})
    if not isinstance(part, Mapping):
        raise ValueError(f"config: model must be a mapping such as {{'backbone': 'my_net'}}, got {part!r}")
    _text(found)
    return found


def _config(model: nn.Module, config: Mapping[str, Any]) -> str:
    known = {"backbone": type(unwrap(model)).__name__, "block": " + ".join(block_names(model)) or None}
    return _text({**config, "model": {**known, **config.get("model", {})}})


def _text(config: Mapping[str, Any]) -> str:
    try:
        return yaml.safe_dump(config, sort_keys=False)
    except yaml.YAMLError as error:
        raise ValueError(f"config must hold numbers, text, lists and mappings, got {error.args[-1]!r}") from error


def finish(run: RunLayout, validation: Mapping[str, float]) -> Path:
    """Writes results and checksums, and builds the page.

    Args:
        run: The run directory.
        validation: Metrics of the last epoch, and ``epoch``; empty without any.
    """
    results = {"validation": dict(validation)} if validation else {}
    summary.update(run.root, **results, finished=True, **{summary.FILES: summary.checksums(run.root)})
    return build(run.root)
