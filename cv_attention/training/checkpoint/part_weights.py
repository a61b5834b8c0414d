"""Makes sure that a file's weights fit the part of a network that takes them over."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor


def require_fit(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], wanted: Sequence[str], part: str, prefix: str, path: Path
) -> None:
    """Makes sure that weights are there and have the network's shapes.

    Args:
        state: The file's weights by name.
        own: The network's weights by name.
        wanted: The names of those that are taken over.
        part: What they make up, such as ``backbone``, for messages.
        prefix: What its names begin with in the network; messages leave it out.
        path: The file, for messages.

    Raises:
        ValueError: if weights are missing, or have other shapes.
    """
    if missing := [name.removeprefix(prefix) for name in wanted if name not in state]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(f"model.weights: {path} does not fit the {part}: it lacks {missing[0]}{more}")
    for name in wanted:
        if state[name].shape != own[name].shape:
            raise ValueError(
                f"model.weights: {path} does not fit the {part}: {name.removeprefix(prefix)} is "
                f"{tuple(state[name].shape)}, and the network's is {tuple(own[name].shape)}"
            )
