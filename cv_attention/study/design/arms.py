"""Makes the arms of a study: its networks, and the controls of those with a block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from cv_attention.comparison.fields import Kind
from cv_attention.comparison.fields import names as option_names
from cv_attention.comparison.recipes import part
from cv_attention.comparison.runs import Run
from cv_attention.config import Experiment

IDENTITY, LONGER, AT = "identity", "longer", "at_"
# How a plain network is made as costly -> name of the control; of costs but parameters, the cost follows it.
MATCHED = {"width": "wider", "depth": "deeper"}
JOIN = "+"  # between a network and its control, in the control's name
# Classes of the controls, in cv_attention.blocks.controls; all but the one without a block take it as `block`.
_CLASSES = {
    IDENTITY: "Identity",
    "constant_gate": "ConstantGate",
    "channel_scale": "ChannelScale",
    "shuffled_gate": "ShuffledGate",
    "frozen_random": "FrozenRandom",
    "uniform_spatial": "UniformSpatial",
}
_WITHOUT_BLOCK = ("channel_scale",)


@dataclass(frozen=True)
class Arm:
    """One arm of a study.

    Attributes:
        name: Its name in all tables; a control is called after its network, ``se+shuffled_gate``.
        changes: Dotted option -> value, applied to the study's base.
        network: The network that it is a control of; its own name for a network of the file.
        control: The control; None for a network of the file.
        note: What was matched, for an arm that is matched to another.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    network: str = ""
    control: str | None = None
    note: str = ""


def controls_of(arm: Arm, block: Any, wanted: list[str]) -> list[Arm]:
    """Returns the arms that keep a part of a network's block.

    Args:
        arm: The network.
        block: Its ``model.block``.
        wanted: Names of the controls.
    """
    return [
        Arm(f"{arm.name}{JOIN}{name}", {**arm.changes, "model.block": controlled(block, name)}, arm.name, name)
        for name in wanted
    ]


def elsewhere(arm: Arm, experiment: Experiment, places: list[str]) -> list[Arm]:
    """Returns the arms that have a network's block at other positions.

    Args:
        arm: The network.
        experiment: Its configuration.
        places: The positions; the network's own is left out.

    Raises:
        ValueError: if the network has blocks at several positions.
    """
    model = experiment.model
    own = [model.at] if isinstance(model.at, str) else model.at
    several = isinstance(model.block, Mapping) and not {"name", "class_path"} & set(model.block)
    if places and (several or len(own) != 1):
        raise ValueError(f"placement: {arm.name} has blocks at several positions, so there is no other one for them")
    return [
        Arm(f"{arm.name}{JOIN}{AT}{place}", {**arm.changes, "model.at": place}, arm.name, f"{AT}{place}")
        for place in places
        if place != own[0]
    ]


def is_cost(label: str) -> bool:
    """Returns whether an arm is a network that somebody would use: of the file, or one matched in cost."""
    control = label.partition(JOIN)[2]
    return not control or control.startswith((*MATCHED.values(), LONGER))


def controlled(block: Any, control: str) -> Any:
    """Returns ``model.block`` with a control in the place of every block.

    Args:
        block: ``model.block`` in any of its forms.
        control: Name of the control.

    Examples:
        >>> from cv_attention.study.design.arms import controlled
        >>> controlled({"stage:-1": "se"}, "identity")["stage:-1"]["init_args"]
        {'block': 'se'}
    """
    if isinstance(block, Mapping) and not {"name", "class_path"} & set(block):
        return {place: controlled(inner, control) for place, inner in block.items()}
    arguments = {} if control in _WITHOUT_BLOCK else {"init_args": {"block": block}}
    return {"class_path": f"cv_attention.blocks.controls.{_CLASSES[control]}", **arguments}


def flat(experiment: Experiment) -> dict[str, Any]:
    """Returns every option of a configuration by its dotted name."""
    return {name: reduce(getattr, name.split("."), experiment) for name in option_names()}


def is_plain(experiment: Experiment) -> bool:
    """Returns whether a network has neither a block nor a head of ours."""
    return experiment.model.block is None and experiment.model.head is None


def identity_of(experiment: Experiment) -> str:
    """Returns a text that is the same for configurations that train the same network on the same images alike."""
    run = Run(Path(), flat(experiment), {})
    return str([part(run, wanted) for wanted in (Kind.DATA, Kind.NETWORK, Kind.RECIPE)])
