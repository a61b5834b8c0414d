"""Makes trials independent of the current folder, for machines that see the same files."""

from dataclasses import replace
from pathlib import Path

from cv_attention.study.design.trials import Trial


def on_other_machines(trial: Trial) -> Trial:
    """Returns the same trial with an absolute path of its run directory; its name stays.

    Args:
        trial: The trial.
    """
    log = replace(trial.experiment.log, root=str(Path(trial.experiment.log.root).resolve()))
    return replace(trial, experiment=replace(trial.experiment, log=log))
