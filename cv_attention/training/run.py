"""A run directory: where it is, what it holds, how a trained network comes back from it."""

import json
import os
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from cv_attention.config import Experiment
from cv_attention.training.classifier import Classifier, DataFacts

# The process that creates the run directory tells the processes it starts.
_SHARED_RUN = "CV_ATTENTION_RUN"


def default_name(experiment: Experiment) -> str:
    """Names a run after what tells it from others: data, backbone, block and seed."""
    block = experiment.model.block
    if isinstance(block, dict):
        block = str(block.get("name") or block.get("class_path", "block")).rsplit(".", 1)[-1]
    backbone = experiment.model.backbone.replace("/", "-")
    return f"{experiment.data.name}-{backbone}-{block or 'plain'}-seed{experiment.seed}"


def create(experiment: Experiment, rank: int) -> Path:
    """Creates a new run directory under ``log.root``; the name gets ``-2``, ``-3``, ... when it is taken.

    Args:
        experiment: The configuration; written into the directory as ``config.yaml``.
        rank: Number of this process among all; only process 0 creates the directory.
    """
    if rank > 0:
        return Path(os.environ.get(_SHARED_RUN, experiment.log.root))
    root, name = Path(experiment.log.root), experiment.log.name or default_name(experiment)
    number = 1
    while True:
        run = root / (name if number == 1 else f"{name}-{number}")
        try:
            run.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
    write_config(run, experiment)
    os.environ[_SHARED_RUN] = str(run)
    return run


def discard(run: Path) -> None:
    """Removes a run directory in which nothing has happened, and the folder of runs if it is empty then."""
    shutil.rmtree(run)
    if not any(run.parent.iterdir()):
        run.parent.rmdir()


def write_config(run: Path, experiment: Experiment) -> None:
    """Writes the resolved configuration to ``config.yaml``."""
    write_text(run / "config.yaml", yaml.safe_dump(experiment.to_dict(), sort_keys=False))


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def update_summary(run: Path, **values: Any) -> None:
    """Adds `values` to the run's ``summary.json``."""
    write_text(run / "summary.json", json.dumps({**read_summary(run), **values}, indent=2) + "\n")


def read_summary(run: Path) -> dict[str, Any]:
    """Reads what `update_summary` has written so far."""
    path = run / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def check_unfinished(run: Path, max_epochs: int) -> None:
    """Raises ValueError if the run has been trained for `max_epochs` and tested: the test split is looked at once."""
    epochs = torch.load(find_checkpoint(run, "last"), map_location="cpu", weights_only=True)["epoch"] + 1
    if epochs >= max_epochs and read_summary(run).get("test"):
        raise ValueError(f"{run} has finished its {epochs} epochs; --trainer.max_epochs {epochs + 10} trains it longer")


def next_part(run: Path) -> str:
    """Returns the number of the next stretch of training: 0 at first, one more after every resume."""
    taken = [int(part.name) for part in (run / "metrics").glob("*") if part.name.isdecimal()]
    return str(max(taken, default=-1) + 1)


def find_checkpoint(path: Path, name: str = "best") -> Path:
    """Finds a checkpoint.

    Args:
        path: A checkpoint file or a run directory.
        name: Which checkpoint of the run directory: ``best`` by validation accuracy, or ``last``.

    Raises:
        FileNotFoundError: if there is none; the message lists what is there.
    """
    if path.is_file():
        return path
    if not path.exists():
        near = sorted(str(run) for run in path.parent.glob("*/") if (run / "config.yaml").is_file())
        there = f"; there are {', '.join(near)}" if near else ""
        raise FileNotFoundError(f"{path} does not exist{there}")
    checkpoint = path / "checkpoints" / f"{name}.ckpt"
    if not checkpoint.is_file():
        there = sorted(str(found) for found in path.rglob("*.ckpt"))
        raise FileNotFoundError(f"{checkpoint} does not exist; {path} holds {', '.join(there) or 'no checkpoint'}")
    return checkpoint


def load(checkpoint: Path) -> Classifier:
    """Rebuilds the network of a checkpoint, with its weights, on the CPU, in eval mode.

    Raises:
        ValueError: if the file is no checkpoint of cv_attention, or its weights do not fit its configuration.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or foreign file provokes
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{checkpoint} cannot be read as a checkpoint: {reason}") from error
    if not isinstance(content, dict) or not {"experiment", "facts", "state_dict"} <= content.keys():
        raise ValueError(f"{checkpoint} is no checkpoint of cv_attention: it does not say which network it belongs to")
    experiment = from_plain(Experiment, content["experiment"])
    experiment.model.pretrained = False  # the weights come from the checkpoint
    facts = DataFacts(**{name: _tuple(value) for name, value in content["facts"].items()})
    classifier = Classifier(experiment, facts)
    try:
        classifier.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise ValueError(f"{checkpoint} does not fit {experiment.model.backbone}: {error}") from error
    return classifier.eval()


def from_plain(tree: Any, values: dict[str, Any]) -> Any:
    """Rebuilds the typed configuration from the plain values that `Experiment.to_dict` wrote."""
    kinds: dict[str, Any] = {field.name: field.type for field in fields(tree)}
    return tree(
        **{
            name: from_plain(kinds[name], value) if is_dataclass(kinds[name]) else value
            for name, value in values.items()
        }
    )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
