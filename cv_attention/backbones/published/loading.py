"""Inserts the attention blocks of published weights into a plain network, and loads all weights."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.insertion.insertion import insert, plan, remove
from cv_attention.backbones.insertion.plans import Plan
from cv_attention.backbones.published.layouts import PublishedBlock, blocks_in
from cv_attention.extras import require

_UNUSED = ".num_batches_tracked"  # which files from before torch 0.4.1 lack


def load_published(model: nn.Module, weights: str | os.PathLike[str] | Mapping[str, Any]) -> Plan:
    """Inserts the attention blocks that published weights have into a plain network, and loads all weights.

    Recognizes squeeze-and-excitation of timm, of Cadene's pretrained-models.pytorch and of moskomule's senet.pytorch,
    ECA of timm and of its authors, and CBAM of timm and of its authors, in networks whose other weights are named as
    in the plain network: ``seresnet50`` fits timm's and torchvision's ``resnet50``. Options such as the reduction or
    the kernel follow from the shapes of the weights.

    Args:
        model: The plain network, without inserted blocks and with as many classes as the weights.
        weights: A file, read without running code from it, or its content: weights by name, also within
            ``state_dict`` or ``model``, and with ``module.`` before each name.

    Returns:
        The insertion, for `remove`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there are no blocks of a known layout in the file, or its weights do not fit the network, which
            is then unchanged.

    Examples:
        >>> import timm, torch
        >>> import cv_attention as cva
        >>> published = timm.create_model("seresnet18").eval()  # such as timm's weights, pretrained=True
        >>> model = timm.create_model("resnet18").eval()
        >>> plan = cva.backbones.load_published(model, published.state_dict())
        >>> plan.sites[0].name, plan.block
        ('layer1.0.bn2', 'se')
        >>> images = torch.randn(1, 3, 64, 64)
        >>> torch.allclose(model(images), published(images), atol=1e-5)
        True
    """
    if next(attached(model), None) is not None:
        raise ValueError("the network has inserted blocks already; give it as it was before, or remove() them")
    state = unwrapped(weights if isinstance(weights, Mapping) else _read(Path(weights)))
    found = blocks_in(state)
    if not found:
        raise ValueError("the weights have no attention blocks of a known layout (SE, ECA or CBAM)")
    specs = {unit: block.spec for unit, block in found.items()}
    sites = [site.name for site in plan(model, _nothing, "residual").sites]
    unit_of = _units(sites, found)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    planned = insert(model, [(specs[unit], site) for site, unit in unit_of.items()])
    try:
        _load(model, renamed(state, model))
    except Exception:
        remove(model)
        model.load_state_dict(before)
        raise
    return planned


def renamed(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Names the attention blocks in published weights as they are called in a network with inserted blocks.

    Args:
        state: Weights by name.
        model: The network with its blocks.

    Returns:
        All weights; those of the blocks by the network's names, if they are of a known layout and each of them belongs
        to one inserted block.
    """
    found = blocks_in(state)
    hosts = {host: f"{host}.{child}" for host, _, child, _ in attached(model)}
    try:
        unit_of = _units(hosts, found)
    except ValueError:
        return dict(state)
    known = {key for unit in unit_of.values() for key in found[unit].keys}
    others = {name: value for name, value in state.items() if name not in known}
    ours = {
        f"{hosts[host]}.{name}": value for host, unit in unit_of.items() for name, value in found[unit].tensors.items()
    }
    return {**others, **ours}


def unwrapped(content: Any) -> dict[str, Tensor]:
    """Returns the named weights in the content of a file.

    Raises:
        ValueError: if there are none.
    """
    for name in ("state_dict_ema", "state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"the weights must be tensors by their names, got {type(content).__name__}")
    state = {str(name).removeprefix("module."): value for name, value in content.items()}
    if wrong := next((name for name, value in state.items() if not isinstance(value, Tensor)), None):
        raise ValueError(f"the weights must be tensors by their names, got a {type(state[wrong]).__name__} at {wrong}")
    return state


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        require("train", f"reading '{path}'")
        from safetensors.torch import load_file

        return load_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever a damaged or foreign file provokes
        raise ValueError(f"'{path}' cannot be read as weights: {str(error).splitlines()[0]}") from error


def _units(hosts: Iterable[str], found: Mapping[str, PublishedBlock]) -> dict[str, str]:
    """Returns the residual block of the file that each host lies in.

    Raises:
        ValueError: if a residual block of the file has no host, or several.
    """
    unit_of = {}
    for host in hosts:
        parts = host.split(".")
        above = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        if (unit := next((name for name in above if name in found), None)) is not None:
            unit_of[host] = unit
    placed = list(unit_of.values())
    if wrong := next((unit for unit in found if placed.count(unit) != 1), None):
        what = "no place" if wrong not in placed else "several places"
        raise ValueError(f"the network has {what} for the attention block of {wrong}")
    return unit_of


def _load(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split(":", 1)[-1].split())
        raise ValueError(f"the weights do not fit {type(model).__name__}: {reason[:300]}") from error
    missing = [name for name in missing if not name.endswith(_UNUSED)]
    unexpected = [name for name in unexpected if not name.endswith(_UNUSED)]
    if missing or unexpected:
        parts = [
            f"{verb} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
            for verb, names in (("lack", missing), ("have in addition", unexpected))
            if names
        ]
        raise ValueError(f"the weights do not fit {type(model).__name__}: they {' and '.join(parts)}")


def _nothing(channels: int) -> nn.Module:
    return nn.Identity()
