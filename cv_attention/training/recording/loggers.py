"""Creates the loggers: CSV always, wandb and TensorBoard on request."""

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace

from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from cv_attention.config import Experiment
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.recording.metrics_file import MetricsLogger


def create_loggers(experiment: Experiment, run: Path, part: str) -> list[Logger]:
    """Creates the loggers of a run.

    Args:
        experiment: The configuration.
        run: The run directory.
        part: Number of this start of training. CSV files and TensorBoard's have a folder for each; wandb continues the
            run that it has, whose id is in ``wandb/id`` of the run directory.

    Raises:
        ValueError: if wandb or TensorBoard cannot be used.
    """
    log, name = experiment.log, RunLayout(run).metrics.name
    loggers: list[Logger] = [MetricsLogger(run, name=name, version=part, flush_logs_every_n_steps=log.every_n_steps)]
    if log.tensorboard:
        loggers.append(_tensorboard(experiment, run, part))
    if log.wandb != "disabled":
        loggers.append(_wandb(experiment, run))
    return loggers


def log_results(loggers: Iterable[Logger], experiment: Experiment, test: Mapping[str, float]) -> None:
    """Logs the test metrics to the loggers that show a table of runs.

    Args:
        loggers: What `create_loggers` made.
        experiment: The configuration.
        test: Metrics of the test split, by name.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(_deciding(experiment), {f"hp/test_{name}": value for name, value in test.items()})
            logger.finalize("success")
        elif isinstance(logger, WandbLogger):
            logger.experiment.summary.update({f"test_{name}": value for name, value in test.items()})


def close(loggers: Iterable[Logger], *, failed: bool) -> None:
    """Finishes the wandb run, which otherwise stays open until the process ends: the next `fit` would log into it.

    A run that the caller had started, such as an agent's, is the caller's to finish.

    Args:
        loggers: What `create_loggers` made.
        failed: Whether wandb should list the run as failed.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger) and logger._experiment is not None and _get_rank() in (None, 0):
            run, logger._experiment = logger._experiment, None
            if run.id != logger._wandb_init["id"]:
                continue
            folder = Path(run.dir).parent
            run.finish(exit_code=int(failed))
            # They name temporary folders, possibly in the user's home; links to them are next to the run's folder.
            for log in (*folder.glob("logs/*.log"), *folder.parent.glob("debug*.log")):
                log.unlink()


def continue_csv(loggers: Iterable[Logger], part: str) -> None:
    """Makes the CSV logger write to another part: it would overwrite the current one, written by other processes."""
    for logger in loggers:
        if isinstance(logger, CSVLogger):
            logger._version, logger._experiment = part, None


def _deciding(experiment: Experiment) -> dict[str, object]:
    """Returns the part of the configuration that affects the result."""
    return {name: part for name, part in experiment.to_dict().items() if name != "log"}


def _tensorboard(experiment: Experiment, run: Path, part: str) -> Logger:
    try:
        logger = TensorBoardLogger(run, name=RunLayout(run).tensorboard.name, version=part, default_hp_metric=False)
    except ModuleNotFoundError as error:
        raise ValueError(
            "log.tensorboard needs tensorboard: pip (or uv pip) install 'cv_attention[tensorboard]'"
        ) from error
    _name_no_machine()
    logger.hparams = _deciding(experiment)  # written to hparams.yaml next to the curves
    return logger


def _name_no_machine() -> None:
    """Keeps this machine's name out of TensorBoard's file names."""
    from tensorboard.summary.writer import event_file_writer

    event_file_writer.socket = SimpleNamespace(gethostname=lambda: "cv-attention")  # pyright: ignore[reportAttributeAccessIssue]


def _wandb(experiment: Experiment, run: Path) -> Logger:
    log = experiment.log
    if log.wandb == "offline":  # its messages do not matter then
        os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    logger = WandbLogger(
        name=run.name,
        project=log.project,
        save_dir=run,
        id=None if _get_rank() else _wandb_id(run),  # only the first process logs
        mode=log.wandb,  # `offline=True` would set the mode of the whole process
        resume="allow" if log.wandb == "online" else None,  # an offline run is continued where it is uploaded
        group=experiment.group(),
        tags=log.tags,
        config=experiment.to_dict(),
        allow_val_change=True,  # a resumed run may be longer
        settings=wandb.Settings(
            silent=log.wandb == "offline",
            console="off",
            program="cv-attention fit",  # would contain paths of this machine by default
            x_executable="python",
        ),
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning 2.6 sets it, wandb 0.31 warns about it
    if log.wandb == "online":
        _connect(logger)
    return logger


def _wandb_id(run: Path) -> str:
    """Returns the wandb id of this run, which is the same in every part of its training."""
    file = RunLayout(run).wandb_id
    if not file.is_file():
        write_text(file, secrets.token_hex(4) + "\n")
    return file.read_text(encoding="utf-8").strip()


def _connect(logger: WandbLogger) -> None:
    """Starts the online run now, so that a missing key is reported before training."""
    import wandb

    try:
        _ = logger.experiment
    except wandb.Error as error:
        raise ValueError(f"log.wandb is online: {error}; log in with `wandb login`, or use offline") from error
