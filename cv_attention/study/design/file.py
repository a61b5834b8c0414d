"""Reads a study file: the question that a study asks, as one typed dataclass per idea with its bounds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

from jsonargparse import get_loader

from cv_attention.config.bounds import bounded, check_bounds
from cv_attention.config.plain import from_plain
from cv_attention.study.design.recipes import as_changes, found_beside
from cv_attention.suggest import suggest
from cv_attention.yaml_text import check_yaml_file

CONTROLS = ("identity", "constant_gate", "channel_scale", "shuffled_gate", "frozen_random", "uniform_spatial")
MATCHES = ("parameters", "flops", "latency", "memory")
BY = ("width", "depth")
AT_TEST = ("gates_replaced",)
PLACES = ("residual", "pre", "post", "identity", "stage")
MOST_NETWORKS = 100
MOST_CANDIDATES = 1000
TUNING_SEEDS = 2_000_000_000  # from here on; a study's own seeds lie below
MOST_SEEDS = 1000
SCREENING_SEEDS = 1_000_000
# A name stands in tables, file names of charts and the terminal; + joins a network and its control.
_NAME = re.compile(r"[^\W_][\w .-]{0,39}")


@dataclass
class Controls:
    """Configures the control arms that are made for every network with a block.

    Attributes:
        match: Costs, of ``parameters``, ``flops``, ``latency`` (of a forward pass, measured in turns) and ``memory``
            (of activations): each adds, for every network with a block, one without it that costs as much, within 2 %.
        by: How: ``width`` widens residual branches, ``depth`` adds residual blocks; or both.
        longer: Adds the plain network, trained for as much time as the one with the block takes, in whole epochs.
        placement: Other positions for the same block, of ``residual``, ``pre``, ``post``, ``identity`` and ``stage``.
        also: Blocks that keep a part of the block's mechanism: ``identity``, ``constant_gate``, ``channel_scale``,
            ``shuffled_gate``, ``frozen_random``, ``uniform_spatial``.
        at_test: What is measured of every trained network once it has been tested: ``gates_replaced``, by how much the
            test metric drops with each gate, and with all of them, replaced by its mean over the validation split.
        without: Network -> controls that are not made for it, since its block has nothing that they change, or to spare
            their training runs: names of `also`, `match` and `placement`, and ``longer``.

    Examples:
        >>> from cv_attention.study import Controls
        >>> Controls(match=["parameters"], also=["identity", "shuffled_gate"]).also
        ['identity', 'shuffled_gate']
    """

    match: list[str] = field(default_factory=list)
    by: str | list[str] = "width"
    longer: bool = False
    placement: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    at_test: list[str] = field(default_factory=list)
    without: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Tune:
    """Configures the choice of hyperparameters, for which every arm gets the same budget.

    Attributes:
        values: Dotted option -> the values to try; all combinations are trained. In the file, these options stand in
            ``tune`` itself.
        on: The split that decides: ``validation``.
        seeds: Training runs of each combination; their seeds are others than those of the study.

    Examples:
        >>> from cv_attention.study import Tune
        >>> Tune(values={"optimizer.lr": [0.05, 0.1, 0.2]}).seeds
        1
    """

    values: dict[str, list[Any]] = field(default_factory=dict)
    on: Literal["validation"] = "validation"
    seeds: int = bounded(1, "[1, 100]")


@dataclass
class StudyFile:
    """Configures a study: its arms, its recipes, its seeds, and by what they are judged.

    Attributes:
        base: The configuration that every training run starts from, a file as ``cv-attention fit`` reads it; its path
            is relative to the current folder, or else to the study file's.
        set: Changes for all training runs, dotted option -> value.
        networks: Name -> changes of `base`; one without a block, or `reference`, is what the others are compared with.
        reference: Name of the network that the others are compared with; null takes the only one without a block.
        controls: Arms that are made from the networks.
        recipes: Name -> changes of `base`, or the file of a recipe, whose path is found like that of `base`; every
            network is trained by every recipe. Empty is one recipe, `base`.
        tune: Hyperparameters that are chosen for each arm and recipe.
        seeds: Number of seeds, 0 to n - 1, or a list of them. A seed's runs of all arms are one block.
        screen: Whether this is a screen: many arms, few seeds, judged on the validation split, to choose what a study
            of its own then confirms. The test results are never opened, and `seeds` counts from 1,000,000, so that the
            confirming study has others.
        margin: Differences within ± this count as equivalent: points for accuracies and error rates, else the metric's
            unit; null is 0.3 points, and tests no equivalence of other metrics.
        metric: A metric of ``summary.json`` or ``probability``; null takes the accuracy, of texts ``cer``, with
            several classes per image ``map``, of numbers ``mae``.
        higher_is_better: Whether higher values of the metric are better; null takes what the runs say.
        alpha: Probability of any wrong verdict in a table.
        deviation: Expected standard deviation of one run, in the unit of `margin`, for ``--dry-run``; null takes that
            of finished runs.

    Examples:
        >>> from cv_attention.study import StudyFile
        >>> file = StudyFile(base="configs/digits.yaml", networks={"plain": {"model.block": None}, "se": {}})
        >>> file.seeds, file.alpha
        (5, 0.05)
    """

    base: str = ""
    set: dict[str, Any] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    reference: str | None = None
    controls: Controls = field(default_factory=Controls)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    tune: Tune = field(default_factory=Tune)
    seeds: int | list[int] = bounded(5, "[2, 1000]")
    screen: bool = False
    margin: float | None = bounded(None, "(0, inf)")
    metric: str | None = None
    higher_is_better: bool | None = None
    alpha: float = bounded(0.05, "(0, 0.5)")
    deviation: float | None = bounded(None, "(0, inf)")


def load_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML file of options as ``cv-attention fit`` reads its configuration.

    Raises:
        ValueError: in one line that names the file, if it cannot be read or is not such a file.
    """
    check_yaml_file(path)
    try:
        content = get_loader("yaml")(path.read_text(encoding="utf-8-sig"))
    except Exception as error:  # numbers of 5,000 digits, dates that do not exist: what a loader raises is not declared
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no options")
    return content


