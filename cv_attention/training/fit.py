"""Training and testing, from a configuration to a run directory."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.loggers import WandbLogger

from cv_attention import data, report
from cv_attention.config import Experiment
from cv_attention.training import optimization
from cv_attention.training import run as runs
from cv_attention.training.classifier import Classifier
from cv_attention.training.evaluation import facts_of, point
from cv_attention.training.groups import describe
from cv_attention.training.probes import ProbeMaps
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
    callbacks = [ProbeMaps(run, log.maps_every, log.probes)] if log.maps_every and log.probes else []
    steps = len(datamodule.train_dataloader()) // experiment.trainer.accumulate_grad_batches
    try:
        trainer = create_trainer(experiment, run, runs.next_part(run), steps, callbacks)
    except Exception:
        if not resume and rank == 0:
            runs.discard(run)
        raise
    return Prepared(
        run, trainer, classifier, datamodule, checkpoint, describe(classifier.network, experiment.optimizer)
    )


def fit(prepared: Prepared) -> Path:
    """Trains, tests the best checkpoint once, and writes the summary and the report.

    Returns:
        The run directory.
    """
    run, trainer, classifier = prepared.run, prepared.trainer, prepared.classifier
    datamodule = prepared.datamodule
    if trainer.is_global_zero:
        parameters = sum(parameter.numel() for parameter in classifier.network.parameters())
        names = list(classifier.facts.class_names)
        runs.update_summary(run, parameters=parameters, class_names=names, plan=classifier.plan)
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
        report.build(run)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish()  # another fit of this process begins a run of its own
    return run
