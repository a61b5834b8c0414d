"""Prepares a training run: checks and builds everything before the first step."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from cv_attention import backbones, data
from cv_attention.config import Experiment, Log, Trainer
from cv_attention.config.checking import check
from cv_attention.config.differences import differences
from cv_attention.rundir.links import check_links
from cv_attention.training import preprocessing
from cv_attention.training import run as runs
from cv_attention.training.callbacks.techniques import techniques
from cv_attention.training.callbacks.throughput import Throughput
from cv_attention.training.checkpoint import initial
from cv_attention.training.checkpoint.resumable import resumable
from cv_attention.training.checkpoint.rewinding import rewind
from cv_attention.training.devices import hardware
from cv_attention.training.devices.precision import resolve
from cv_attention.training.evaluation import facts_of
from cv_attention.training.optim import optimization
from cv_attention.training.optim.groups import describe
from cv_attention.training.provenance import provenance
from cv_attention.training.recording.confusion import Confusion
from cv_attention.training.recording.predictions import NAME as PREDICTIONS
from cv_attention.training.recording.predictions import Predictions
from cv_attention.training.recording.probe_details import ProbeDetails
from cv_attention.training.recording.probes import ProbeMaps
from cv_attention.training.recording.saliency_trial import check_methods, unsuited
from cv_attention.training.splits import check_classes
from cv_attention.training.tasks.classifier import Classifier
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
        notices: What a person should know who resumes: from where it goes on, torn files, and every value that the
            checkpoint has otherwise.
        earlier: What the summary is to say of data sets that the run was trained on before.
        tested: Whether the run has been trained and tested before; only what follows the test is left.
    """

    run: Path
    trainer: lightning.Trainer
    classifier: Classifier
    datamodule: Any
    checkpoint: Path | None
    throughput: Throughput
    lines: list[str]
    notices: list[str] = field(default_factory=list)
    tested: bool = False
    earlier: dict[str, Any] = field(default_factory=dict)


def prepare(experiment: Experiment, resume: Path | None = None) -> Prepared:
    """Builds data, network and trainer, and only then the run directory.

    Args:
        experiment: The configuration.
        resume: A run directory to go on with from its last checkpoint, or None to start anew.

    Raises:
        ValueError: if anything in the configuration is wrong.
        FileNotFoundError: if the data or the checkpoint is missing.
    """
    check(experiment)
    hardware.check(experiment.trainer)
    rank = _get_rank() or 0
    tested = resume is not None and runs.is_left_unreported(resume, experiment.trainer.max_epochs)
    checkpoint, content, notices = _to_go_on_from(resume, experiment, rank, tested) if resume else (None, {}, [])
    precision = resolve(experiment.trainer.precision, experiment.trainer.accelerator)
    experiment = replace(experiment, trainer=replace(experiment.trainer, precision=precision))
    expected = None
    if not resume:  # a run's configuration has it already
        experiment, expected = preprocessing.adopt(experiment)
    lightning.seed_everything(experiment.seed, workers=True, verbose=False)
    datamodule = _opened(experiment)
    experiment = replace(experiment, data=replace(experiment.data, bits=datamodule.bits))
    if content:
        check_classes(datamodule.class_names, content["facts"]["class_names"], experiment.data.root)
    classifier = Classifier(experiment, facts_of(datamodule))
    if checkpoint and (wrong := misfit(content, classifier)):
        raise ValueError(f"{checkpoint} {wrong}")
    earlier = _earlier_data(resume, datamodule, notices) if resume and content else {}
    lines = [datamodule.describe()]
    if not resume:
        lines += initial.start(classifier.network, experiment.model, list(classifier.facts.class_names))
    lines += [*([expected] if expected else []), *_described(experiment, classifier)]
    optimization.check(experiment.optimizer, classifier.network, experiment.trainer.max_epochs)
    asked_for = techniques(experiment, len(classifier.facts.class_names))
    lines += _foreseen(experiment, classifier, datamodule)
    run = _directory(experiment, resume, content, rank)
    throughput, callbacks = Throughput(experiment.data), [*_recorders(experiment.log, run), *asked_for]
    steps = optimization.steps_per_epoch(len(datamodule.train_dataloader()), experiment.trainer)
    try:
        trainer = create_trainer(experiment, run, runs.next_part(run), steps, throughput, callbacks)
    except Exception:
        if not resume and rank == 0:
            runs.discard(run)
        raise
    return Prepared(run, trainer, classifier, datamodule, checkpoint, throughput, lines, notices, tested, earlier)


