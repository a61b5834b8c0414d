"""Prepares a training run: checks and builds everything before the first step."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from cv_attention import backbones, data
from cv_attention.config import Experiment, Trainer
from cv_attention.config.checking import check
from cv_attention.config.differences import differences
from cv_attention.data.module import DataModule
from cv_attention.rundir import summary
from cv_attention.rundir.layout import RunLayout
from cv_attention.rundir.links import check_links
from cv_attention.training import preprocessing
from cv_attention.training import run as runs
from cv_attention.training.callbacks.techniques import techniques
from cv_attention.training.callbacks.throughput import Throughput
from cv_attention.training.checkpoint import initial
from cv_attention.training.checkpoint.checkpoints import facts_in
from cv_attention.training.checkpoint.resumable import resumable
from cv_attention.training.checkpoint.rewinding import rewind
from cv_attention.training.devices import hardware
from cv_attention.training.devices.precision import resolve
from cv_attention.training.optim import optimization
from cv_attention.training.optim.groups import describe
from cv_attention.training.provenance import provenance
from cv_attention.training.tasks.choosing import task_of
from cv_attention.training.tasks.contract import check_data, check_kind, check_task
from cv_attention.training.tasks.task import Task
from cv_attention.training.trainer import create_trainer


@dataclass
class Prepared:
    """Holds what `prepare` has checked and built; nothing is trained yet.

    Attributes:
        run: The run directory.
        trainer: Lightning's Trainer.
        task: The network with its loss and metrics.
        datamodule: The data.
        checkpoint: Where the training resumes from, or None.
        throughput: Counts images per second.
        lines: Lines to print at the start: the data, the weights, the learning rates.
        notices: Lines to print on resuming: the checkpoint, damaged files, and every value that has changed since.
        earlier: Data sets that the run was trained on before, for the summary.
        tested: Whether the run has been trained and tested before; only what follows the test is left.
    """

    run: Path
    trainer: lightning.Trainer
    task: Task
    datamodule: Any
    checkpoint: Path | None
    throughput: Throughput
    lines: list[str]
    notices: list[str] = field(default_factory=list)
    tested: bool = False
    earlier: dict[str, Any] = field(default_factory=dict)


def prepare(
    experiment: Experiment,
    resume: Path | None = None,
    *,
    task: type[Task] | None = None,
    datamodule: DataModule | None = None,
) -> Prepared:
    """Builds data, network and trainer, and only then the run directory.

    Args:
        experiment: The configuration.
        resume: A run directory to resume from its last checkpoint, or None to start a new one.
        task: The class of the task to train; None takes the one that suits the data of the configuration: a
            `Classifier`, or a `Transcriber` for images with texts.
        datamodule: The data; None opens the data set of the configuration, which otherwise says nothing of the images.

    Returns:
        What `fit` takes.

    Raises:
        ValueError: if anything in the configuration is wrong, or the checkpoint belongs to another task.
        FileNotFoundError: if the data or the checkpoint is missing.

    Examples:
        >>> from cv_attention import config, training
        >>> experiment = config.Experiment(trainer=config.Trainer(max_epochs=1, accelerator="cpu"))
        >>> prepared = training.prepare(experiment)  # doctest: +SKIP
        >>> print(*prepared.lines, sep=", ")  # doctest: +SKIP
        >>> training.fit(prepared)  # doctest: +SKIP
        PosixPath('runs/cluttered_digits-resnet20-plain-seed0')
    """
    task = task_of(experiment) if task is None else task
    check_task(task)
    check(experiment)
    hardware.check(experiment.trainer)
    rank = _get_rank() or 0
    tested = resume is not None and runs.is_left_unreported(resume, experiment.trainer.max_epochs)
    checkpoint, content, notices = _to_resume(resume, experiment, task, rank, tested) if resume else (None, {}, [])
    experiment, expected = _resolved(experiment, new=not resume)
    lightning.seed_everything(experiment.seed, workers=True, verbose=False)
    datamodule = _opened(experiment, datamodule)
    experiment = replace(experiment, data=replace(experiment.data, bits=datamodule.bits))
    if content:
        task.check_data(datamodule, facts_in(content["facts"], task.facts_type))
    built = task(experiment, task.facts_of(datamodule))
    if checkpoint and (wrong := misfit(content, built)):
        raise ValueError(f"{checkpoint} {wrong}")
    earlier = _earlier_data(resume, datamodule, notices) if resume and content else {}
    lines = [datamodule.describe()]
    if not resume:
        lines += initial.start(built.network, experiment.model, built.output_names())
    lines += [*expected, *_described(built)]
    optimization.check(experiment.optimizer, built.network, experiment.trainer.max_epochs)
    asked_for = techniques(built)
    lines += _foreseen(built, datamodule)
    run, throughput = _directory(experiment, resume, content, rank), Throughput(experiment.data)
    trainer = _trainer(built, datamodule, run, throughput, asked_for, discard=not resume and rank == 0)
    return Prepared(run, trainer, built, datamodule, checkpoint, throughput, lines, notices, tested, earlier)


def _resolved(experiment: Experiment, *, new: bool) -> tuple[Experiment, list[str]]:
    """Fills in what follows from the device and the pretrained weights, and says so; a run that is resumed has that."""
    precision = resolve(experiment.trainer.precision, experiment.trainer.accelerator)
    experiment = replace(experiment, trainer=replace(experiment.trainer, precision=precision))
    if not new:
        return experiment, []
    experiment, line = preprocessing.adopt(experiment)
    return experiment, [line] if line else []


def _trainer(
    task: Task,
    datamodule: DataModule,
    run: Path,
    throughput: Throughput,
    asked_for: list[Callback],
    *,
    discard: bool,
) -> lightning.Trainer:
    """Creates the Trainer with its callbacks; where that fails, a new run directory can be discarded."""
    steps = optimization.steps_per_epoch(len(datamodule.train_dataloader()), task.experiment.trainer)
    try:
        # recorders look at the validated weights: they go before EMA, which takes those away again
        callbacks = [*task.recorders(run), *asked_for]
        return create_trainer(task.experiment, run, str(RunLayout(run).next_part()), steps, throughput, callbacks)
    except Exception:
        if discard:
            runs.discard(run)
        raise


def _earlier_data(run: Path, datamodule: Any, notices: list[str]) -> dict[str, Any]:
    """Notes where a run resumes with other images; returns the earlier ones for its summary."""
    known = summary.read(run)
    before, now = known.get("data"), datamodule.fingerprint()
    if not isinstance(before, dict) or before.get("fingerprint") == now.get("fingerprint"):
        return {}
    counts = " -> ".join(str((each.get("images") or {}).get("train")) for each in (before, now))
    notices.append(
        f"the images are others than before (train: {counts}); what was trained so far saw the earlier ones, which "
        "summary.json names as data_before"
    )
    return {"data_before": [*known.get("data_before", []), before]}


def _to_resume(
    run: Path, experiment: Experiment, task: type[Task], rank: int, tested: bool
) -> tuple[Path | None, dict[str, Any], list[str]]:
    """Finds the checkpoint of a run that is resumed: the file, its content, and lines about both."""
    if rank == 0:
        runs.claim(run)
    if tested:
        return None, {}, ["trained and tested; the report is written"]
    runs.check_kept(run)
    check_links(run)
    checkpoint, content, notices = resumable(run, task)
    runs.check_unfinished(run, content, experiment.trainer.max_epochs)
    where = _where(checkpoint, content, experiment.trainer)
    return checkpoint, content, [where, *notices, *_changes(content, experiment)]


def _where(checkpoint: Path, content: dict[str, Any], trainer: Trainer) -> str:
    """Says at which step of which epoch a run resumes; raises ValueError where Lightning cannot."""
    max_epochs, epochs = trainer.max_epochs, content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if epochs >= max_epochs and trainer.extra.get("profiler") == "pytorch":
        raise ValueError(
            f"trainer.extra: profiler is pytorch, which fails without a step to profile, but all {epochs} epochs are "
            "trained and only the test is left; use simple or advanced"
        )
    done = f"all {epochs} epochs are trained, the test is left"
    rest = f"in epoch {epochs + 1} of {max_epochs}" if epochs < max_epochs else done
    return f"from {checkpoint}, after step {content['global_step']}: {rest}"


def misfit(content: dict[str, Any], task: Task) -> str | None:
    """Names the weights of a checkpoint that differ from a network's in name or shape; None where none do."""
    own, stored = task.state_dict(), content["state_dict"]
    wrong = [name for name in {**own, **stored} if _shape(own.get(name)) != _shape(stored.get(name))]
    if not wrong:
        return None
    more = f" and {len(wrong) - 1} more differ" if len(wrong) > 1 else " differs"
    return f"does not fit the network of the run's config.yaml: {wrong[0]}{more} in name or shape"


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _opened(experiment: Experiment, datamodule: DataModule | None) -> DataModule:
    """Opens the splits of a data module, or those of the configuration."""
    if datamodule is None:
        datamodule = data.create(experiment.data, seed=experiment.seed)
    check_kind(datamodule)
    datamodule.prepare_data()
    datamodule.setup()
    check_data(datamodule)
    return datamodule


