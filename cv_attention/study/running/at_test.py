"""Measures, once a trial has been tested, how much its network uses its gates."""

import errno
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cv_attention.blocks.trust import class_paths_in
from cv_attention.config import Experiment
from cv_attention.rundir import sealed
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import RunLayout
from cv_attention.study.design.trials import measured_file
from cv_attention.study.record import STUDY_FORMAT

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
GATES_REPLACED = "gates_replaced"


def measure_gates(run: Path, experiment: Experiment) -> None:
    """Tests a trial's network again with each of its gates, and with all of them, replaced by their means.

    The means are those over the validation split, for each gate. What it finds, or why it could not be measured, is
    written into the run directory; what is there already is left alone. The file holds figures of the test split.

    Args:
        run: The run directory of a tested trial.
        experiment: The trial's configuration, which says what its weights may import.
    """
    path = measured_file(run, GATES_REPLACED)
    if path.is_file():
        return
    try:
        content = _tested(run, experiment)
    except Exception as error:  # gates of images of several sizes, too little memory: the trial is trained all the same
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        content = {"error": " ".join(str(error).split())[:500]}
    write_text(path, json.dumps(sealed(content, STUDY_FORMAT), indent=1) + "\n")


MEASUREMENTS: dict[str, Callable[[Path, Experiment], None]] = {GATES_REPLACED: measure_gates}


def _tested(run: Path, experiment: Experiment) -> dict[str, Any]:
    from cv_attention import training
    from cv_attention.blocks.controls import gates_averaged, gates_replaced, has_gates
    from cv_attention.training.evaluation import evaluating_trainer
    from cv_attention.training.splits import open_data

    task = training.load(RunLayout(run).weights, class_paths_in(experiment.to_dict()), task=None)
    network = task.network
    if not has_gates(network):
        return {"sites": {}, "all": None, "kept": None}
    images = open_data(task, None, "test")

    def figures() -> dict[str, float]:
        [metrics] = evaluating_trainer(task).test(task, datamodule=images, verbose=False)
        return _figures(metrics)

    try:
        with gates_averaged(network) as means:
            evaluating_trainer(task).validate(task, datamodule=images, verbose=False)
        sites = {}
        for site in means:
            with gates_replaced(network, means, [site]):
                sites[site] = figures()
        with gates_replaced(network, means, means):
            everywhere = figures()
        return {"kept": figures(), "sites": sites, "all": everywhere}
    finally:
        images.close()


def _figures(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns what the test step itself has measured: what else ``summary.json`` has of the test takes longer."""
    return {name.removeprefix("test_"): float(value) for name, value in metrics.items()}
