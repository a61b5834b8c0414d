"""Reads and writes final weights as safetensors, with the metadata of network and data."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cv_attention.rundir.files import write_bytes
from cv_attention.training.checkpoint.sealing import sealed, verifying
from cv_attention.training.provenance import described
from cv_attention.training.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn


def write(path: Path, task: Task) -> None:
    """Writes the network's weights, by the names that it has without a task around it.

    The metadata hold, as JSON: ``task`` (its name), ``experiment`` (the configuration), ``facts`` (such as class names,
    normalisation, image size), ``provenance`` (the configuration's fingerprint, the code's version),
    ``cv_attention_format`` and ``sha256``, the checksum of the tensors and of all these.
    """
    store(path, task.network, described(task.name, task.experiment, task.facts))


def store(path: Path, network: "nn.Module", about: Mapping[str, Any]) -> None:
    """Writes a network's weights as `write` does, with these metadata: what `provenance.described` returns."""
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    plain = json.loads(json.dumps(about))  # as it will be read: keys are text
    content = sealed({"state_dict": tensors, **plain})
    metadata = {name: json.dumps(value) for name, value in content.items() if name not in ("state_dict", "format")}
    metadata["cv_attention_format"] = json.dumps(content["format"])
    write_bytes(path, save(tensors, {"format": "pt", **metadata}), durable=True)


def read(path: Path) -> dict[str, Any]:
    """Reads and verifies a file from `write`, structured like a checkpoint.

    Raises:
        ValueError: if the file cannot be read, is damaged, or was written in a newer format.
    """
    content, finish = begin(path)
    finish()
    return content


def begin(path: Path) -> tuple[dict[str, Any], Callable[[], None]]:
    """Reads a file from `write`, structured like a checkpoint, and starts verifying it in the background.

    Returns:
        The content, and a function that waits for the verification; see `sealing.verifying`.

    Raises:
        ValueError: if the file cannot be read, or was written in a newer format.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        metadata = file.metadata() or {}
    names = {"task", "experiment", "facts", "provenance", "sha256"} & metadata.keys()
    plain = {name: json.loads(metadata[name]) for name in names}
    if "cv_attention_format" in metadata:
        plain["format"] = json.loads(metadata["cv_attention_format"])
    verified = verifying({"state_dict": tensors, **plain}, path)
    return {**plain, "state_dict": {f"network.{name}": value for name, value in tensors.items()}}, verified
