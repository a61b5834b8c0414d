"""Records what a study has fixed, when its test results were opened, and what was changed since."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cv_attention.rundir import read_sealed, sealed
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.files import write_text

STUDY_FORMAT = 1  # of ``plan.json`` and ``study.json``
_RESERVED = ("trials", "logs")


@dataclass(frozen=True)
class StudyFolder:
    """Paths of a study; nothing is read or created.

    Attributes:
        root: Folder that several studies can share; they share its training runs.
        name: Name of the study.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import StudyFolder
        >>> StudyFolder(Path("studies"), "digits").run("4346ec4bd98dd7e0").as_posix()
        'studies/trials/4346ec4bd98dd7e0'
    """

    root: Path
    name: str

    def __post_init__(self) -> None:
        if self.name in _RESERVED:
            raise ValueError(
                f"a study cannot be called {self.name!r}, as a folder of its training runs is; rename its file"
            )

    @property
    def trials(self) -> Path:
        """Folder of all run directories, each named by its hash."""
        return self.root / "trials"

    @property
    def out(self) -> Path:
        """Folder of the study's own results."""
        return self.root / self.name

    @property
    def lock(self) -> Path:
        """Held by the process that trains the studies of this folder."""
        return self.root / ".lock"

    @property
    def plan(self) -> Path:
        """What the study has fixed, and what was changed."""
        return self.out / "plan.json"

    @property
    def costs(self) -> Path:
        """What a training step of each arm costs, measured in turns."""
        return self.out / "costs.json"

    @property
    def matched(self) -> Path:
        """Which networks were found to match others in cost."""
        return self.out / "matched.json"

    def run(self, name: str) -> Path:
        """Returns the run directory of a trial.

        Args:
            name: The trial's name.
        """
        return self.trials / name

    def log(self, name: str) -> Path:
        """Returns the file that a trial prints to.

        Args:
            name: The trial's name.
        """
        return self.root / "logs" / f"{name}.log"


@dataclass
class Record:
    """Holds ``plan.json``.

    Attributes:
        plan: What decides the result, as `Plan.described` returns it; empty before the first training run.
        opened: When the test results were first shown, in UTC; empty before.
        changes: What has changed since the first training run: ``at``, ``opened`` (whether the results had been opened
            before) and ``what``, a list of lines.
        stopped: Seeds after which a rule ended the study, and the rule: ``{"seeds": 6, "rule": "width=0.3"}``.
        chosen: Tuned hyperparameters: a list of entries with ``arm``, ``recipe`` and ``values``.
        commands: The commands that trained the study, each once.

    Examples:
        >>> from cv_attention.study import Record
        >>> record = Record()
        >>> record.adopt({"margin": 0.3})  # a new study
        []
        >>> record.open()
        >>> record.adopt({"margin": 0.5})
        ['margin: 0.3 -> 0.5']
        >>> record.notes()
        ['changed on ..., after the test results had been opened: margin: 0.3 -> 0.5']
    """

    plan: dict[str, Any] = field(default_factory=dict)
    opened: str = ""
    changes: list[dict[str, Any]] = field(default_factory=list)
    stopped: dict[str, Any] = field(default_factory=dict)
    chosen: list[dict[str, Any]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Reads the file; an empty record where there is none.

        Args:
            path: The file.

        Raises:
            ValueError: if a later version wrote it, or it is damaged.
        """
        if not path.is_file():
            return cls()
        found = read_sealed(path, STUDY_FORMAT)
        known = {name: found[name] for name in vars(cls()) if name in found}
        for name, value in known.items():
            if type(value) is not type(getattr(cls(), name)):
                raise ValueError(f"{path}: {name} must be {type(getattr(cls(), name)).__name__}, got {value!r:.60}")
        record = cls(**known)
        for name, right in record._inner():
            if not right:
                raise ValueError(f"{path}: {name} cannot be {vars(record)[name]!r:.60}")
        return record

    def _inner(self) -> Iterator[tuple[str, bool]]:
        """Yields each list or mapping of a file, and whether what it holds is of the right kinds."""
        seeds = self.stopped.get("seeds")
        whole = isinstance(seeds, int) and not isinstance(seeds, bool) and seeds >= 1
        yield "stopped", not self.stopped or (whole and isinstance(self.stopped.get("rule"), str))
        yield (
            "changes",
            all(
                isinstance(change, dict)
                and isinstance(change.get("at"), str)
                and isinstance(change.get("opened"), bool)
                and isinstance(change.get("what"), list)
                and all(isinstance(line, str) for line in change["what"])
                for change in self.changes
            ),
        )
        yield (
            "chosen",
            all(
                isinstance(entry, dict)
                and isinstance(entry.get("arm"), str)
                and isinstance(entry.get("recipe"), str)
                and isinstance(entry.get("values"), dict)
                for entry in self.chosen
            ),
        )
        yield "commands", all(isinstance(command, str) for command in self.commands)

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all.

        Args:
            path: The file.
        """
        content = {"cv_attention": code_version(), **vars(self)}
        write_text(
            path, json.dumps(sealed(json.loads(json.dumps(content, default=str)), STUDY_FORMAT), indent=1) + "\n"
        )

    def adopt(self, plan: Mapping[str, Any]) -> list[str]:
        """Takes over the present plan, and notes how it differs from the earlier one.

        Args:
            plan: What `Plan.described` returns.

        Returns:
            The differences, one line each; none for a new study.
        """
        now = json.loads(json.dumps(plan, default=str))
        lines = list(_differences(self.plan, now)) if self.plan else []
        if lines:
            self.changes.append({"at": today(), "opened": bool(self.opened), "what": lines})
            self.stopped = {}
        self.plan = now
        return lines

    def open(self) -> None:
        """Notes that the test results are shown, once."""
        self.opened = self.opened or today()

    def notes(self) -> list[str]:
        """Returns a line for each change that was made after the test results had been opened."""
        return [
            f"changed on {change['at']}, after the test results had been opened: {'; '.join(change['what'])}"
            for change in self.changes
            if change.get("opened")
        ]


def today() -> str:
    """Returns the date in UTC, ``2026-11-29``."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = dict(_flat(before)), dict(_flat(now))
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            yield f"{name} is gone (it was {_shown(old[name])})"
        elif name not in old:
            yield f"{name}: {_shown(new[name])} is new"
        elif old[name] != new[name]:
            yield f"{name}: {_shown(old[name])} -> {_shown(new[name])}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def written_by(path: Path) -> str:
    """Returns the version of the code that wrote a record; empty where there is none.

    Args:
        path: The file.
    """
    return str(read_sealed(path, STUDY_FORMAT).get("cv_attention", "")) if path.is_file() else ""
