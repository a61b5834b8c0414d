"""Computes a SHA-256 over the tensors and plain values of a checkpoint, with their names."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def sha256(tree: Any) -> str:
    """Hashes a tree of dicts, lists, tuples, tensors and plain values.

    The order of dict keys does not matter; names, types, shapes and every bit of every tensor do. The device of a
    tensor does not.

    Args:
        tree: The tree, such as the content of a checkpoint.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    _add(digest, tree)
    return digest.hexdigest()


def _add(digest: Any, tree: Any) -> None:
    if isinstance(tree, Tensor):
        tensor = tree.detach().cpu().contiguous()
        digest.update(f"tensor {tensor.dtype} {tuple(tensor.shape)}:".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(tree, Mapping):
        digest.update(f"dict {len(tree)}:".encode())
        for key in sorted(tree, key=lambda key: (type(key).__name__, str(key))):
            digest.update(f"{type(key).__name__} {key!r}=".encode())
            _add(digest, tree[key])
    elif isinstance(tree, list | tuple):
        digest.update(f"list {len(tree)}:".encode())
        for value in tree:
            _add(digest, value)
    else:
        digest.update(f"{type(tree).__name__} {tree!r};".encode())
