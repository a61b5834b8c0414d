"""Lightning's Trainer from the configuration."""

import inspect
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from cv_attention.config import Experiment, Log
from cv_attention.suggest import suggest
from cv_attention.training import sharding
from cv_attention.training.checkpoints import AtomicCheckpointIO
from cv_attention.training.interruption import silence_lightning
from cv_attention.training.losses import Losses
from cv_attention.training.progress import EpochLines, ProgressBar
from cv_attention.training.randomness import RandomStates
from cv_attention.training.saving import Checkpoints
from cv_attention.training.throughput import Throughput


def create_trainer(
    experiment: Experiment,
    run: Path,
    part: str,
    steps_per_epoch: int,
    throughput: Throughput,
    callbacks: Sequence[Callback] = (),
) -> lightning.Trainer:
    """Creates the Trainer of a run.

    Args:
        experiment: The configuration.
        run: The run directory.
        part: Which stretch of training this is; its metrics go to ``metrics/<part>``.
        steps_per_epoch: Optimizer steps of one epoch; the loss is logged at least once in that many.
        throughput: Measures images per second; shown in the progress bar, or a line an epoch.
        callbacks: Callbacks beside it, the checkpoints and the progress bar.

    Raises:
        ValueError: if ``trainer.extra`` names an argument that Lightning's Trainer does not have.
    """
    config, losses = experiment.trainer, Losses(run)
    arguments: dict[str, Any] = {
        **{name: value for name, value in vars(config).items() if name not in ("extra", "compile", "select")},
        "default_root_dir": run,
        "logger": _loggers(experiment.log, run, part),
        "log_every_n_steps": max(1, min(experiment.log.every_n_steps, steps_per_epoch)),
        "callbacks": [losses, RandomStates(), throughput, *callbacks, Checkpoints(run, experiment.log)],
        "plugins": [AtomicCheckpointIO()],
        "use_distributed_sampler": False,  # the data modules' samplers know the ranks and pad nothing
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    if config.strategy == sharding.NAME:
        arguments["strategy"] = _sharded(experiment)
    _check_extra(config.extra)
    quieten()
    arguments |= config.extra
    if arguments.get("enable_progress_bar", True):
        arguments["enable_progress_bar"] = terminal = sys.stdout.isatty()
        shown = ProgressBar if terminal else EpochLines
        arguments["callbacks"] = [*arguments["callbacks"], shown(losses, throughput)]
    trainer = lightning.Trainer(**arguments)
    silence_lightning(trainer)
    return trainer


def _sharded(experiment: Experiment) -> sharding.Sharded:
    """Refuses what looks at the whole network in one process."""
    if experiment.log.maps_every:
        raise ValueError(
            "trainer.strategy fsdp2 has no whole network on any device to record maps of while it trains: set "
            "log.maps_every to 0, and use cv-attention saliency after the training"
        )
    if experiment.optimizer.ema is not None:
        raise ValueError("optimizer.ema cannot average weights that trainer.strategy fsdp2 divides; use ddp")
    return sharding.Sharded()


def _loggers(log: Log, run: Path, part: str) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(run, name="metrics", version=part, flush_logs_every_n_steps=log.every_n_steps)]
    if log.tensorboard:
        loggers.append(_tensorboard(run, part))
    if log.wandb != "disabled":
        if log.wandb == "offline":  # nothing it could say matters then
            os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        logger = WandbLogger(
            name=run.name,
            project=log.project,
            save_dir=run,
            mode=log.wandb,  # `offline=True` would set the mode of the whole process
            settings=wandb.Settings(silent=log.wandb == "offline", console="off"),
        )
        logger._wandb_init.pop("anonymous", None)  # Lightning 2.6 sets what wandb 0.31 warns of
        if log.wandb == "online":
            _connect(logger)
        loggers.append(logger)
    return loggers


def _tensorboard(run: Path, part: str) -> Logger:
    try:
        return TensorBoardLogger(run, name="tensorboard", version=part)
    except ModuleNotFoundError as error:
        raise ValueError(
            "log.tensorboard needs tensorboard: pip (or uv pip) install 'cv_attention[tensorboard]'"
        ) from error


def _check_extra(extra: dict[str, Any]) -> None:
    known = sorted(set(inspect.signature(lightning.Trainer.__init__).parameters) - {"self"})
    for name in extra:
        if name not in known:
            raise ValueError(f"trainer.extra: lightning.Trainer has no argument {name}{suggest(name, known)}")


def _connect(logger: WandbLogger) -> None:
    """Starts the online run now, so that a missing key shows before anything is trained."""
    import wandb

    try:
        _ = logger.experiment
    except wandb.Error as error:
        raise ValueError(f"log.wandb is online: {error}; log in with `wandb login`, or use offline") from error


def quieten() -> None:
    """Silences what nobody can act on: hardware not found, advertisements, Lightning 2.6 against torch 2.15."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r"Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
