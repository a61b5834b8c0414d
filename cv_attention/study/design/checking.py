"""Checks the configurations of a study before anything is trained."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cv_attention.blocks.catalogue import find
from cv_attention.config import Experiment
from cv_attention.config.checking import check, check_source

_CHANNELS = 64  # on which controls are tried


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


def check_controls(path: Path, controls: Iterable[tuple[str, str, Any]]) -> None:
    """Makes sure that every control changes something of its block; imports torch.

    Args:
        path: The study file, for messages.
        controls: Networks, names of their controls, and their ``model.block``.

    Raises:
        ValueError: naming the network and the control.
    """
    from cv_attention.blocks import resolve
    from cv_attention.blocks.controls.base import NothingToControl

    for network, control, spec in controls:
        for block in _each(spec):
            try:
                resolve(block)(_CHANNELS)
            except NothingToControl as error:
                raise ValueError(
                    f"{path}: controls: {control} of {network}: {error}; leave it out with "
                    f"controls.without: {{{network}: [{control}]}}"
                ) from error
            except Exception:  # what else a block refuses depends on its place, and is the result of its training runs
                continue


def _each(block: Any) -> Iterator[Any]:
    """Yields the block of every place."""
    several = isinstance(block, Mapping) and not {"name", "class_path"} & set(block)
    yield from block.values() if several else [block]


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
