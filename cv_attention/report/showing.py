"""Shows a run or an export in a notebook: facts, results and some of its maps."""

from dataclasses import dataclass
from pathlib import Path

from cv_attention.report.read.facts import facts, results
from cv_attention.report.read.opening import open_run
from cv_attention.report.read.run_directory import Run
from cv_attention.report.sheets import figure
from cv_attention.tables import Markup, html_output, html_table

_IMAGES = 3


@dataclass(frozen=True)
class Shown:
    """Holds what `show` found of a run; the last line of a notebook's cell shows it.

    Attributes:
        path: Directory of the run or export.
        facts: (what, value) of its network, data and training.
        results: (metric, value) of the test split; empty if it was not tested.
        notices: What could not be read.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.report import Shown
        >>> print(Shown(Path("runs/mine"), facts=(("Backbone", "resnet20"),), results=(("accuracy", 0.91),)))
        runs/mine
        Backbone: resnet20
        accuracy: 0.91
    """

    path: Path
    facts: tuple[tuple[str, str], ...]
    results: tuple[tuple[str, float], ...]
    notices: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{name}: {value}" for name, value in self.facts]
        lines += [f"{name}: {value:.4g}" for name, value in self.results]
        return "\n".join([self.path.as_posix(), *lines, *self.notices])

    def _repr_html_(self) -> str:
        numbers = [(name, f"{value:.4g}") for name, value in self.results]
        table = html_table(("", self.path.name), [*self.facts, *([None, *numbers] if numbers else [])], left=2)
        try:
            maps = [Markup(figure(self.path, range(_IMAGES))._repr_html_())]
        except (ValueError, OSError):
            maps = self._few()
        return html_output(table, *self.notices, *maps)

    def _few(self) -> list[Markup]:
        """The maps of runs with fewer images; nothing for runs without maps."""
        try:
            return [Markup(figure(self.path)._repr_html_())]
        except (ValueError, OSError):
            return []


def show(run: Path | str) -> Shown:
    """Reads a run directory or a saliency export, for a notebook to show.

    Args:
        run: Its directory.

    Returns:
        Its facts and results; a notebook shows them with the maps of the first images.

    Raises:
        FileNotFoundError: if there is no such directory.
        ValueError: if it is neither run nor export.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=2, width=4)
        >>> with cva.report.Recorder("runs/mine", torch.rand(2, 3, 16, 16)) as recorder:
        ...     recorder.log(model, epoch=0)
        >>> cva.report.show("runs/mine").path.name
        'mine'
    """
    opened: Run = open_run(Path(run))
    return Shown(Path(run), tuple(facts(opened)), tuple(results(opened)), tuple(opened.notices))
