"""Checks the configurations of a study before anything is trained."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cv_attention.blocks.catalogue import find
from cv_attention.config import Experiment
from cv_attention.config.checking import check, check_source


def check_experiment(experiment: Experiment) -> None:
    """Checks a configuration as `fit` does before it imports torch.

    Raises:
        ValueError: naming the first option that is wrong.
    """
    check(experiment)
    check_source(experiment.data.name)
    for block in _named_blocks(experiment.model.block):
        find(block if isinstance(block, str) else str(block["name"]))


def check_blocks(path: Path, models: Iterable[tuple[str, Any]]) -> None:
    """Makes sure that the blocks of the catalogue have the options that the study file gives them; imports torch.

    Args:
        path: The study file, for messages.
        models: Networks of the file, and their ``model.block``.

    Raises:
        ValueError: naming the network, the block and the option.
    """
    from cv_attention.blocks import resolve

    for network, spec in models:
        for block in _named_blocks(spec):
            try:
                resolve(block)
            except ValueError as error:
                raise ValueError(f"{path}: networks.{network}: {error}") from error


def _named_blocks(block: Any) -> Iterator[Any]:
    """Yields the blocks of a ``model.block`` that the catalogue has, whatever wraps them."""
    if isinstance(block, str | Mapping) and "class_path" not in block and (isinstance(block, str) or "name" in block):
        yield from [] if isinstance(block, str) and "." in block else [block]
    elif isinstance(block, Mapping) and "class_path" in block:
        arguments = block.get("init_args") or {}
        if not isinstance(arguments, Mapping):
            raise ValueError(f"model.block: init_args must be a mapping of options, got {arguments!r:.60}")
        yield from _named_blocks(arguments.get("block"))
    elif isinstance(block, Mapping):
        if not block:
            raise ValueError("model.block is an empty mapping; give a name, {name: ...} or {position: block}")
        for inner in block.values():
            yield from _named_blocks(inner)
