"""Training and testing, from a configuration to a run directory."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger

from cv_attention import backbones, data, report
from cv_attention.config import Experiment
from cv_attention.training import optimization
from cv_attention.training import run as runs
from cv_attention.training.classifier import Classifier
from cv_attention.training.confusion import Confusion
from cv_attention.training.evaluation import facts_of, point
from cv_attention.training.groups import describe
from cv_attention.training.probe_details import ProbeDetails
from cv_attention.training.probes import ProbeMaps
from cv_attention.training.throughput import Throughput
from cv_attention.training.trainer import create_trainer


@dataclass
class Prepared:
    """Everything checked and built; nothing trained yet."""

    run: Path
    trainer: lightning.Trainer
    classifier: Classifier
    datamodule: Any
    checkpoint: Path | None
    rates: str
    throughput: Throughput


def prepare(experiment: Experiment, resume: Path | None = None) -> Prepared:
    """Builds data, network and trainer, and only then the run directory.

    Args:
        experiment: The configuration.
        resume: A run directory to go on with from its last checkpoint, or None to start anew.

    Raises:
        ValueError: if anything in the configuration is wrong.
        FileNotFoundError: if the data or the checkpoint is missing.
    """
    checkpoint = runs.find_checkpoint(resume, "last") if resume else None
    if resume:
        runs.check_unfinished(resume, experiment.trainer.max_epochs)
    lightning.seed_everything(experiment.seed, workers=True, verbose=False)
    datamodule = data.create(experiment.data, seed=experiment.seed)
    datamodule.prepare_data()
    datamodule.setup()
    classifier = Classifier(experiment, facts_of(datamodule))
    optimization.check(experiment.optimizer, classifier.network, experiment.trainer.max_epochs)
    rank = _get_rank() or 0
    run = resume or runs.create(experiment, rank)
    if resume and rank == 0:
        runs.write_config(run, experiment)
    log = experiment.log
    callbacks: list[Callback] = [Confusion(run), throughput := Throughput()]
    if log.maps_every and log.probes:
        callbacks.append(maps := ProbeMaps(run, log.maps_every, log.probes, log.saliency))
        callbacks.append(ProbeDetails(maps, log.curve_points))
    steps = len(datamodule.train_dataloader()) // experiment.trainer.accumulate_grad_batches
    try:
        trainer = create_trainer(experiment, run, runs.next_part(run), steps, callbacks)
    except Exception:
        if not resume and rank == 0:
            runs.discard(run)
        raise
    rates = describe(classifier.network, experiment.optimizer)
    return Prepared(run, trainer, classifier, datamodule, checkpoint, rates, throughput)


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
        runs.update_summary(run, network=network["parts"])
    before = runs.read_summary(run).get("training_seconds", 0.0) if prepared.checkpoint else 0.0
    start = time.perf_counter()
    trainer.fit(classifier, datamodule=datamodule, ckpt_path=prepared.checkpoint, weights_only=True)
    seconds = round(time.perf_counter() - start, 1)
    best: Any = trainer.checkpoint_callback
    [metrics] = trainer.test(
        classifier, datamodule=datamodule, ckpt_path=best.best_model_path, weights_only=True, verbose=False
    )
    if trainer.is_global_zero:
        pointing = point(runs.load(Path(best.best_model_path)), datamodule)
        test = {name.removeprefix("test_"): value for name, value in metrics.items()}
        runs.update_summary(run, test={**test, **pointing}, training_seconds=round(before + seconds, 1))
        runs.update_summary(run, images_per_second=prepared.throughput.images_per_second)
        report.build(run)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()  # another fit of this process begins a run of its own
    return run
