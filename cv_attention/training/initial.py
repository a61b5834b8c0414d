"""The weights that a training starts from: any checkpoint, its head left out where the classes differ."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.parts import head_names
from cv_attention.config import Model
from cv_attention.training import weights
from cv_attention.training.checkpoints import find_checkpoint


def load(network: nn.Module, model: Model, class_names: list[str]) -> str:
    """Loads ``model.weights`` into the network.

    Args:
        network: The network, its blocks inserted.
        model: The network's part of the configuration.
        class_names: The classes of the data set.

    Returns:
        One line that says what was loaded and what is new.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if the file is no checkpoint, or its weights are not those of this network.
    """
    path = find_checkpoint(Path(model.weights or "").expanduser())
    state, known = _read(path)
    head = [f"{name}." for name in head_names(network)]
    own = network.state_dict()
    heads = [key for key in own if key.startswith(tuple(head))]
    fits = all(key in state and state[key].shape == own[key].shape for key in heads)
    if reset := not fits or (known is not None and known != class_names):
        if model.train == "blocks":
            raise ValueError(
                f"model.weights: {path} knows other classes than the data, so the head has to learn; "
                "model.train is blocks, use blocks+head"
            )
        state = {key: value for key, value in state.items() if not key.startswith(tuple(head))}
        state |= {key: own[key] for key in heads}
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # shapes
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"model.weights: {path} does not fit {model.backbone}: {reason}") from error
    if missing or unexpected:
        says = [_list("lacks", missing), _list("has besides", unexpected)]
        raise ValueError(f"model.weights: {path} does not fit {model.backbone}: it {' and '.join(filter(None, says))}")
    head_line = f"; the head starts anew for {len(class_names)} classes" if reset else ""
    return f"weights: {path}{head_line}"


def _read(path: Path) -> tuple[dict[str, Tensor], list[str] | None]:
    """The weights by the network's own names, and the class names where the file knows them."""
    from timm.models import load_state_dict

    try:
        state: dict[str, Any] = load_state_dict(str(path), device="cpu", weights_only=True)  # pyright: ignore
        facts = _facts(path)
    except Exception as error:  # whatever a damaged or foreign file provokes
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"model.weights: {path} cannot be read as a checkpoint: {reason}") from error
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"model.weights: {path} is no checkpoint: it holds no weights by name")
    if all(key.startswith("network.") for key in state):  # ours
        state = {key.removeprefix("network."): value for key, value in state.items()}
    return state, list(facts["class_names"]) if facts else None


def _facts(path: Path) -> dict[str, Any] | None:
    """What a file of ours says of its data set; None in files of others."""
    if path.suffix == ".safetensors":
        content = weights.read(path)
    else:
        content = torch.load(path, map_location="cpu", weights_only=True)
    return content.get("facts") if isinstance(content, dict) else None


def _list(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{what} {shown}" if names else ""
