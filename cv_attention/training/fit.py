"""Training and testing, from what was prepared to a run directory with its results."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning.pytorch.trainer.states import TrainerFn

from cv_attention import backbones, data, report
from cv_attention.comparison.validation import at_epoch
from cv_attention.rundir import summary
from cv_attention.training import checkpoints, weights
from cv_attention.training import run as runs
from cv_attention.training.evaluation import in_use, point
from cv_attention.training.interruption import ending_at_once
from cv_attention.training.loggers import finish
from cv_attention.training.machine import machine
from cv_attention.training.preparation import Prepared
from cv_attention.training.provenance import provenance
from cv_attention.training.settling import settle


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
    selected = settle(prepared)
    if trainer.is_global_zero:
        runs.update_summary(run, selected=asdict(selected))
    [metrics] = trainer.test(classifier, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
    if trainer.is_global_zero:
        trained = checkpoints.load(best, trust=None)
        weights.write(run / "weights.safetensors", trained)
        runs.update_summary(run, validation=at_epoch(run, checkpoints.epochs_trained(best)))
        test = {name.removeprefix("test_"): value for name, value in metrics.items()}
        if used := in_use(trained, datamodule):
            runs.update_summary(run, in_use=used.to_dict())
        measured = prepared.throughput
        runs.update_summary(run, images_per_second=measured.images_per_second, waiting=measured.waiting_share)
        results = {"test": {**test, **point(trained, datamodule)}, "training_seconds": seconds}
        runs.update_summary(run, **results, **{summary.FILES: summary.checksums(run)})


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
