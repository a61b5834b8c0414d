"""Loads a file's weights into a network of bags: all of them, or those of its encoder alone."""

from pathlib import Path

from torch import Tensor

from cv_attention.heads import BagNetwork
from cv_attention.training.checkpoint.part_weights import require_fit

_ENCODER, _CLASSIFIER = "encoder.", "classifier."


def load_bags(
    network: BagNetwork, state: dict[str, Tensor], path: Path, trained_on: list[str] | None, names: list[str] | None
) -> str:
    """Loads the weights of a classifier of images, or of another network of bags, into a network of bags.

    A classifier has no pooling, and its last layer is not taken over. Of another network of bags the pooling is taken
    if it is the same, and the classifier if the classes are.

    Args:
        network: The network.
        state: The file's weights by name.
        path: The file, for messages.
        trained_on: What the outputs of the file's network stand for, if it says so.
        names: The classes of the bags.

    Returns:
        What was loaded.

    Raises:
        ValueError: if weights of the encoder are missing, or have other shapes.
    """
    own = network.state_dict()
    if not any(name.startswith(_ENCODER) for name in state):
        state = {f"{_ENCODER}{name}": value for name, value in state.items()}
    wanted = [name for name in own if name.startswith(_ENCODER)]
    require_fit(state, own, wanted, "encoder", _ENCODER, path)
    new = []
    for part, title, same in (("pool.", "pooling", True), (_CLASSIFIER, "classifier", trained_on == names)):
        weights = [name for name in own if name.startswith(part)]
        stored = {name for name in state if name.startswith(part)}
        if same and stored == set(weights) and all(state[name].shape == own[name].shape for name in weights):
            wanted += weights
        elif weights:
            new.append(title)
    network.load_state_dict({name: state[name] for name in wanted}, strict=False)
    if not new:
        return f"weights: {path}"
    return f"weights: {path}; {' and '.join(new)} {'are' if len(new) > 1 else 'is'} new"
