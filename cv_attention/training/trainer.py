"""Creates Lightning's Trainer from the configuration."""

import inspect
import logging
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from cv_attention.config import Experiment, Trainer
from cv_attention.suggest import suggest
from cv_attention.training.callbacks.losses import Losses
from cv_attention.training.callbacks.progress import EpochLines, ProgressBar
from cv_attention.training.callbacks.throughput import Throughput
from cv_attention.training.checkpoint.checkpoints import AtomicCheckpointIO
from cv_attention.training.checkpoint.randomness import RandomStates
from cv_attention.training.checkpoint.saving import Checkpoints
from cv_attention.training.devices import sharding
from cv_attention.training.recording.loggers import close, create_loggers
from cv_attention.training.stopping.interruption import silence_lightning

_OURS = ("extra", "compile", "select", "monitor", "monitor_mode")  # fields that are not Lightning's


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
        throughput: Measures images per second; shown in the progress bar and in each epoch's line.
        callbacks: Callbacks in addition to it, the checkpoints and the progress bar.

    Raises:
        ValueError: if ``trainer.extra`` names an argument that Lightning's Trainer does not have, or synchronises batch
            norms on a device that cannot.
    """
    config, losses = experiment.trainer, Losses(run)
    arguments: dict[str, Any] = {
        **{name: value for name, value in vars(config).items() if name not in _OURS},
        "default_root_dir": run,
        "logger": (loggers := create_loggers(experiment, run, part)),
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
        shown = [EpochLines(losses, throughput), *([ProgressBar(losses, throughput)] if terminal else [])]
        arguments["callbacks"] = [*arguments["callbacks"], *shown]
    try:
        trainer = lightning.Trainer(**arguments)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        close(loggers, failed=True)
        if not config.extra:
            raise
        raise ValueError(f"trainer.extra: {config.extra} is not accepted by lightning.Trainer: {error}") from error
    _check_sync_batchnorm(trainer, config.extra)
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


def _check_extra(extra: dict[str, Any]) -> None:
    known = sorted(set(inspect.signature(lightning.Trainer.__init__).parameters) - {"self"})
    own = {field.name for field in fields(Trainer)} - {"extra"}
    for name, value in extra.items():
        if name not in known:
            raise ValueError(f"trainer.extra: lightning.Trainer has no argument {name}{suggest(name, known)}")
        if name in own:
            raise ValueError(f"trainer.extra: {name} has an option of its own, trainer.{name}; take it out of extra")
        if name in ("callbacks", "plugins") and not isinstance(value, list):
            raise ValueError(f"trainer.extra: {name} must be a list of objects, got {value}")
    # Lightning takes any object, and fails when it uses it
    _check_objects("logger", extra.get("logger"), Logger, "true, false or a list of Lightning's loggers")
    _check_objects("callbacks", extra.get("callbacks"), Callback, "a list of Lightning's callbacks")


def _check_objects(name: str, value: Any, kind: type, expected: str) -> None:
    for one in value if isinstance(value, list | tuple) else [value]:
        if not (isinstance(one, kind) or one is None or (isinstance(one, bool) and one is value)):
            raise ValueError(f"trainer.extra: {name} must be {expected}, got {value}")


def _check_sync_batchnorm(trainer: lightning.Trainer, extra: dict[str, Any]) -> None:
    if extra.get("sync_batchnorm") and isinstance(trainer.strategy, DDPStrategy):
        device = trainer.strategy.root_device.type
        if device in ("cpu", "mps"):
            raise ValueError(
                f"trainer.extra: sync_batchnorm is true, but the device is {device}, on which torch cannot synchronise "
                "batch norms; leave it out, and each process normalises by its own part of a batch"
            )


def quieten() -> None:
    """Silences what nobody can act on: hardware not found, advertisements, Lightning 2.6 against torch 2.15."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # that it ends processes, as it should
    warnings.filterwarnings("ignore", r"Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
