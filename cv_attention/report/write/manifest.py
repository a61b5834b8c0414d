"""Writes what the page shows of one run: texts, curves and predictions at once, maps and images in shards."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cv_attention.report.read.facts import costs, facts, results, settings
from cv_attention.report.read.recording import UNREADABLE, Probe, Unreadable
from cv_attention.report.read.redaction import redact
from cv_attention.report.read.run_directory import Run
from cv_attention.report.write.epochs import EpochWriter
from cv_attention.report.write.panels import PanelWriter
from cv_attention.report.write.shards import write_shard
from cv_attention.report.write.thumbnails import Thumbnail, thumbnail

PICTURES_PER_SHARD = 16


def write_run(root: Path, number: int, run: Run) -> dict[str, Any]:
    """Writes a run's images and shards below `root`.

    Args:
        root: Folder of the report.
        number: Position of the run in the report; its files are in folders ``run<number>``.
        run: The run.

    Returns:
        What the page needs at the start, as plain values. Columns are identified by their index in ``columns``.
    """
    folder = f"run{number}"
    notices = list(run.notices)
    probes, pictures = write_probes(root, folder, run.recording.probes)
    notices += _without_pictures(run.recording.probes, probes)
    labels = [probe.label for probe in run.recording.probes]
    writer = EpochWriter(root, folder, labels, [probe.get("box") for probe in probes])
    epochs = []
    for snapshot in run.recording.snapshots:
        try:
            epochs.append(writer.write(snapshot))
        except UNREADABLE as error:
            notices += [str(error)] if isinstance(error, Unreadable) else []
            notices.append(f"{snapshot.source} could not be read; this epoch is left out.")
    config = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True) if run.config else None
    titles = {column["title"]: column["index"] for column in writer.columns.values()}
    panels = PanelWriter(root, folder, run, titles)
    return {
        "panels": panels.write(),
        "name": run.name,
        "identity": _identity(run, config, pictures),
        "seeds": _digest(_without_seed(run.config)) if run.config and not run.export else None,
        "export": run.export,
        "folder": folder,
        "facts": facts(run),
        "test": results(run),
        "plan": run.summary.get("plan") if isinstance(run.summary.get("plan"), str) else None,
        "config": config,
        "settings": {} if run.export else settings(run.config),
        "finished": _is_finished(run.summary),
        "series": run.metrics.series,
        "resumed": run.metrics.resumed,
        "classes": run.class_names,
        "columns": list(writer.columns.values()),
        "probes": probes,
        "pictures": pictures,
        "epochs": epochs,
        "costs": costs(run),
        "notices": notices + panels.notices,
    }


def _is_finished(summary: dict[str, Any]) -> bool:
    """Whether training ended by itself: `fit` records provenance at the start, and that it finished at the end."""
    return bool(summary) and (summary.get("finished") is True or "provenance" not in summary)


def _identity(run: Run, config: str | None, pictures: list[str]) -> str:
    """Identifies a run in every report of it: by its name, configuration and images, which no later epoch changes."""
    return _digest([run.name, config, pictures])


def _without_seed(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the configuration without seeds: runs that agree in it are repetitions of each other."""
    plain = {name: value for name, value in config.items() if name != "seed"}
    return {name: _without_seed(value) if isinstance(value, dict) else value for name, value in plain.items()}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def write_probes(root: Path, folder: str, probes: Sequence[Probe]) -> tuple[list[dict[str, Any]], list[str]]:
    """Writes images in shards.

    Args:
        root: Folder of the report.
        folder: Folder of the shards below ``data/``.
        probes: The images.

    Returns:
        What is known of every image, and the hashes of the shards.
    """
    about, hashes = [], []
    for block, start in enumerate(range(0, len(probes), PICTURES_PER_SHARD)):
        part = probes[start : start + PICTURES_PER_SHARD]
        pictures = [thumbnail(probe.image) for probe in part]
        urls = [picture and picture.url for picture in pictures]
        hashes.append(write_shard(root, f"{folder}/images-{block}", urls))
        about += [_about(probe, picture) for probe, picture in zip(part, pictures, strict=True)]
    return about, hashes


def _without_pictures(probes: Sequence[Probe], known: Sequence[dict[str, Any]]) -> list[str]:
    """Returns a notice about images whose file could not be read."""
    names = [
        redact(probe.file) for probe, about in zip(probes, known, strict=True) if probe.file and "size" not in about
    ]
    if not names:
        return []
    more = f" and {len(names) - 1} more images" if len(names) > 1 else ""
    return [f"{names[0]}{more} could not be read; their maps are shown without the image."]


def _about(probe: Probe, picture: Thumbnail | None) -> dict[str, Any]:
    known = {
        "label": probe.label,
        "labels": None if probe.labels is None else list(probe.labels),
        "name": probe.name,
        "flags": probe.flags,
        "size": picture and picture.size,
        "box": picture and _relative_box(probe.box, picture.size),
    }
    return {key: value for key, value in known.items() if key == "label" or value or value == []}


def _relative_box(box: Sequence[float] | None, size: tuple[int, int]) -> list[float] | None:
    """Converts a box to fractions of the image's width and height, clipped to the image."""
    if box is None:
        return None
    return [round(min(max(value / side, 0.0), 1.0), 5) for value, side in zip(box, size * 2, strict=True)]
