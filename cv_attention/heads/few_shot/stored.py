"""Reads and writes the files of an `ImageMemory`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cv_attention.extras import require
from cv_attention.rundir import Damaged, read_sealed, sealed
from cv_attention.rundir.files import write_bytes, write_text

FORMAT = 1  # of ``memory.json``


@dataclass(frozen=True)
class StoredMemory:
    """Holds what the files of a memory say.

    Attributes:
        keys: float32 (N, D), features of the remembered images.
        probe: float32 (1, D), features of a test image, by which another network is noticed.
        labels: The class of each image.
        names: Its name.
        size: (C, H, W) of the images.
        settings: ``strength``, None where it is to be chosen, and ``prototypes``.
    """

    keys: Tensor
    probe: Tensor
    labels: list[Any]
    names: list[str]
    size: tuple[int, ...]
    settings: dict[str, Any]


def write_stored(folder: Path, memory: StoredMemory) -> None:
    """Writes ``memory.safetensors``, then ``memory.json``, which holds its SHA-256.

    Args:
        folder: The folder; it is made if it does not exist.
        memory: What to write.

    Raises:
        OSError: if it cannot be written.
    """
    require("train", "saving a memory")
    import json

    from safetensors.torch import save

    tensors = save({"keys": memory.keys.contiguous(), "probe": memory.probe.contiguous()})
    content = {
        "labels": memory.labels,
        "names": memory.names,
        "size": list(memory.size),
        "settings": memory.settings,
        "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
    }
    write_bytes(folder / "memory.safetensors", tensors)
    write_text(folder / "memory.json", json.dumps(sealed(content, FORMAT), indent=1) + "\n")


def read_stored(folder: Path) -> StoredMemory:
    """Reads both files; nothing in them is executed.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, or of a newer format.
    """
    require("train", "loading a memory")
    from safetensors import SafetensorError
    from safetensors.torch import load

    path, description = folder / "memory.safetensors", folder / "memory.json"
    for each in (path, description):
        if not each.is_file():
            raise FileNotFoundError(f"{each} does not exist; ImageMemory.save writes it")
    content, tensors = read_sealed(description, FORMAT), path.read_bytes()
    try:
        if hashlib.sha256(tensors).hexdigest() != content["tensors_sha256"]:
            raise Damaged(f"{path} is damaged, or does not belong to {description}: its SHA-256 is another one")
        found = load(tensors)
        return _checked(found["keys"], found["probe"], content)
    except Damaged:
        raise
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise Damaged(f"{description} is damaged: {error or type(error).__name__}") from error


def _checked(keys: Tensor, probe: Tensor, content: dict[str, Any]) -> StoredMemory:
    labels, names, size = content["labels"], [str(name) for name in content["names"]], content["size"]
    if keys.ndim != 2 or not len(keys) == len(labels) == len(names) or probe.shape != (1, keys.shape[1]):
        raise ValueError("features, labels and names do not fit together")
    if keys.dtype != torch.float32 or not bool(torch.isfinite(keys).all()):
        raise ValueError("features must be finite and float32")
    if not all(isinstance(label, str | int) for label in labels) or len({type(label) for label in labels}) != 1:
        raise ValueError("labels must all be texts or all be whole numbers")
    if len(size) != 3 or not all(isinstance(side, int) and 0 < side <= 1 << 16 for side in size):
        raise ValueError(f"size must be three positive numbers, got {size!r:.60}")
    strength, prototypes = content["settings"]["strength"], content["settings"]["prototypes"]
    if not isinstance(prototypes, bool) or not (strength is None or isinstance(strength, int | float)):
        raise ValueError(f"settings are {content['settings']!r:.60}")
    return StoredMemory(keys, probe, labels, names, tuple(size), {"strength": strength, "prototypes": prototypes})
