"""Writes a trained network as a folder in the layout of the Hugging Face Hub."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cv_attention.config import Experiment
from cv_attention.config.plain import from_plain
from cv_attention.extras import require
from cv_attention.hub.card import About, card_text
from cv_attention.hub.pictures import draw_maps
from cv_attention.hub.seeds import over_seeds, study_of
from cv_attention.report.read.redaction import redact
from cv_attention.rundir import summary
from cv_attention.rundir.files import replacing, write_text
from cv_attention.rundir.layout import PUBLISHED_WEIGHTS
from cv_attention.training.checkpoint import weights
from cv_attention.training.checkpoint.checkpoints import find_checkpoint
from cv_attention.training.loading import load
from cv_attention.training.provenance import described

FORMAT = 1  # of config.json
CARD, CONFIG, PICTURE = "README.md", "config.json", "maps.webp"
_RESULTS = ("test", "validation", "selected", "parameters", "flops", "training_seconds", "hardware", "data")


def write_folder(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    title: str | None = None,
    license: str | None = None,
    pictures: int = 8,
    trust: Collection[str] = (),
) -> list[Path]:
    """Writes the network of a finished run as a folder in the layout of the Hub, and sends nothing.

    The folder holds ``model.safetensors`` (weights with everything that `load` needs), ``config.json`` (configuration,
    classes and results, for people and other programs), ``README.md`` (the model card: metrics, seeds, study, data,
    licence) and ``maps.webp``. Absolute paths of this machine are shortened to their last part.

    Args:
        run: A finished run directory.
        out: The folder, which is made; files of these names in it are replaced.
        title: Name of the model, such as ``ORG/NAME``; None takes the name of the run.
        license: Identifier of the licence as the Hub writes it, such as ``apache-2.0``; None states none.
        pictures: Number of the probe images that ``maps.webp`` shows, which are images of the data set; 0 writes none.
        trust: Modules and classes that the run may name.

    Returns:
        The files that were written.

    Raises:
        FileNotFoundError: if the run does not exist.
        ValueError: if it has not been tested, is damaged, or names a class that is not in `trust`.

    Examples:
        >>> from cv_attention import hub
        >>> [file.name for file in hub.write_folder("runs/mine", "shared", license="mit")]  # doctest: +SKIP
        ['model.safetensors', 'config.json', 'maps.webp', 'README.md']
    """
    require("hub", "sharing a network")
    run, out = Path(run).expanduser(), Path(out).expanduser()
    checkpoint = find_checkpoint(run)
    known = summary.read(run) if run.is_dir() else {}
    if not known.get("test"):
        raise ValueError(f"{run} is not a finished run: it has no test results, and its card could not state them")
    task = load(checkpoint, trust, task=None)
    stated: dict[str, Any] = {
        **described(task.name, task.experiment, task.facts),
        "experiment": redact(task.experiment.to_dict()),
        "provenance": known.get("provenance") or {},
    }
    written = [out / PUBLISHED_WEIGHTS, out / CONFIG]
    out.mkdir(parents=True, exist_ok=True)
    weights.store(written[0], task.network, stated)
    study = study_of(run)
    sealed = study is not None and study.sealed
    results = {name: known[name] for name in _RESULTS if name in known and not (sealed and name == "test")}
    config = {"library": "cv_attention", "format": FORMAT, **stated, "results": redact(results)}
    write_text(written[1], json.dumps(config, indent=1, ensure_ascii=False, default=str) + "\n")
    picture = draw_maps(run, pictures)
    if picture is not None:
        with replacing(out / PICTURE) as file:
            picture.save(file, "WEBP", quality=85)
        written.append(out / PICTURE)
    else:
        (out / PICTURE).unlink(missing_ok=True)
    about = About(
        title or run.resolve().name,
        task.name,
        from_plain(Experiment, stated["experiment"], "experiment"),
        tuple(asdict(task.facts).get("class_names", ())),
        redact(known),
        over_seeds(run),
        study,
        license,
        None if picture is None else PICTURE,
    )
    write_text(out / CARD, card_text(about))
    return [*written, out / CARD]
