"""Training and testing, from a configuration to a run directory."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger

from cv_attention import backbones, bounds, data, report
from cv_attention.comparison.validation import at_epoch
from cv_attention.config import Experiment
from cv_attention.differences import differences
from cv_attention.training import checkpoints, hardware, initial, optimization, weights
from cv_attention.training import run as runs
from cv_attention.training.classifier import Classifier
from cv_attention.training.confusion import Confusion
from cv_attention.training.evaluation import facts_of, point
from cv_attention.training.groups import describe
from cv_attention.training.machine import machine
from cv_attention.training.precision import resolve
from cv_attention.training.probe_details import ProbeDetails
from cv_attention.training.probes import ProbeMaps
from cv_attention.training.provenance import provenance
from cv_attention.training.rewinding import rewind
from cv_attention.training.techniques import techniques
from cv_attention.training.throughput import Throughput
from cv_attention.training.trainer import create_trainer


@dataclass
class Prepared:
    """Everything checked and built; nothing trained yet.

    Attributes:
        run: The run directory.
        trainer: Lightning's Trainer.
        classifier: The network with its loss and metrics.
        datamodule: The data.
        checkpoint: Where the training goes on from, or None.
        throughput: Counts images per second.
        lines: What a person should see at the start: the data, the weights, the learning rates.
        notices: What a person should know who resumes: torn files, and every value that the checkpoint has otherwise.
    """

    run: Path
    trainer: lightning.Trainer
    classifier: Classifier
    datamodule: Any
    checkpoint: Path | None
    throughput: Throughput
    lines: list[str]
    notices: list[str] = field(default_factory=list)


def prepare(experiment: Experiment, resume: Path | None = None) -> Prepared:
    """Builds data, network and trainer, and only then the run directory.

    Args:
        experiment: The configuration.
        resume: A run directory to go on with from its last checkpoint, or None to start anew.

    Raises:
        ValueError: if anything in the configuration is wrong.
        FileNotFoundError: if the data or the checkpoint is missing.
    """
    bounds.check(experiment)
    hardware.check(experiment.trainer)
    rank = _get_rank() or 0
    if resume and rank == 0:
        runs.claim(resume)
    checkpoint, content, notices = checkpoints.resumable(resume) if resume else (None, {}, [])
    if resume:
        runs.check_unfinished(resume, content, experiment.trainer.max_epochs)
        notices += _changes(content, experiment)
    trainer_config = experiment.trainer
    precision = resolve(trainer_config.precision, trainer_config.accelerator)
    experiment = replace(experiment, trainer=replace(trainer_config, precision=precision))
    lightning.seed_everything(experiment.seed, workers=True, verbose=False)
    datamodule = data.create(experiment.data, seed=experiment.seed)
    datamodule.prepare_data()
    datamodule.setup()
    classifier = Classifier(experiment, facts_of(datamodule))
    lines = [datamodule.describe()]
    if experiment.model.weights and not resume:
        lines.append(initial.load(classifier.network, experiment.model, list(classifier.facts.class_names)))
    lines.append(describe(classifier.network, experiment.optimizer))
    lines += _limits(experiment.trainer.extra)
    optimization.check(experiment.optimizer, classifier.network, experiment.trainer.max_epochs)
    asked_for = techniques(experiment, len(classifier.facts.class_names))
    run = resume or runs.create(experiment, rank)
    if rank == 0:
        runs.claim(run)
    if resume and rank == 0:
        runs.write_config(run, experiment)
        rewind(run, content)
    log, throughput = experiment.log, Throughput(experiment.data)
    callbacks: list[Callback] = [Confusion(run)]
    if log.maps_every and log.probes:
        callbacks.append(maps := ProbeMaps(run, log.maps_every, log.probes, log.saliency))
        callbacks.append(ProbeDetails(maps, log.curve_points))
    callbacks += asked_for  # after those that look at the validated weights, which EMA takes away again
    steps = len(datamodule.train_dataloader()) // experiment.trainer.accumulate_grad_batches
    try:
        trainer = create_trainer(experiment, run, runs.next_part(run), steps, throughput, callbacks)
    except Exception:
        if not resume and rank == 0:
            runs.discard(run)
        raise
    return Prepared(run, trainer, classifier, datamodule, checkpoint, throughput, lines, notices)


def _limits(extra: dict[str, Any]) -> list[str]:
    """What to say where figures are of a part of a split: its first batches, which are no sample of it."""
    return [
        f"trainer.extra: {key} is {extra[key]}, so the {name} figures are of the split's first images alone; they are "
        "often ordered by class"
        for name in ("val", "test")
        if extra.get(key := f"limit_{name}_batches") is not None and (extra[key] != 1.0 or isinstance(extra[key], int))
    ]


def _changes(content: dict[str, Any], experiment: Experiment) -> list[str]:
    """What is otherwise than in the checkpoint: what is said now counts."""
    before, now = content.get("provenance", {}), provenance(experiment)
    code = {name: before[name] for name in ("cv_attention", "torch") if name in before}
    return differences(content["experiment"], experiment.to_dict()) + differences(code, {n: now[n] for n in code})


def fit(prepared: Prepared) -> Path:
    """Trains, tests the best checkpoint once, and writes the summary and the report.

    Returns:
        The run directory.
    """
    run, trainer, classifier = prepared.run, prepared.trainer, prepared.classifier
    datamodule = prepared.datamodule
    if trainer.is_global_zero:
        network = backbones.outline(classifier.network, classifier.facts.image_size)
        names, plan = list(classifier.facts.class_names), classifier.plan
        runs.update_summary(run, parameters=network["parameters"], flops=network["flops"], class_names=names)
        runs.update_summary(run, plan=plan and str(plan), sites=plan.to_dict()["sites"] if plan else [])
        runs.update_summary(run, network=network["parts"], provenance=provenance(classifier.experiment))
        runs.update_summary(run, hardware=machine(trainer), data=data.fingerprint(datamodule))
    trainer.fit(classifier, datamodule=datamodule, ckpt_path=prepared.checkpoint, weights_only=True)
    saved: Any = trainer.checkpoint_callback
    seconds, best = round(saved.seconds, 1), saved.run / "checkpoints" / "best.ckpt"
    [metrics] = trainer.test(classifier, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
    if trainer.is_global_zero:
        trained = checkpoints.load(best)
        weights.write(run / "weights.safetensors", trained)
        runs.update_summary(run, validation=at_epoch(run, checkpoints.epochs_trained(best)))
        test = {name.removeprefix("test_"): value for name, value in metrics.items()}
        runs.update_summary(run, test={**test, **point(trained, datamodule)}, training_seconds=seconds)
        measured = prepared.throughput
        runs.update_summary(run, images_per_second=measured.images_per_second, waiting=measured.waiting_share)
        report.build(run)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()  # another fit of this process begins a run of its own
    return run
