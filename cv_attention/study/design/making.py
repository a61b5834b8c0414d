"""Makes all arms of a study: the reference, the other networks, and the controls of those with a block."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from cv_attention.config import Experiment
from cv_attention.study.design.arms import (
    IDENTITY,
    JOIN,
    LONGER,
    MATCHED,
    Arm,
    controls_of,
    elsewhere,
    identity_of,
    is_plain,
)
from cv_attention.study.design.changes import changed
from cv_attention.study.design.file import StudyFile, ways


def arms_of(networks: list[Arm], start: Experiment, file: StudyFile, path: Path, matched: Path | None) -> list[Arm]:
    """Makes the arms of a study.

    Args:
        networks: The networks of the file.
        start: The configuration that they change.
        file: The study.
        path: Its file, for messages.
        matched: File that keeps which networks match others in cost.

    Returns:
        The reference, the other networks, and the controls of each network with a block.

    Raises:
        ValueError: naming the file and the place in it.
    """
    made = {arm.name: changed(start, arm.changes, f"{path}: networks.{arm.name}") for arm in networks}
    plain = [arm.name for arm in networks if is_plain(made[arm.name])]
    if file.reference is None and len(plain) != 1:
        why = f"{len(plain)} networks have no block ({', '.join(plain)})" if plain else "every network has a block"
        raise ValueError(f"{path}: networks: {why}; say with reference: NAME what the others are compared with")
    reference = file.reference or plain[0]
    arms = sorted(networks, key=lambda arm: arm.name != reference)  # stable
    known = {identity_of(made[arm.name]) for arm in networks}
    for arm in [arm for arm in arms if arm.name != reference and made[arm.name].model.block is not None]:
        place = f"{path}: controls of {arm.name}"
        left_out = file.controls.without.get(arm.name, ())
        wanted = [name for name in file.controls.also if name not in left_out]
        controls = controls_of(arm, made[arm.name].model.block, wanted)
        try:
            places = [name for name in file.controls.placement if name not in left_out]
            controls += elsewhere(arm, made[arm.name], places)
            controls += _matched(arm, made[arm.name], file, matched, place)
        except ValueError as error:
            raise ValueError(f"{path}: controls of {arm.name}: {error}") from error
        for control in controls:
            identity = identity_of(changed(start, control.changes, place))
            if identity not in known or control.control == IDENTITY:  # one per-channel scale may control several blocks
                arms.append(control)
            known.add(identity)
    return arms


def _matched(arm: Arm, attended: Experiment, file: StudyFile, kept: Path | None, place: str) -> Iterator[Arm]:
    """Yields plain networks that cost as much as one with a block."""
    left_out = file.controls.without.get(arm.name, ())
    costs = [cost for cost in file.controls.match if cost not in left_out]
    longer = file.controls.longer and LONGER not in left_out
    if not (costs or longer):
        return
    from cv_attention.study.design.matching import Matching

    matching, without = Matching(kept), changed(attended, {"model.block": None}, place)
    ways_of = {"width": matching.wider, "depth": matching.deeper}
    found = [
        (
            f"{MATCHED[way]}{'' if cost == 'parameters' else f'_{cost}'}",
            ways_of[way](without, attended, cast(Any, cost)),
        )
        for way in ways(file)
        for cost in costs
    ]
    if longer:
        found.append((LONGER, matching.longer(without, attended)))
    for name, (changes, note) in found:
        if changes:  # a block may cost nothing
            yield Arm(f"{arm.name}{JOIN}{name}", {**arm.changes, "model.block": None, **changes}, arm.name, name, note)
