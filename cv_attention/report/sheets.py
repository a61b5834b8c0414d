"""Makes figures of a run: chosen images as rows, chosen maps as columns, of one epoch or of several."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, overload

import numpy as np

from cv_attention.drawing import Limits
from cv_attention.figures import Chart, Scale, Sheet
from cv_attention.figures import animate as write_animation
from cv_attention.report.naming import column_names, is_called
from cv_attention.report.panel_figures import Panel, panel_figure
from cv_attention.report.read.images import image_of
from cv_attention.report.read.opening import open_run
from cv_attention.report.read.recording import Recording, Snapshot, read_arrays
from cv_attention.report.read.run_directory import Run
from cv_attention.report.scales import MapScale, ends_of, scale_words
from cv_attention.suggest import suggest

_ROWS, _COLUMNS = 6, 5  # of a figure for which none are chosen
_LOOKS = {"colours": "viridis", "opacity": 0.65}  # those with which the page opens
Rows = Sequence[int | str] | None


@overload
def figure(
    run: Path | str,
    rows: Rows = ...,
    columns: Sequence[str] | None = ...,
    *,
    panel: None = ...,
    epochs: Sequence[int] | None = ...,
    scale: MapScale = ...,
    caption: str | None = ...,
    **options: Any,
) -> Sheet: ...
@overload
def figure(
    run: Path | str | Sequence[Path | str],
    rows: Rows = ...,
    columns: Sequence[str] | None = ...,
    *,
    panel: Panel,
    epochs: Sequence[int] | None = ...,
    caption: str | None = ...,
    **options: Any,
) -> Chart | Sheet: ...
def figure(
    run: Path | str | Sequence[Path | str],
    rows: Rows = None,
    columns: Sequence[str] | None = None,
    *,
    panel: Panel | None = None,
    epochs: Sequence[int] | None = None,
    scale: MapScale = "natural",
    caption: str | None = None,
    **options: Any,
) -> Sheet | Chart:
    """Makes a figure of a run or a saliency export, from the same maps, numbers and colours as its page.

    Args:
        run: Directory of a run or of an export; for ``curves`` also several.
        rows: Images, by their number on the page, a range such as ``"0-3"``, or a glob over names of images or classes
            such as ``"*dog*"``; None takes the first six.
        columns: Maps by their title or a glob over titles; None takes the saliency methods, then blocks, five at most.
        epochs: Recorded epochs, counted from 1 as on the page (0 is before training); each column then appears once for
            each. None takes the last.
        panel: None draws maps; ``curves``, ``confusion``, ``attention``, ``gates``, ``faithfulness`` and ``usage`` draw
            that panel of the page, of the first of `rows` and `epochs`, and of `columns`: metrics, maps, gates, blocks.
        scale: ``natural`` to each kind of map, as on the page; or which maps share a colour bar: ``image``, ``column``,
            ``all``.
        caption: Written below; None says which run, epoch and scale it is, ``""`` writes nothing.
        **options: Further fields of `figures.Sheet`, such as `clip`, `low`, `high`, `opacity`, `colours`. Of panels:
            `smoothing`, `log` and `by` of curves, `errors` and `colours` of a confusion matrix, `query` of attention.

    Returns:
        The figure: a notebook shows it, and ``save("figure.pdf")`` writes it, also as ``.svg`` and ``.png``.

    Raises:
        FileNotFoundError: if there is no such directory.
        ValueError: if it has no maps, or none of that name.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=2, width=4)
        >>> with cva.report.Recorder("runs/mine", torch.rand(4, 3, 16, 16)) as recorder:
        ...     recorder.log(model, epoch=0)
        >>> figure = cva.report.figure("runs/mine", rows=["0-1"], columns=["Grad-CAM"])
        >>> figure.caption.partition(", cv")[0]
        'mine, epoch 1'
        >>> figure.save("figure.pdf").name
        'figure.pdf'
    """
    if panel is not None:
        return _panel(run, panel, rows, columns, epochs, caption, options)
    if not isinstance(run, str | Path):
        raise ValueError(f"a figure of maps is of one run, got {len(run)}; panel='curves' takes several")
    opened = open_run(Path(run))
    snapshots = _snapshots(opened, epochs)
    return _sheet(opened, snapshots, rows, columns, scale=scale, caption=caption, **options)


def animation(
    run: Path | str,
    out: Path | str,
    rows: Rows = None,
    columns: Sequence[str] | None = None,
    *,
    epochs: Sequence[int] | None = None,
    scale: MapScale = "natural",
    width: float = 7.0,
    dpi: int = 120,
    seconds: float = 0.8,
    **options: Any,
) -> Path:
    """Writes an animation of a run's maps over its recorded epochs, as WebP.

    Args:
        run: Directory of a run.
        out: A file that ends in ``.webp``.
        rows: Images; see `figure`.
        columns: Maps; see `figure`.
        epochs: Recorded epochs; None takes all.
        scale: The ends of the colours; see `figure`.
        width: Inches.
        dpi: Pixels per inch.
        seconds: How long an epoch stays.
        **options: Further fields of `figures.Sheet`.

    Returns:
        The file.

    Raises:
        FileNotFoundError: if there is no such directory.
        ValueError: if it has no maps, or none of that name.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=2, width=4)
        >>> with cva.report.Recorder("runs/mine", torch.rand(2, 3, 16, 16)) as recorder:
        ...     recorder.log(model, epoch=0)
        ...     recorder.log(model, epoch=1)
        >>> cva.report.animation("runs/mine", "epochs.webp", rows=[0], columns=["Grad-CAM"], width=3).name
        'epochs.webp'
    """
    opened = open_run(Path(run))
    snapshots = _snapshots(opened, epochs, every=True)
    frames = [_sheet(opened, [one], rows, columns, scale=scale, caption=None, **options) for one in snapshots]
    return write_animation(frames, out, width=width, dpi=dpi, seconds=seconds)


def _panel(
    run: Path | str | Sequence[Path | str],
    panel: Panel,
    rows: Rows,
    columns: Sequence[str] | None,
    epochs: Sequence[int] | None,
    caption: str | None,
    options: dict[str, Any],
) -> Chart | Sheet:
    opened = [open_run(Path(one)) for one in ([run] if isinstance(run, str | Path) else run)]
    row = None if rows is None else _rows(opened[0].recording, rows)[0]
    epoch = None if epochs is None else epochs[0] - 1
    return panel_figure(opened, panel, row, columns, epoch, caption, options)


def _sheet(
    run: Run,
    snapshots: Sequence[Snapshot],
    rows: Rows,
    columns: Sequence[str] | None,
    *,
    scale: MapScale,
    caption: str | None,
    **options: Any,
) -> Sheet:
    recording = run.recording
    chosen = _rows(recording, rows)
    titles = _titles(snapshots[-1], columns, len(recording.probes))
    names = column_names(titles)
    maps: dict[str, list[np.ndarray | None]] = {}
    ends: dict[str, list[Limits | None]] = {}
    for snapshot in snapshots:
        arrays = {column.title: column.key for column in snapshot.columns}
        values = read_arrays(snapshot, len(recording.probes))
        of_epoch = ends_of(recording, snapshot, titles, chosen, scale, clip=options.get("clip", 100))
        for title in titles:
            found = values[key] if (key := arrays.get(title)) in values and values[key].ndim == 3 else None
            name = names[title] + ("" if len(snapshots) == 1 else f", {_epoch(snapshot)}")
            maps[name] = [None if found is None else found[row].astype(np.float32) for row in chosen]
            ends[name] = of_epoch[title]
    images = [image_of(run, row) for row in chosen]
    labels = [_label(recording, snapshots[-1], row) for row in chosen]
    words = _caption(run, snapshots, scale, options) if caption is None else caption
    shared: Scale = "image" if scale == "natural" else scale
    return Sheet(images, maps, labels if any(labels) else [], words, shared, ends=ends, **{**_LOOKS, **options})


def _snapshots(run: Run, epochs: Sequence[int] | None, *, every: bool = False) -> list[Snapshot]:
    recorded = run.recording.snapshots
    if not recorded:
        raise ValueError(f"{run.name} has no recorded maps; {' '.join(run.notices)}".rstrip("; "))
    if epochs is None:
        return recorded if every else recorded[-1:]
    if run.export:
        raise ValueError(f"{run.name} is an export, which has no epochs")
    known = {snapshot.epoch + 1: snapshot for snapshot in recorded}
    for epoch in epochs:
        if epoch not in known:
            raise ValueError(f"{run.name} has no maps of epoch {epoch}; recorded are {', '.join(map(str, known))}")
    return [known[epoch] for epoch in dict.fromkeys(epochs)]


def _rows(recording: Recording, rows: Rows) -> list[int]:
    count = len(recording.probes)
    if rows is None:
        return list(range(min(count, _ROWS)))
    found: list[int] = []
    for row in rows:
        span = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", str(row))
        if span:
            first, last = int(span[1]), int(span[2] or span[1])
            if not first <= last < count:
                raise ValueError(f"rows has {row}, but the images are numbered from 0 to {count - 1}")
            found += range(first, last + 1)
            continue
        named = [number for number in range(count) if any(fnmatchcase(n, str(row)) for n in _names(recording, number))]
        if not named:
            names = sorted({name for number in range(count) for name in _names(recording, number) if name})
            raise ValueError(f"no image and no class is called {row}{suggest(str(row), names)}")
        found += named
    return list(dict.fromkeys(found))


def _names(recording: Recording, row: int) -> tuple[str, str]:
    return recording.probes[row].name, _class(recording, recording.probes[row].label)


def _class(recording: Recording, index: int | None) -> str:
    if index is None:
        return ""
    names = recording.class_names
    return names[index] if 0 <= index < len(names) else str(index)


def _titles(snapshot: Snapshot, columns: Sequence[str] | None, probes: int) -> list[str]:
    values = read_arrays(snapshot, probes)
    drawn = [column for column in snapshot.columns if column.key in values and values[column.key].ndim == 3]
    if not drawn:
        raise ValueError("none of the recorded maps is an image: channel gates have no positions")
    if columns is None:
        ordered = sorted(drawn, key=lambda column: column.source != "saliency")
        return [column.title for column in ordered][:_COLUMNS]
    found: list[str] = []
    for wanted in columns:
        matching = [column.title for column in drawn if is_called(column, wanted)]
        if not matching:
            known = [column.title for column in drawn]
            raise ValueError(f"no map is called {wanted}{suggest(wanted, known, shown=12)}")
        found += matching
    return list(dict.fromkeys(found))


def _label(recording: Recording, snapshot: Snapshot, row: int) -> str:
    """The true class, and the predicted one with its probability where that is another or the only one known."""
    true, guess = recording.probes[row].label, snapshot.predictions[row]
    lines = [_class(recording, true)] if true is not None else []
    if guess is not None:
        rows = snapshot.probabilities
        sure = f" {100 * float(rows[row][guess]):.0f} %" if rows is not None and 0 <= guess < len(rows[row]) else ""
        said = _class(recording, guess)
        lines.append(f"predicted {said}{sure}" if said != _class(recording, true) else f"predicted{sure or ' rightly'}")
    return "\n".join(lines)


def _epoch(snapshot: Snapshot) -> str:
    return f"epoch {snapshot.epoch + 1}" if snapshot.epoch >= 0 else "before training"


def _caption(run: Run, snapshots: Sequence[Snapshot], scale: MapScale, options: dict[str, Any]) -> str:
    """Where the maps come from, and what their colours mean."""
    parts = [run.name]
    if run.export:
        checkpoint = Path(str(run.config.get("checkpoint") or "")).name
        digest = str(run.config.get("checkpoint_sha256") or "")[:8]
        parts += [f"network {checkpoint}" if checkpoint else "", f"SHA-256 {digest}" if digest else ""]
    else:
        parts += [_epoch(one) for one in snapshots] if len(snapshots) == 1 else []
    provenance = run.summary.get("provenance")
    writer = provenance.get("cv_attention") if isinstance(provenance, dict) else run.config.get("cv_attention")
    parts.append(f"cv_attention {writer}" if isinstance(writer, str) else "")
    return f"{', '.join(part for part in parts if part)}; {scale_words(scale, options)}"