def read_study(path: Path) -> StudyFile:
    """Reads a study file and checks everything that can be checked without its base.

    Args:
        path: The YAML file.

    Returns:
        The study.

    Raises:
        ValueError: in one line that names the file and the place in it.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import read_study
        >>> _ = Path("base.yaml").write_text("seed: 0")
        >>> _ = Path("toy.yaml").write_text("{base: base.yaml, networks: {plain: {}, se: {model.block: se}}, seeds: 4}")
        >>> read_study(Path("toy.yaml")).networks["se"]
        {'model.block': 'se'}
    """
    content = load_yaml(path)
    for name in ("networks", "recipes"):
        if isinstance(content.get(name), dict):
            content[name] = _named(content[name], f"{path}: {name}")
    if isinstance(content.get("recipes"), dict):
        content["recipes"] = {name: _recipe(recipe, path, name) for name, recipe in content["recipes"].items()}
    if isinstance(content.get("tune"), dict):
        content["tune"] = _tune(content["tune"])
    study = from_plain(StudyFile, content, str(path))
    try:
        check_bounds(study)
        _check(study)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return study


def seeds_of(study: StudyFile) -> tuple[int, ...]:
    """Returns the seeds, one per block; those of a screen are others than a study's."""
    first = SCREENING_SEEDS if study.screen else 0
    return tuple(range(first, first + study.seeds)) if isinstance(study.seeds, int) else tuple(study.seeds)


def ways(study: StudyFile) -> list[str]:
    """Returns how plain networks are made as costly as one with a block."""
    by = study.controls.by
    return [by] if isinstance(by, str) else list(by)


def _named(entries: Mapping[Any, Any], place: str) -> dict[str, Any]:
    """Checks the names of networks or recipes; an entry without changes may be empty."""
    for name in entries:
        if not isinstance(name, str):
            raise ValueError(f"{place}: the name {name!r} is not text; put it in quotes")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{place}: a name is up to 40 letters, digits, spaces, _, - and ., got {name[:60]!r}")
    return {name: {} if changes is None else changes for name, changes in entries.items()}


def _recipe(recipe: Any, path: Path, name: str) -> Any:
    """Reads the file of a recipe; changes that stand in the study file itself are returned as they are."""
    place = f"{path}: recipes.{name}"
    return as_changes(load_yaml(found_beside(recipe, path, place))) if isinstance(recipe, str) else recipe


def _tune(content: Mapping[Any, Any]) -> dict[str, Any]:
    own = {name: content[name] for name in ("on", "seeds") if name in content}
    return {**own, "values": {str(name): value for name, value in content.items() if name not in ("on", "seeds")}}


def _made(controls: Controls) -> list[str]:
    return [*controls.also, *controls.match, *controls.placement, *(["longer"] if controls.longer else [])]


def _check(study: StudyFile) -> None:
    if not study.base:
        raise ValueError("base is missing: the configuration that every training run starts from")
    if len(study.networks) < 2:
        raise ValueError(f"networks must name at least two, got {len(study.networks)}")
    if len(study.networks) > MOST_NETWORKS:
        raise ValueError(f"networks must be at most {MOST_NETWORKS}, got {len(study.networks)}")
    if study.reference is not None and study.reference not in study.networks:
        raise ValueError(f"reference {study.reference!r} is not a network{suggest(study.reference, study.networks)}")
    _check_names("controls.also", study.controls.also, CONTROLS)
    for network, left_out in study.controls.without.items():
        if network not in study.networks:
            raise ValueError(f"controls.without: {network!r} is not a network{suggest(network, study.networks)}")
        _check_names(f"controls.without.{network}", left_out, _made(study.controls))
    _check_names("controls.at_test", study.controls.at_test, AT_TEST)
    _check_names("controls.match", study.controls.match, MATCHES)
    _check_names("controls.by", ways(study), BY)
    _check_names("controls.placement", study.controls.placement, PLACES)
    if not ways(study):
        raise ValueError(f"controls.by must name at least one of {', '.join(BY)}")
    if study.controls.longer and any("trainer.max_epochs" in changes for changes in study.recipes.values()):
        raise ValueError(
            "controls.longer: recipes change trainer.max_epochs, so that one number of epochs cannot match all"
        )
    if isinstance(study.seeds, list):
        _check_seeds(study.seeds)
    for option, values in study.tune.values.items():
        if not values:
            raise ValueError(f"tune.{option} must list the values to try, got {values}")
    if (count := prod(map(len, study.tune.values.values()))) > MOST_CANDIDATES:
        raise ValueError(f"tune: {count:,} combinations, more than {MOST_CANDIDATES:,}")


def _check_names(place: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{place}: {name!r} is unknown{suggest(name, known)}")
        if names.count(name) > 1:
            raise ValueError(f"{place}: {name} is listed twice")


def _check_seeds(seeds: Sequence[int]) -> None:
    if not 2 <= len(seeds) <= MOST_SEEDS:
        raise ValueError(f"seeds must list 2 to {MOST_SEEDS:,} seeds, got {len(seeds)}")
    for seed in seeds:
        if not 0 <= seed < TUNING_SEEDS:
            raise ValueError(f"seeds must be in [0, {TUNING_SEEDS - 1}], got {seed}")
        if seeds.count(seed) > 1:
            raise ValueError(f"seeds: {seed} is listed twice")
