"""Draws the panels of a run's page for papers: curves, confusion, attention, gates, faithfulness, use of the blocks."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cv_attention.figures import Chart, Line, Matrix, Plot, Sheet
from cv_attention.report.choosing import chosen, shown_name
from cv_attention.report.curve_plots import curve_plots
from cv_attention.report.read.images import image_of
from cv_attention.report.read.run_directory import Run
from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.contents import ConfusionCounts, Faithfulness, gate_array
from cv_attention.rundir.layout import EpochFile, RunLayout

Panel = Literal["curves", "confusion", "attention", "gates", "faithfulness", "usage"]
"""Panels of the page that figures are drawn of."""

_BASELINES = {"random": "random map", "centre": "centre of the image"}
_MARK = (255, 0, 200)  # of the position that looks


def curves(
    runs: Sequence[Run],
    columns: Sequence[str] | None,
    *,
    smoothing: float = 0.0,
    log: bool = False,
    by: str = "epoch",
) -> Chart:
    """Draws the training curves, those of several runs in one plot.

    Args:
        runs: The runs.
        columns: Metrics or globs over their names; None takes all.
        smoothing: Weight of the past in exponential moving averages, in [0, 1).
        log: Whether the upright axes are logarithmic.
        by: ``epoch`` or ``step``.
    """
    return Chart(curve_plots(runs, columns, smoothing=smoothing, log=log, by=by), ", ".join(run.name for run in runs))


def confusion(run: Run, epoch: int | None, *, errors: bool = False, colours: Any = "viridis") -> Chart:
    """Draws the confusion matrix of the test split, or of the validation split after an epoch.

    Args:
        run: The run.
        epoch: Index of the epoch; None takes the test split, or the last epoch of a run that was not tested.
        errors: Whether right predictions are left out.
        colours: Table of the shares.
    """
    layout = RunLayout(run.directory)
    path = layout.tested_confusion
    title = "Test split"
    if epoch is not None or not path.is_file():
        path, epoch = _file(run, EpochFile.CONFUSION, epoch, "confusion")
        title = f"Validation split, epoch {epoch + 1}"
    found = ConfusionCounts.read(path)
    counts = np.zeros((found.classes, found.classes), int)
    for truth, guess, number in found.counts:
        counts[truth, guess] = number
    title = f"{found.what[:1].upper()}{found.what[1:]}" if found.what else title
    return Chart([Matrix(title, counts, run.class_names, errors, colours)], run.name)


def attention(
    run: Run,
    row: int,
    columns: Sequence[str] | None,
    epoch: int | None,
    *,
    query: Sequence[int] | None = None,
    **options: Any,
) -> Sheet:
    """Draws what each head of a self-attention attends to, at one scale.

    Args:
        run: The run.
        row: The image.
        columns: Names of maps or globs, one row of heads for each; None takes all.
        epoch: Index of the epoch; None takes the last.
        query: Row and column of the position whose attention is shown, on the map's grid; None shows what all positions
            attend to together.
        **options: Further fields of `figures.Sheet`.
    """
    kind, what = (EpochFile.HEADS, "heads") if query is None else (EpochFile.PAIRWISE, "pairwise maps")
    path, epoch = _file(run, kind, epoch, what)
    found = {name: values for name, values in read_arrays(path).items() if row < len(values)}
    names = chosen(list(found), columns, "map")
    pictures, heads = [], []
    for name in names:
        values, picture = found[name][row].astype(np.float32), image_of(run, row)
        if query is not None:
            height, width = values.shape[-2:]
            if not (0 <= query[0] < height and 0 <= query[1] < width and values.shape[1] == height * width):
                raise ValueError(
                    f"query must be a row and a column of {height} × {width} positions, got {tuple(query)}"
                )
            values, picture = values[:, query[0] * width + query[1]], _marked(picture, query, (height, width))
        pictures.append(picture)
        heads.append(list(values))
    most = max(map(len, heads))
    maps = {
        f"head {number + 1}": [one[number] if number < len(one) else None for one in heads] for number in range(most)
    }
    labels = [shown_name(name) for name in names]
    where = "" if query is None else f", what row {query[0]}, column {query[1]} attends to"
    words = f"{run.name}, epoch {epoch + 1}{where}; one scale"
    most = max(float(end) for row in heads for one in row for end in (one.max(), 2 * one.mean()))
    looks = {"low": 0.0, "high": most, "colours": "viridis", "opacity": 0.65}  # those with which the page opens
    return Sheet(pictures, maps, labels, words, "all", **{**looks, **options})


def gates(run: Run, row: int, columns: Sequence[str] | None, epoch: int | None) -> Chart:
    """Draws how channel gates are distributed over the images, sorted by their medians, and those of one image.

    Args:
        run: The run.
        row: The image whose gates are dots.
        columns: Names of gates or globs; None takes all.
        epoch: Index of the epoch; None takes the last.
    """
    path, epoch = _file(run, EpochFile.GATES, epoch, "gates")
    arrays = read_arrays(path)
    prefix = gate_array("quantiles", "")
    names = chosen([key.removeprefix(prefix) for key in arrays if key.startswith(prefix)], columns, "gate")
    snapshot = next((one for one in run.recording.snapshots if one.epoch == epoch), None)
    recorded = {column.title: column.key for column in snapshot.columns} if snapshot else {}
    loaded = snapshot.load() if snapshot else {}
    plots = []
    for name in names:
        quantiles = np.asarray(arrays[gate_array("quantiles", name)], float).reshape(5, -1)
        order = np.argsort(-quantiles[2], kind="stable")
        x = list(range(quantiles.shape[1]))
        low, quarter, median, upper, high = quantiles[:, order].tolist()
        lines = [Line("nine tenths of the images", x, median, 0, band=(low, high), legend=False)]
        lines.append(Line("median, middle half and nine tenths of the images", x, median, 0, band=(quarter, upper)))
        own = loaded.get(recorded.get(name, ""))
        if own is not None and own.ndim == 2 and row < len(own):
            lines.append(Line(f"image {row + 1}", x, own[row].astype(float)[order].tolist(), 1, dots=True))
        title = shown_name(name)
        plots.append(Plot(title, "channels, by their median", lines))
    return Chart(plots, f"{run.name}, epoch {epoch + 1}, {int(arrays['images'])} images")


def faithfulness(run: Run, row: int | None, columns: Sequence[str] | None) -> Chart:
    """Draws insertion and deletion curves, with those of maps that know nothing of the network.

    Args:
        run: The run.
        row: The image; None draws means over the images with bands of 1.96 standard errors.
        columns: Maps or globs over their titles; None takes all.
    """
    path = RunLayout(run.directory).faithfulness
    if not path.is_file():
        raise ValueError(f"{run.name} has no insertion and deletion curves")
    found = Faithfulness.read(path)
    names = chosen(list(found.curves), columns, "map")
    groups = [(name, found.curves[name], place, 0) for place, name in enumerate(names)]
    groups += [(_BASELINES.get(n, n), both, 6 + place, 1) for place, (n, both) in enumerate(found.baselines.items())]
    plots = []
    for kind, words in (("insertion", "pixels inserted"), ("deletion", "pixels deleted")):
        lines = []
        for name, both, colour, dash in groups:
            values = np.array(both[kind]["curve"], float)
            area = float(np.mean(both[kind]["auc"]) if row is None else both[kind]["auc"][row])
            x = np.linspace(0, 1, values.shape[1]).tolist()
            if row is not None:
                lines.append(Line(f"{name}, AUC {area:.3f}", x, values[row].tolist(), colour, dash))
                continue
            mean, error = values.mean(0), 1.96 * values.std(0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0
            band = ((mean - error).tolist(), (mean + error).tolist())
            lines.append(Line(f"{name}, AUC {area:.3f}", x, mean.tolist(), colour, dash, band))
        plots.append(Plot(kind.capitalize(), words, lines, percent=True, percent_x=True))
    count = len(found.classes)
    which = f"mean of {count} images with 95 % intervals" if row is None else f"image {row + 1}"
    return Chart(plots, f"{run.name}, epoch {found.epoch + 1}, probability of the predicted class, {which}")


def usage(run: Run, columns: Sequence[str] | None) -> Chart:
    """Draws by how much each block changes its input, over the recorded epochs.

    Args:
        run: The run.
        columns: Blocks or globs over their names; None takes all.
    """
    known = list(dict.fromkeys(block for one in run.recording.snapshots for block in one.blocks))
    if not known:
        raise ValueError(f"{run.name} did not record how much its blocks are used")
    lines = []
    for place, block in enumerate(chosen(known, columns, "block")):
        points = [(s.epoch + 1, s.blocks[block]["change"]) for s in run.recording.snapshots if block in s.blocks]
        lines.append(Line(block.removesuffix(".attention"), [x for x, _ in points], [y for _, y in points], place))
    return Chart([Plot("Changes its input by", "epochs trained", lines, percent=True)], run.name)


def panel_figure(
    runs: Sequence[Run],
    panel: Panel,
    row: int | None,
    columns: Sequence[str] | None,
    epoch: int | None,
    caption: str | None,
    options: Mapping[str, Any],
) -> Chart | Sheet:
    """Draws a panel of the page.

    Args:
        runs: One run; for curves several.
        panel: Its name.
        row: The image; None takes the first, or for faithfulness the mean of all.
        columns: Metrics, maps, gates or blocks; None takes all.
        epoch: Index of the epoch; None takes the last.
        caption: Written below; None says which run it is.
        options: Arguments of this panel alone.

    Raises:
        ValueError: if there is no such panel, the run has no data for it, or an option is not one of its.
    """
    makers: dict[str, Callable[..., Chart | Sheet]] = {
        "curves": lambda **own: curves(runs, columns, **own),
        "confusion": lambda **own: confusion(runs[0], epoch, **own),
        "attention": lambda **own: attention(runs[0], row or 0, columns, epoch, **own),
        "gates": lambda **own: gates(runs[0], row or 0, columns, epoch, **own),
        "faithfulness": lambda **own: faithfulness(runs[0], row, columns, **own),
        "usage": lambda **own: usage(runs[0], columns, **own),
    }
    if panel not in makers:
        raise ValueError(f"panel must be one of {', '.join(makers)}, got {panel!r}")
    if len(runs) > 1 and panel != "curves":
        raise ValueError(f"a figure of {panel} is of one run, got {len(runs)}")
    try:
        drawn = makers[panel](**options)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None:
            raise
        raise ValueError(f"{unknown[1]} does not apply to a figure of {panel}") from error
    return drawn if caption is None else replace(drawn, caption=caption)


def _file(run: Run, kind: EpochFile, epoch: int | None, what: str) -> tuple[Path, int]:
    """Returns the file of an epoch, or of the last that has one, and its epoch."""
    files = RunLayout(run.directory).epoch_files(kind)
    if not files:
        raise ValueError(f"{run.name} recorded no {what}")
    chosen = max(files) if epoch is None else epoch
    if chosen not in files:
        known = ", ".join(str(one + 1) for one in sorted(files))
        raise ValueError(f"{run.name} has no {what} of epoch {chosen + 1}; recorded are {known}")
    return files[chosen], chosen


def _marked(picture: np.ndarray, query: Sequence[int], grid: tuple[int, int]) -> np.ndarray:
    """Frames one position of the grid in a copy of the image."""
    marked, (height, width) = picture.copy(), picture.shape[:2]
    top, bottom = (round(height * (query[0] + end) / grid[0]) for end in (0, 1))
    left, right = (round(width * (query[1] + end) / grid[1]) for end in (0, 1))
    thick = max(1, round(width / 100))
    inside = marked[top + thick : bottom - thick, left + thick : right - thick].copy()
    marked[top:bottom, left:right] = _MARK
    marked[top + thick : bottom - thick, left + thick : right - thick] = inside
    return marked