def _described(task: Task) -> list[str]:
    """Describes learning rates, splits of which only a part is evaluated, and images too small for the network."""
    experiment = task.experiment
    lines = [describe(task.network, experiment.optimizer), *_limits(experiment.trainer.extra)]
    note = backbones.too_small(task.network, experiment.model.backbone, task.facts.image_size)
    return [*lines, note] if note else lines


def _directory(experiment: Experiment, resume: Path | None, content: dict[str, Any], rank: int) -> Path:
    """Creates the run directory, or rolls that of a run back to the checkpoint with this `content`."""
    run = resume or runs.create(experiment, rank)
    if rank == 0:
        runs.claim(run)
    if content and rank == 0:
        runs.write_config(run, experiment)
        rewind(run, content)
        summary.forget_results(run)
    return run


def _foreseen(task: Task, datamodule: DataModule) -> list[str]:
    """Foresees what would otherwise show in the middle of training: high costs, and ValueError for what cannot work."""
    model, trainer = task.experiment.model, task.experiment.trainer
    extra = {"check_val_every_n_epoch": 1, **trainer.extra}
    every = extra.get("val_check_interval")
    batches = optimization.trained_batches(len(datamodule.train_dataloader()), trainer)
    if isinstance(every, int) and every > batches and extra["check_val_every_n_epoch"] is not None:
        raise ValueError(
            f"trainer.extra: val_check_interval is {every}, but an epoch has {batches} batches; give at most that, or "
            "check_val_every_n_epoch null too, which counts batches over all epochs"
        )
    costly = backbones.excess(task.network, model.block, task.plan) if task.plan else None
    return [*([costly] if costly else []), *task.foreseen(datamodule)]


def _limits(extra: dict[str, Any]) -> list[str]:
    """Warns where figures are of the first batches of a split alone, which are not a random sample of it."""
    return [
        f"trainer.extra: {key} is {extra[key]}, so the {name} figures are of the split's first images alone; they are "
        "often ordered by class"
        for name in ("val", "test")
        if extra.get(key := f"limit_{name}_batches") is not None and (extra[key] != 1.0 or isinstance(extra[key], int))
    ]


def _changes(content: dict[str, Any], experiment: Experiment) -> list[str]:
    """Lists what differs from the checkpoint; the present configuration counts."""
    before, now = content.get("provenance", {}), provenance(experiment)
    code = {name: before[name] for name in ("cv_attention", "torch") if name in before}
    return differences(content["experiment"], experiment.to_dict()) + differences(code, {n: now[n] for n in code})