def _earlier_data(run: Path, datamodule: Any, notices: list[str]) -> dict[str, Any]:
    """Notes where a run goes on with other images; returns what its summary is to say of the earlier ones."""
    known = runs.read_summary(run)
    before, now = known.get("data"), datamodule.fingerprint()
    if not isinstance(before, dict) or before.get("fingerprint") == now["fingerprint"]:
        return {}
    counts = " -> ".join(str((each.get("images") or {}).get("train")) for each in (before, now))
    notices.append(
        f"the images are others than before (train: {counts}); what was trained so far saw the earlier ones, which "
        "summary.json names as data_before"
    )
    return {"data_before": [*known.get("data_before", []), before]}


def _to_go_on_from(
    run: Path, experiment: Experiment, rank: int, tested: bool
) -> tuple[Path | None, dict[str, Any], list[str]]:
    """Finds the checkpoint of a run that goes on: the file, its content, and what is to be said of both."""
    if rank == 0:
        runs.claim(run)
    if tested:
        return None, {}, ["trained and tested; the report is written"]
    runs.check_kept(run)
    check_links(run)
    checkpoint, content, notices = resumable(run)
    runs.check_unfinished(run, content, experiment.trainer.max_epochs)
    where = _where(checkpoint, content, experiment.trainer)
    return checkpoint, content, [where, *notices, *_changes(content, experiment)]


def _where(checkpoint: Path, content: dict[str, Any], trainer: Trainer) -> str:
    """Says at which step of which epoch a run goes on; raises ValueError where Lightning cannot."""
    max_epochs, epochs = trainer.max_epochs, content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if epochs >= max_epochs and trainer.extra.get("profiler") == "pytorch":
        raise ValueError(
            f"trainer.extra: profiler is pytorch, which fails without a step to profile, but all {epochs} epochs are "
            "trained and only the test is left; use simple or advanced"
        )
    done = f"all {epochs} epochs are trained, the test is left"
    rest = f"in epoch {epochs + 1} of {max_epochs}" if epochs < max_epochs else done
    return f"goes on from {checkpoint}, after step {content['global_step']}: {rest}"


def misfit(content: dict[str, Any], classifier: Classifier) -> str | None:
    """Says which weights of a checkpoint differ from a network's in name or shape; None where none do."""
    own, stored = classifier.state_dict(), content["state_dict"]
    wrong = [name for name in {**own, **stored} if _shape(own.get(name)) != _shape(stored.get(name))]
    if not wrong:
        return None
    more = f" and {len(wrong) - 1} more differ" if len(wrong) > 1 else " differs"
    return f"does not fit the network of the run's config.yaml: {wrong[0]}{more} in name or shape"


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _opened(experiment: Experiment) -> Any:
    """The data module, its splits open."""
    datamodule = data.create(experiment.data, seed=experiment.seed)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def _described(experiment: Experiment, classifier: Classifier) -> list[str]:
    """What is trained how fast, what is evaluated in part alone, and whether the images suit the network."""
    lines = [describe(classifier.network, experiment.optimizer), *_limits(experiment.trainer.extra)]
    note = backbones.too_small(classifier.network, experiment.model.backbone, classifier.facts.image_size)
    return [*lines, note] if note else lines


def _directory(experiment: Experiment, resume: Path | None, content: dict[str, Any], rank: int) -> Path:
    """Creates the run directory, or takes that of a run back to the checkpoint with this `content`."""
    run = resume or runs.create(experiment, rank)
    if rank == 0:
        runs.claim(run)
    if content and rank == 0:
        runs.write_config(run, experiment)
        rewind(run, content)
        runs.forget_results(run)
    return run


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
