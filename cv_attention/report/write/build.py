"""Builds the report of run directories: one folder of static files, put in place when it is complete."""

import contextlib
import glob
import html
import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from string import Template

from cv_attention.report.read.opening import open_run
from cv_attention.report.read.run_directory import Run
from cv_attention.report.write.bundle import bundle_script, bundle_styles
from cv_attention.report.write.epochs import PROBES_PER_SHARD
from cv_attention.report.write.manifest import PICTURES_PER_SHARD, write_run
from cv_attention.report.write.shards import as_json, write_hashed
from cv_attention.rundir.layout import RunLayout

_PAGE = Path(__file__).parents[1] / "page"
_ABANDONED = 3600  # seconds
_GENERATOR = '<meta name="generator" content="cv_attention report">'


def build(runs: Path | str | Sequence[Path | str], out: Path | str | None = None) -> Path:
    """Writes the report of one run or saliency export, or of several side by side.

    Args:
        runs: Directory of a run or a saliency export, or several. Missing parts are omitted from the page.
        out: Folder of the report, by default ``<run>/report``, of several runs ``comparison`` next to the first; an
            earlier report there is replaced once the new one is complete.

    Returns:
        The report's ``index.html``.

    Raises:
        FileNotFoundError: if a directory does not exist.
        ValueError: if a directory is neither run nor export, none is given, or `out` holds other files than a report.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=2, width=4)
        >>> for seed in (0, 1):
        ...     with cva.report.Recorder(f"runs/seed-{seed}", torch.rand(2, 3, 16, 16)) as recorder:
        ...         recorder.log(model, epoch=0, val_accuracy=0.5)
        >>> cva.report.build(["runs/seed-0", "runs/seed-1"], "comparison").as_posix()
        'comparison/index.html'
    """
    directories = [Path(runs)] if isinstance(runs, Path | str) else [Path(run) for run in runs]
    if not directories:
        raise ValueError("a report needs at least one run directory, got none")
    target = _default_target(directories) if out is None else Path(out)
    loaded = [open_run(one) for one in directories]
    _check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    draft = target.parent / f".{target.name}-{secrets.token_hex(4)}.partial"
    draft.mkdir()
    try:
        _write(draft, loaded)
        _put_in_place(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target / "index.html"


def _default_target(directories: list[Path]) -> Path:
    first = directories[0]
    return RunLayout(first).page.parent if len(directories) == 1 else first.resolve().parent / "comparison"


def _sweep(target: Path) -> None:
    """Removes leftovers of builds killed more than an hour ago; a younger build may still be running."""
    for left in target.parent.glob(f".{glob.escape(target.name)}-*.partial"):
        if re.fullmatch(r"-[0-9a-f]{8}\.partial", left.name.removeprefix(f".{target.name}")):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(left)


def _check_replaceable(target: Path) -> None:
    """Refuses to replace a folder that holds anything but an earlier report."""
    if not target.exists():
        return
    index = target / "index.html"
    is_report = index.is_file() and _GENERATOR in index.read_text(encoding="utf-8", errors="replace")[:4096]
    if not target.is_dir() or (any(target.iterdir()) and not is_report):
        raise ValueError(f"{target} exists and is not a report; give an empty or new folder as the output")


def _put_in_place(draft: Path, target: Path) -> None:
    """Renames `draft` to `target`; an earlier report is moved away and restored if that fails."""
    if not target.exists():
        os.replace(draft, target)
        return
    aside = draft.with_suffix(".old")
    os.replace(target, aside)
    try:
        os.replace(draft, target)
    except OSError:
        os.replace(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _write(root: Path, runs: list[Run]) -> None:
    report = {
        "version": 2,
        "blocks": {"maps": PROBES_PER_SHARD, "pictures": PICTURES_PER_SHARD},
        "runs": [write_run(root, number, run) for number, run in enumerate(runs)],
    }
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs: {', '.join(run.name for run in runs)}"
    template = Template((_PAGE / "index.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=html.escape(title),
        style=write_hashed(root, "assets/report.css", bundle_styles(_PAGE)),
        data=write_hashed(root, "data/report.js", f"window.cvAttentionReport={as_json(report)};\n"),
        script=write_hashed(root, "assets/report.js", bundle_script(_PAGE)),
    )
    (root / "index.html").write_text(page, encoding="utf-8")
