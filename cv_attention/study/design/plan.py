"""Plans a study: its arms and recipes with their configurations, and all training runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from cv_attention.config import Experiment, Log
from cv_attention.config.plain import from_plain
from cv_attention.study.design.arms import IDENTITY, Arm, identity_of
from cv_attention.study.design.changes import Changes, changed, check_kinds
from cv_attention.study.design.checking import check_blocks, check_controls, check_experiment
from cv_attention.study.design.file import TUNING_SEEDS, StudyFile, load_yaml, read_study, seeds_of
from cv_attention.study.design.making import arms_of
from cv_attention.study.design.recipes import found_beside
from cv_attention.study.design.trials import Trial, trial
from cv_attention.tables import html_output, html_table

# What a training run of a study leaves behind unless `set`, a recipe or a network says otherwise: predictions and
# final weights, no maps.
_LIGHT = Log(wandb="disabled", maps_every=0, probes=0, saliency=[], curve_points=0, keep="weights")


@dataclass(frozen=True)
class Plan:
    """Holds a study whose arms are made and whose configurations are checked.

    Attributes:
        path: The study file.
        file: What it says.
        arms: All arms, the reference first.
        recipes: Names of the recipes; one empty name where the file has none.
        seeds: The seeds.
        base: Plain values of the base configuration, with what `set` changes.
        experiments: (arm, recipe) -> the configuration, with seed 0 and before tuning.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import make_plan
        >>> _ = Path("base.yaml").write_text("seed: 0")
        >>> _ = Path("toy.yaml").write_text("{base: base.yaml, networks: {plain: {}, se: {model.block: se}}, seeds: 4}")
        >>> plan = make_plan(Path("toy.yaml"))
        >>> plan.reference, plan.seeds, len(plan.trials(Path("studies/trials"), {}))
        ('plain', (0, 1, 2, 3), 8)
    """

    path: Path
    file: StudyFile
    arms: tuple[Arm, ...]
    recipes: tuple[str, ...]
    seeds: tuple[int, ...]
    base: Mapping[str, Any]
    experiments: Mapping[tuple[str, str], Experiment]

    @property
    def name(self) -> str:
        """Name of the study: that of its file."""
        return self.path.stem

    @property
    def reference(self) -> str:
        """Name of the arm that the others are compared with."""
        return self.arms[0].name

    def _repr_html_(self) -> str:
        rows = [
            (
                arm.name,
                arm.control or "",
                ", ".join(f"{name}: {value}" for name, value in arm.changes.items()),
                arm.note,
            )
            for arm in self.arms
        ]
        recipes = f", recipes {', '.join(self.recipes)}" if any(self.recipes) else ""
        title = f"Study {self.name}: {len(rows)} arms, {len(self.seeds)} seeds{recipes}; reference {self.reference}"
        return html_output(title, html_table(("arm", "control", "changes", "matched"), rows, left=4))

    def cells(self) -> list[tuple[str, str]]:
        """Returns every (arm, recipe)."""
        return [(arm.name, recipe) for recipe in self.recipes for arm in self.arms]

    def candidates(self) -> list[dict[str, Any]]:
        """Returns the combinations of hyperparameters that are tried for every arm; one empty one without `tune`."""
        values = self.file.tune.values
        return [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]

    def tuning(self, root: Path) -> dict[tuple[str, str], list[list[Trial]]]:
        """Returns (arm, recipe) -> the trials of each candidate; empty without `tune`.

        Args:
            root: Folder of the run directories.
        """
        if not self.file.tune.values:
            return {}
        seeds = range(TUNING_SEEDS, TUNING_SEEDS + self.file.tune.seeds)
        return {
            cell: [
                [
                    trial(*cell, seed, changed(self.experiments[cell], values, f"{self.path}: tune"), root)
                    for seed in seeds
                ]
                for values in self.candidates()
            ]
            for cell in self.cells()
        }

    def trials(self, root: Path, chosen: Mapping[tuple[str, str], Changes]) -> list[Trial]:
        """Returns the trials that decide, in no particular order.

        Args:
            root: Folder of the run directories.
            chosen: (arm, recipe) -> the tuned hyperparameters; missing ones are those of the file.
        """
        found = []
        idle = {arm.name for arm in self.arms if arm.control == IDENTITY}  # whose gates do nothing
        for cell in self.cells():
            experiment = changed(self.experiments[cell], chosen.get(cell, {}), f"{self.path}: tune")
            at_test = self.file.controls.at_test if cell[0] not in idle else ()
            found += [trial(*cell, seed, experiment, root, at_test) for seed in self.seeds]
        return found

    def check(self) -> None:
        """Makes sure that blocks have the options given to them, and that controls change something; imports torch.

        Raises:
            ValueError: naming the file and the place in it.
        """
        blocks = {arm.name: self.experiments[arm.name, self.recipes[0]].model.block for arm in self.arms}
        check_blocks(self.path, [(arm.network, blocks[arm.name]) for arm in self.arms])
        controls = [(arm.network, arm.control, blocks[arm.name]) for arm in self.arms if arm.control]
        check_controls(self.path, [each for each in controls if each[2] is not None])

    def described(self) -> dict[str, Any]:
        """Returns everything that decides the study's result as plain values, to see whether it has changed."""
        file, at_test = asdict(self.file), list(self.file.controls.at_test)
        return {
            **{name: file[name] for name in ("margin", "metric", "higher_is_better", "alpha", "tune")},
            **({"screen": True} if self.file.screen else {}),
            "seeds": list(self.seeds),
            "reference": self.reference,
            "arms": {arm.name: dict(arm.changes) for arm in self.arms},
            "recipes": {name: file["recipes"].get(name, {}) for name in self.recipes},
            "base": {name: value for name, value in self.base.items() if name != "log"},
            **({"at_test": at_test} if at_test else {}),
        }


