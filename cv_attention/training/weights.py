"""Final weights as safetensors: a file that runs no code, and says which network and which data it belongs to."""

import json
from pathlib import Path
from typing import Any

from cv_attention.training.classifier import Classifier
from cv_attention.training.files import write_bytes
from cv_attention.training.provenance import described


def write(path: Path, classifier: Classifier) -> None:
    """Writes the network's weights, by the names that it has without a training around it.

    The metadata hold, as JSON: ``experiment`` (the configuration), ``facts`` (class names, normalisation, image size)
    and ``provenance`` (the configuration's fingerprint, the code's version).
    """
    from safetensors.torch import save

    tensors = {
        name: value.detach().cpu().contiguous().clone() for name, value in classifier.network.state_dict().items()
    }
    metadata = {name: json.dumps(value) for name, value in described(classifier.experiment, classifier.facts).items()}
    write_bytes(path, save(tensors, {"format": "pt", **metadata}), durable=True)


def read(path: Path) -> dict[str, Any]:
    """Reads what `write` wrote, arranged as in a checkpoint."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {f"network.{name}": file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        metadata = file.metadata() or {}
    plain = {name: json.loads(metadata[name]) for name in ("experiment", "facts", "provenance") if name in metadata}
    return {"state_dict": tensors, **plain}
