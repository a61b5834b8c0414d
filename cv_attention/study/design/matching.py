"""Makes plain networks that cost as much as one with a block: wider, deeper, or trained for longer."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from cv_attention.config import Experiment, Model
from cv_attention.rundir import read_json
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.files import write_text
from cv_attention.study.design.climbing import Climb
from cv_attention.study.opening import open_images, prepared

Cost = Literal["parameters", "flops", "latency", "memory"]
TOLERANCE = 0.02  # of the cost
_WORDS = {"parameters": "parameters", "flops": "FLOPs", "latency": "seconds", "memory": "bytes of activations"}
_ROUNDS = 30  # timed forward passes of each network, in turns
Changes = dict[str, Any]


class Matching:
    """Finds the changes of a plain network that make it cost as much as one with a block.

    Measured times differ from call to call, so what was found is kept in a file, and a study that continues trains the
    networks that it began with.

    Args:
        file: Keeps what was found; None searches again in each process.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._sizes: dict[str, tuple[int, int]] = {}

    def wider(self, plain: Experiment, attended: Experiment, cost: Cost) -> tuple[Changes, str]:
        """Widens residual branches of a plain network until it costs as much as one with a block.

        Args:
            plain: Configuration of the network without the block.
            attended: Configuration of the network with it.
            cost: What is matched.

        Returns:
            The changes, dotted option -> value, and a line that says how close the match is; no changes where the block
            costs nothing.

        Raises:
            ValueError: if the network has no such branches, or the match misses by more than 2 %.
        """
        return self._kept("wider", plain, attended, cost)

    def deeper(self, plain: Experiment, attended: Experiment, cost: Cost) -> tuple[Changes, str]:
        """Adds residual blocks to a plain network, as wide as the cost of the network with a block allows.

        Args:
            plain: Configuration of the network without the block.
            attended: Configuration of the network with it.
            cost: What is matched.

        Returns:
            The changes and a line, as for `wider`.

        Raises:
            ValueError: if no stage can be repeated, or the match misses by more than 2 %.
        """
        return self._kept("deeper", plain, attended, cost)

    def longer(self, plain: Experiment, attended: Experiment) -> tuple[Changes, str]:
        """Trains a plain network for as much time as one with a block takes, in whole epochs; the schedule stretches.

        Args:
            plain: Configuration of the network without the block.
            attended: Configuration of the network with it.

        Returns:
            The changes and a line, as for `wider`.
        """
        return self._kept("longer", plain, attended, "latency")

    def _kept(self, how: str, plain: Experiment, attended: Experiment, cost: Cost) -> tuple[Changes, str]:
        networks = [asdict(each.model) for each in (plain, attended)]
        data = None if cost == "parameters" else [asdict(plain.data), asdict(plain.trainer)]
        text = json.dumps([how, cost, networks, data, code_version()], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        known = self._known()
        if key not in known:
            size = None if data is None and _takes_its_own_size(plain.model) else self._size(plain)
            changes, note = _found(how, plain, attended, cost, size)
            known[key] = {"changes": changes, "note": note}
            if self._file is not None:
                write_text(self._file, json.dumps(known, indent=1) + "\n")
        return dict(known[key]["changes"]), str(known[key]["note"])

    def _known(self) -> dict[str, Any]:
        if self._file is None or not self._file.is_file():
            return {}
        found = read_json(self._file)
        whole = all(
            isinstance(v, Mapping) and isinstance(v.get("changes"), Mapping) and "note" in v for v in found.values()
        )
        if not whole:
            raise ValueError(f"{self._file} is damaged; remove it, and the networks are matched again")
        return dict(found)

    def _size(self, experiment: Experiment) -> tuple[int, int]:
        """Returns the height and width of the images."""
        experiment = prepared(experiment)
        key = str(experiment.data)
        if key not in self._sizes:
            height, width = open_images(experiment).image_size
            self._sizes[key] = height, width
        return self._sizes[key]


def _found(
    how: str, plain: Experiment, attended: Experiment, cost: Cost, size: tuple[int, int] | None
) -> tuple[Changes, str]:
    if how == "longer":
        return _longer(plain, attended)
    network, goal = _built(plain.model, size), _Goal(_built(attended.model, size), cost, size)
    return (_wider if how == "wider" else _deeper)(network, goal, plain.model.backbone)


class _Goal:
    """Compares the cost of networks with that of one with a block."""

    def __init__(self, attended: Any, cost: Cost, size: tuple[int, int] | None) -> None:
        self.attended, self.cost, self.size = attended, cost, size

    def costs(self, network: Any) -> tuple[float, float]:
        """Returns the cost of a network, and that of the one with a block, measured in turns."""
        if self.cost == "parameters":
            return _count(network), _count(self.attended)
        from cv_attention.backbones import measure

        found = measure(network, self.attended, input_size=self.size, rounds=_ROUNDS * (self.cost == "latency"))
        if self.cost == "latency":
            return _median(found.plain), _median(found.attended)
        name = "flops" if self.cost == "flops" else "activation_bytes"
        return getattr(found.plain, name), getattr(found.attended, name)

    def ratio(self, network: Any) -> float:
        """Returns the cost of a network in units of that of the one with a block."""
        reached, wanted = self.costs(network)
        return reached / wanted

    def note(self, reached: float, wanted: float) -> str:
        """Says how close a cost comes."""
        form = "{:.4g}" if self.cost == "latency" else "{:,}"
        percent = 100 * reached / wanted - 100
        return f"{form.format(reached)} of {form.format(wanted)} {_WORDS[self.cost]} ({percent:+.2f} %)"


def _wider(network: Any, goal: _Goal, name: str) -> tuple[Changes, str]:
    from cv_attention.backbones.widening.widen import changeable

    chains = changeable(network, goal.size)
    if not chains:
        raise ValueError(f"controls.match: {name} has no residual branches whose width can be changed")
    start = {chain.first: chain.channels for chain in chains}
    climb = Climb(network, chains, goal.ratio, start, start)
    reached = climb.climb(exact=goal.cost != "latency")
    if reached == start and abs(climb.ratio(start) - 1) <= TOLERANCE:
        return {}, ""
    return _accepted({"model.widths": reached}, climb.network(reached), goal, f"{name} cannot be widened")


def _deeper(network: Any, goal: _Goal, name: str) -> tuple[Changes, str]:
    """Tries every stage, from the last on, with one more block, two, four, eight; the first that fits is taken."""
    from torch import nn

    from cv_attention.backbones import deepen
    from cv_attention.backbones.widening.widen import changeable

    if abs(goal.ratio(network) - 1) < 1e-4:
        return {}, ""
    stages = [n for n, m in network.named_modules() if n and isinstance(m, nn.Sequential) and len(m) > 1]
    closest = ""
    for stage in reversed(stages):
        for blocks in (1, 2, 4, 8):
            deeper, before = copy.deepcopy(network), len(network.get_submodule(stage))
            try:
                deepen(deeper, {stage: blocks}, goal.size)
            except ValueError:
                break
            new = tuple(f"{stage}.{number}." for number in range(before, before + blocks))
            chains = [chain for chain in changeable(deeper, goal.size) if chain.first.startswith(new)]
            full = {chain.first: chain.channels for chain in chains}
            if not chains:
                break
            climb = Climb(deeper, chains, goal.ratio, dict.fromkeys(full, 1), full)
            if climb.ratio(climb.start) > 1 + TOLERANCE:
                closest = closest or f"one more block of {stage}, of width 1, is {climb.ratio(climb.start):.1%} of it"
                break
            reached = climb.climb(exact=goal.cost != "latency", most=1.0)
            if abs(climb.ratio(reached) - 1) <= TOLERANCE:
                changes = {"model.extra_blocks": {stage: blocks}, "model.widths": reached}
                return _accepted(changes, climb.network(reached), goal, f"{name} cannot be deepened")
    raise ValueError(
        f"controls.match: {name} cannot be deepened to the cost of the block{f': {closest}' * bool(closest)}"
    )


def _accepted(changes: Changes, network: Any, goal: _Goal, fault: str) -> tuple[Changes, str]:
    reached, wanted = goal.costs(network)
    note = goal.note(reached, wanted)
    if abs(reached / wanted - 1) > TOLERANCE:
        quiet = "; measure on a quiet machine" if goal.cost == "latency" else ""
        raise ValueError(
            f"controls.match: {fault} to the {_WORDS[goal.cost]} of the block within {TOLERANCE:.0%}: {note}{quiet}"
        )
    return changes, note


def _longer(plain: Experiment, attended: Experiment) -> tuple[Changes, str]:
    import torch

    from cv_attention.study.price import measured_steps

    steps = measured_steps({("plain", ""): plain, ("attended", ""): attended}, torch.get_num_threads())
    ratio = steps["attended", ""].seconds / steps["plain", ""].seconds
    epochs = plain.trainer.max_epochs
    reached = max(epochs, round(epochs * ratio))
    if reached == epochs:
        return {}, ""
    note = f"{reached} epochs instead of {epochs}, since a training step with the block takes {ratio:.2f} times as long"
    return {"trainer.max_epochs": reached}, f"{note} ({100 * reached / (epochs * ratio) - 100:+.1f} %)"


def _takes_its_own_size(model: Model) -> bool:
    """Returns whether a network runs on images of the size it was designed for, so that no images need be read."""
    from cv_attention.backbones.tracing.dry_run import dry_run

    try:
        dry_run(_built(replace(model, block=None), None), None, None)
    except ValueError:
        return False
    return True


def _median(costs: Any) -> float:
    return costs.latency[1]


def _count(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _built(model: Model, size: tuple[int, int] | None) -> Any:
    """Builds a network, with a head of ten classes: the number of classes does not change what a block adds."""
    from cv_attention.heads import HEADS
    from cv_attention.training import build_network

    head = model.head.get("name") if isinstance(model.head, dict) else model.head
    pools = None if head in HEADS else model.head  # what writes texts is the same with and without the block
    light = replace(model, pretrained=False, weights=None, train="all", head=pools)
    return build_network(light, 10, size)[0]  # pyright: ignore[reportArgumentType]