def make_plan(path: Path, matched: Path | None = None) -> Plan:
    """Reads a study file and its base, makes the arms, and checks every configuration.

    Args:
        path: The study file.
        matched: File that keeps which networks were found to match others in cost, which is measured once; None
            measures again in each process.

    Returns:
        The plan.

    Raises:
        ValueError: in one line that names the file and the place in it.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import make_plan
        >>> _ = Path("base.yaml").write_text("seed: 0")
        >>> _ = Path("toy.yaml").write_text("{base: base.yaml, networks: {plain: {}, se: {model.block: se}}, seeds: 4}")
        >>> [arm.name for arm in make_plan(Path("toy.yaml")).arms]
        ['plain', 'se']
    """
    file = read_study(path)
    base = _base(file, path)
    for where, changes in (("set", file.set), *((f"recipes.{n}", c) for n, c in file.recipes.items())):
        check_kinds(changes, f"{path}: {where}", network=False)
    start = changed(base, file.set, f"{path}: set")
    recipes = file.recipes or {"": {}}
    trained = {name: changed(start, changes, f"{path}: recipes.{name}") for name, changes in recipes.items()}
    networks = [Arm(name, changes, name) for name, changes in file.networks.items()]
    for arm in networks:
        _check_network(arm, file, path)
    arms = arms_of(networks, next(iter(trained.values())), file, path, matched)
    experiments = {
        (arm.name, name): changed(recipe, arm.changes, f"{path}: networks.{arm.name}")
        for name, recipe in trained.items()
        for arm in arms
    }
    _check_distinct(arms, experiments, next(iter(recipes)), path)
    _check_recipes(experiments, arms[0].name, path)
    for values in file.tune.values:
        check_kinds({values: None}, f"{path}: tune", network=True)
    plan = Plan(path, file, tuple(arms), tuple(recipes), seeds_of(file), start.to_dict(), experiments)
    for values in plan.candidates():
        changed(start, values, f"{path}: tune")
    return plan


def _base(file: StudyFile, path: Path) -> Experiment:
    found = found_beside(file.base, path, f"{path}: base")
    experiment = from_plain(Experiment, load_yaml(found), str(found))
    try:
        check_experiment(experiment)
    except ValueError as error:
        raise ValueError(f"{found}: {error}") from error
    log = experiment.log
    light = replace(
        _LIGHT,
        metrics=log.metrics,
        checkpoint_every_minutes=log.checkpoint_every_minutes,
        checkpoint_every_n_steps=log.checkpoint_every_n_steps,
    )
    return replace(experiment, seed=0, log=light)


def _check_network(arm: Arm, file: StudyFile, path: Path) -> None:
    place = f"{path}: networks.{arm.name}"
    check_kinds(arm.changes, place, network=True)
    for recipe, changes in file.recipes.items():
        for name in arm.changes.keys() & changes.keys():
            raise ValueError(f"{place}: recipes.{recipe} changes {name}, too; which one counts would be unclear")
    for name in file.tune.values:
        if name in arm.changes or any(name in changes for changes in file.recipes.values()):
            raise ValueError(f"{place}: tune chooses {name}, so neither networks nor recipes can set it")


def _check_distinct(
    arms: Sequence[Arm], experiments: Mapping[tuple[str, str], Experiment], recipe: str, path: Path
) -> None:
    """Refuses two arms that would train the same network alike: their difference is zero, whatever it is called."""
    seen: dict[str, str] = {}
    for arm in arms:
        identity = identity_of(experiments[arm.name, recipe])
        if identity in seen:
            raise ValueError(
                f"{path}: networks.{arm.name} is the same as {seen[identity]}: no option that has an effect differs"
            )
        seen[identity] = arm.name


def _check_recipes(experiments: Mapping[tuple[str, str], Experiment], reference: str, path: Path) -> None:
    seen: dict[str, str] = {}
    for (arm, recipe), experiment in experiments.items():
        if arm != reference:
            continue
        identity = identity_of(experiment)
        if identity in seen:
            raise ValueError(f"{path}: recipes.{recipe} is the same as recipes.{seen[identity]}")
        seen[identity] = recipe
