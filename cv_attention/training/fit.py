"""Training and testing, from a configuration to a run directory."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import lightning
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from cv_attention import backbones, bounds, data, report
from cv_attention.comparison.validation import at_epoch
from cv_attention.config import Experiment, Log
from cv_attention.differences import differences
from cv_attention.training import checkpoints, hardware, initial, optimization, preprocessing, weights
from cv_attention.training import run as runs
from cv_attention.training.classifier import Classifier
from cv_attention.training.confusion import Confusion
from cv_attention.training.evaluation import facts_of, in_use, point
from cv_attention.training.files import write_bytes
from cv_attention.training.groups import describe
from cv_attention.training.interruption import ending_at_once
from cv_attention.training.loggers import finish
from cv_attention.training.machine import machine
from cv_attention.training.precision import resolve
from cv_attention.training.predictions import NAME as PREDICTIONS
from cv_attention.training.predictions import Predictions
from cv_attention.training.probe_details import ProbeDetails
from cv_attention.training.probes import ProbeMaps
from cv_attention.training.provenance import provenance
from cv_attention.training.rewinding import rewind
from cv_attention.training.saliency_trial import check_methods, unsuited
from cv_attention.training.saving import Checkpoints
from cv_attention.training.selection import select
from cv_attention.training.techniques import techniques
from cv_attention.training.terminal import say
from cv_attention.training.throughput import Throughput
from cv_attention.training.trainer import create_trainer


class NothingTrained(RuntimeError):
    """The training ended without a checkpoint."""


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
    if resume:
        runs.check_kept(resume)
    checkpoint, content, notices = checkpoints.resumable(resume) if resume else (None, {}, [])
    if resume:
        runs.check_unfinished(resume, content, experiment.trainer.max_epochs)
        notices += _changes(content, experiment)
    trainer_config = experiment.trainer
    precision = resolve(trainer_config.precision, trainer_config.accelerator)
    experiment = replace(experiment, trainer=replace(trainer_config, precision=precision))
    expected = None
    if not resume:  # a run's configuration has it already
        experiment, expected = preprocessing.adopt(experiment)
    lightning.seed_everything(experiment.seed, workers=True, verbose=False)
    datamodule = data.create(experiment.data, seed=experiment.seed)
    datamodule.prepare_data()
    datamodule.setup()
    classifier = Classifier(experiment, facts_of(datamodule))
    lines = [datamodule.describe()]
    if not resume:
        lines += initial.start(classifier.network, experiment.model, list(classifier.facts.class_names))
    lines += [expected] if expected else []
    lines.append(describe(classifier.network, experiment.optimizer))
    lines += _limits(experiment.trainer.extra)
    if note := backbones.too_small(classifier.network, experiment.model.backbone, classifier.facts.image_size):
        lines.append(note)
    optimization.check(experiment.optimizer, classifier.network, experiment.trainer.max_epochs)
    asked_for = techniques(experiment, len(classifier.facts.class_names))
    lines += _foreseen(experiment, classifier, datamodule)
    run = resume or runs.create(experiment, rank)
    if rank == 0:
        runs.claim(run)
    if resume and rank == 0:
        runs.write_config(run, experiment)
        rewind(run, content)
        runs.forget_results(run)
    throughput, callbacks = Throughput(experiment.data), [*_recorders(experiment.log, run), *asked_for]
    steps = optimization.steps_per_epoch(len(datamodule.train_dataloader()), experiment.trainer)
    try:
        trainer = create_trainer(experiment, run, runs.next_part(run), steps, throughput, callbacks)
    except Exception:
        if not resume and rank == 0:
            runs.discard(run)
        raise
    return Prepared(run, trainer, classifier, datamodule, checkpoint, throughput, lines, notices)


def _recorders(log: Log, run: Path) -> list[Callback]:
    """The callbacks that look at the validated weights; they go before EMA, which takes those away again."""
    callbacks: list[Callback] = [Confusion(run), Predictions(run / PREDICTIONS)]
    if log.maps_every and log.probes:
        callbacks.append(maps := ProbeMaps(run, log.maps_every, log.probes, log.saliency))
        callbacks.append(ProbeDetails(maps, log.curve_points))
    return callbacks


def _foreseen(experiment: Experiment, classifier: Classifier, datamodule: Any) -> list[str]:
    """What would otherwise show in the middle of the training: costs to be told of, ValueError for what cannot work."""
    model, log, said = experiment.model, experiment.log, []
    extra = {"check_val_every_n_epoch": 1, **experiment.trainer.extra}
    every = extra.get("val_check_interval")
    batches = optimization.trained_batches(len(datamodule.train_dataloader()), experiment.trainer)
    if isinstance(every, int) and every > batches and extra["check_val_every_n_epoch"] is not None:
        raise ValueError(
            f"trainer.extra: val_check_interval is {every}, but an epoch has {batches} batches; give at most that, or "
            "check_val_every_n_epoch null too, which counts batches over all epochs"
        )
    if classifier.plan and (costly := backbones.excess(classifier.network, model.block, classifier.plan)):
        said.append(costly)
    if log.maps_every and log.probes:
        image = datamodule.splits["val"].batch([(0, 0)])["image"]
        inputs = classifier.normalise(image)
        check_methods(classifier.network, inputs, log.saliency)
        if reason := unsuited(classifier.network, inputs, "grad_cam"):
            said.append(f"no class maps are recorded and no pointing is judged, as Grad-CAM does not work: {reason}")
    return said


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
    """Trains, tests the selected checkpoint once, and writes the summary and the report.

    Returns:
        The run directory.
    """
    with ending_at_once(lambda: _ended(prepared)):
        _train(prepared)
        if prepared.trainer.is_global_zero:
            report.build(prepared.run)
            checkpoints.drop(prepared.run, prepared.classifier.experiment.log.keep)
            finish(prepared.trainer.loggers, prepared.classifier.experiment, runs.read_summary(prepared.run)["test"])
    return prepared.run


def _train(prepared: Prepared) -> None:
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
    seconds, best = round(saved.seconds, 1), saved.run / "checkpoints" / checkpoints.BEST
    _without_validation(trainer, best)
    _select(prepared)
    [metrics] = trainer.test(classifier, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
    if trainer.is_global_zero:
        trained = checkpoints.load(best)
        weights.write(run / "weights.safetensors", trained)
        runs.update_summary(run, validation=at_epoch(run, checkpoints.epochs_trained(best)))
        test = {name.removeprefix("test_"): value for name, value in metrics.items()}
        if used := in_use(trained, datamodule):
            runs.update_summary(run, in_use=used.to_dict())
        measured = prepared.throughput
        runs.update_summary(run, images_per_second=measured.images_per_second, waiting=measured.waiting_share)
        runs.update_summary(run, test={**test, **point(trained, datamodule)}, training_seconds=seconds)


def _without_validation(trainer: lightning.Trainer, best: Path) -> None:
    """Takes the last checkpoint as the best one where no epoch was validated, as ``trainer.extra`` can have it."""
    last = best.with_name(checkpoints.LAST)
    if not best.is_file() and not last.is_file():
        raise NothingTrained(
            "the training ended before its first epoch, so there is nothing to test; see trainer.extra"
        )
    if trainer.is_global_zero and not best.is_file():
        say(trainer, "no epoch was validated: the last one is tested and saved")
        write_bytes(best, last.read_bytes(), durable=True)
    trainer.strategy.barrier("best")


def _ended(prepared: Prepared) -> str | None:
    """What is said of a run that a signal ends where `Checkpoints` does not hear it."""
    run = prepared.run
    if not prepared.trainer.is_global_zero:
        return None
    if runs.read_summary(run).get("test"):
        return f"before the report was written; write it with: cv-attention report {run}"
    if not (run / "checkpoints" / checkpoints.LAST).is_file():
        return "before the first checkpoint"
    where = "in the test" if prepared.trainer.state.fn == TrainerFn.TESTING else "outside of an epoch"
    return f"{where}; go on with: cv-attention fit --resume {run}"


def _select(prepared: Prepared) -> None:
    """Makes ``best.ckpt`` the network that counts, and writes into the summary which epoch's it is and why."""
    trainer, saved = prepared.trainer, cast(Checkpoints, prepared.trainer.checkpoint_callback)
    used = sum(trainer.num_val_batches) * prepared.datamodule.config.batch_size  # trainer.extra may leave some out
    images = min(len(prepared.datamodule.splits["val"]), int(used) or 1)
    wish = prepared.classifier.experiment.trainer.select
    selected = select(wish, saved.best, saved.latest, images)
    if trainer.is_global_zero:
        if selected.epoch == "last":
            checkpoints.keep_last_as_best(saved.run)
        runs.update_summary(prepared.run, selected=asdict(selected))
    trainer.strategy.barrier("the checkpoint is selected")
