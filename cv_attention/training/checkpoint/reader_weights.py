"""Loads a file's weights into a network that reads: all of them, or those of its backbone alone."""

from pathlib import Path

from torch import Tensor

from cv_attention.heads import TextRecognizer
from cv_attention.training.checkpoint.part_weights import require_fit

_READER, _BACKBONE = "reader.", "reader.model."


def load_reader(
    network: TextRecognizer, state: dict[str, Tensor], path: Path, trained_on: list[str] | None, names: list[str] | None
) -> str:
    """Loads the weights of a classifier, or of another network that reads, into a network that reads.

    Args:
        network: The network.
        state: The file's weights by name.
        path: The file, for messages.
        trained_on: What the outputs of the file's network stand for, if it says so.
        names: The units that this network writes.

    Returns:
        What was loaded: the backbone, or the head too.

    Raises:
        ValueError: if weights of the backbone are missing, or have other shapes.
    """
    own = network.state_dict()
    if not any(name.startswith(_READER) for name in state):
        state = {f"{_BACKBONE}{name}": value for name, value in state.items()}
    heads = [name for name in own if not name.startswith(_READER)]
    whole = trained_on == names and all(name in state and state[name].shape == own[name].shape for name in heads)
    wanted = list(own) if whole else [name for name in own if name.startswith(_READER)]
    require_fit(state, own, wanted, "backbone", _BACKBONE, path)
    network.load_state_dict({name: state[name] for name in wanted}, strict=whole)
    return f"weights: {path}" if whole else f"weights: {path}, of the backbone; the head is new"
