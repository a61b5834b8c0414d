"""Loads the weights that a training run starts from, without the head if the classes differ."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.models.new_head import has_head_at_zero, start_head_at_zero
from cv_attention.backbones.positions.parameters import head_names
from cv_attention.backbones.published.loading import renamed
from cv_attention.config import Model
from cv_attention.heads import BagNetwork, TextRecognizer
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.checkpoint.bag_weights import load_bags
from cv_attention.training.checkpoint.checkpoints import find_checkpoint
from cv_attention.training.checkpoint.reader_weights import load_reader


def start(network: nn.Module, model: Model, names: list[str] | None) -> list[str]:
    """Loads ``model.weights`` into the network, and says what it starts from: a line, or none for random weights."""
    if model.weights:
        return [load(network, model, names)]
    if not model.pretrained:
        return []
    return [f"weights: pretrained {model.backbone}{_head_line(names) if has_head_at_zero(network) else ''}"]


def load(network: nn.Module, model: Model, names: list[str] | None) -> str:
    """Loads ``model.weights`` into the network.

    Args:
        network: The network with its blocks inserted.
        model: The network's part of the configuration.
        names: What the network's outputs stand for, such as the classes of the data set; None where they have no
            names. A head with other names is reinitialized.

    Returns:
        One line on what was loaded and what is new.

    Raises:
        FileNotFoundError: if the checkpoint does not exist.
        ValueError: if the file is not a checkpoint, or its weights do not fit this network.
    """
    path = find_checkpoint(Path(model.weights or "").expanduser())
    state, trained_on = read(path)
    if isinstance(network, TextRecognizer):
        return load_reader(network, state, path, trained_on, names)
    if isinstance(network, BagNetwork):
        return load_bags(network, state, path, trained_on, names)
    as_stored = state
    new = network.state_dict()
    if model.weights_by == "position":
        state = by_position(state, network, path)
    else:
        state = renamed(state, network)
    head = [f"{name}." for name in head_names(network)]
    heads = [key for key in new if key.startswith(tuple(head))]
    fits = all(key in state and state[key].shape == new[key].shape for key in heads)
    if reset := not fits or (trained_on is not None and names is not None and trained_on != names):
        if model.train == "blocks":
            raise ValueError(
                f"model.weights: {path} has other classes than the data, so the head must be trained; "
                "model.train is blocks, use blocks+head"
            )
        state = {key: value for key, value in state.items() if not key.startswith(tuple(head))}
        start_head_at_zero(network)
        state |= {key: new[key] for key in heads}  # the network's own tensors
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # shapes
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"model.weights: {path} does not fit {model.backbone}: {reason}") from error
    if missing or unexpected:
        says = [_list("lacks", missing), _list("has in addition", unexpected)]
        advice = _advice(as_stored, network, path) if missing and unexpected and model.weights_by == "name" else ""
        raise ValueError(
            f"model.weights: {path} does not fit {model.backbone}: it {' and '.join(filter(None, says))}{advice}"
        )
    return f"weights: {path}{_head_line(names) if reset else ''}"


def by_position(state: dict[str, Tensor], network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Assigns the weights of another library to the network's names by position.

    Inserted blocks are skipped. The head's weights may be for other classes; all others must have the same shapes.

    Raises:
        ValueError: if the numbers of weights or their shapes differ.
    """
    blocks = tuple(f"{name}.{child}." if name else f"{child}." for name, _, child, _ in attached(network))
    expected = {name: value for name, value in network.state_dict().items() if not name.startswith(blocks)}
    heads = tuple(f"{name}." for name in head_names(network))
    if len(state) != len(expected):
        raise ValueError(
            f"model.weights: {path} holds {len(state)} weights and the network {len(expected)}, so they do not fit by "
            "position"
        )
    for (stored_name, value), (name, weight) in zip(state.items(), expected.items(), strict=True):
        if value.shape != weight.shape and not name.startswith(heads):
            raise ValueError(
                f"model.weights: {path} does not fit by position: its {stored_name} is {tuple(value.shape)}, and "
                f"{name} in its place is {tuple(weight.shape)}"
            )
    return dict(zip(expected, state.values(), strict=True))


def _advice(state: dict[str, Tensor], network: nn.Module, path: Path) -> str:
    """Suggests `by_position` if it would work."""
    try:
        by_position(state, network, path)
    except ValueError:
        return ""
    return "; the shapes are the same in the same order: load them with model.weights_by position"


def _head_line(names: list[str] | None) -> str:
    return f"; the head is reinitialized{f' for {len(names)} classes' if names is not None else ''}, at zero"


def read(path: Path) -> tuple[dict[str, Tensor], list[str] | None]:
    """Reads weights by the network's own names, and the class names if the file has them.

    Raises:
        ValueError: if the file cannot be read or holds no weights.
    """
    from timm.models import load_state_dict

    try:
        content = checkpoints.verified(path)  # first, because its message says what is wrong
        state: dict[str, Any] = load_state_dict(str(path), device="cpu", weights_only=True)  # pyright: ignore
    except Exception as error:  # whatever a damaged or foreign file provokes
        raise _unreadable(path, error) from error
    facts = content.get("facts") if isinstance(content, dict) else None
    classes = facts.get("class_names", facts.get("units")) if isinstance(facts, dict) else None
    if not isinstance(classes, list | tuple):
        classes = None
    named = all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items())
    if not state or not named:
        raise ValueError(f"model.weights: {path} is not a checkpoint: it holds no named weights")
    if all(key.startswith("network.") for key in state):  # ours
        state = {key.removeprefix("network."): value for key, value in state.items()}
    return state, None if classes is None else [str(name) for name in classes]


def stated(path: Path) -> dict[str, Any] | None:
    """Reads the metadata of our weight files, ``experiment`` and ``facts``; None for files of other programs.

    Raises:
        ValueError: if the file cannot be read.
    """
    try:
        content = checkpoints.verified(path)
    except Exception as error:  # whatever a damaged or foreign file provokes
        raise _unreadable(path, error) from error
    return content if isinstance(content, dict) and {"experiment", "facts"} <= content.keys() else None


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if reason.startswith(str(path)):
        return ValueError(f"model.weights: {reason}")
    return ValueError(f"model.weights: {path} cannot be read as a checkpoint: {reason}")


def _list(verb: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{verb} {shown}" if names else ""
