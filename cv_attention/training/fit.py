"""Training and testing, from what was prepared to a run directory with its results."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch.trainer.states import TrainerFn

from cv_attention import backbones, data, report
from cv_attention.comparison.validation import at_epoch
from cv_attention.training import checkpoints, optimization, weights
from cv_attention.training import run as runs
from cv_attention.training.evaluation import in_use, point
from cv_attention.training.files import write_bytes
from cv_attention.training.interruption import ending_at_once
from cv_attention.training.loggers import finish
from cv_attention.training.machine import machine
from cv_attention.training.preparation import Prepared
from cv_attention.training.provenance import provenance
from cv_attention.training.saving import Checkpoints
from cv_attention.training.selection import select
from cv_attention.training.terminal import say


class NothingTrained(RuntimeError):
    """The training ended without a checkpoint."""


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
        runs.update_summary(run, left_out=datamodule.left_out)
    trainer.fit(classifier, datamodule=datamodule, ckpt_path=prepared.checkpoint, weights_only=True)
    saved: Any = trainer.checkpoint_callback
    seconds, best = round(saved.seconds, 1), saved.run / "checkpoints" / checkpoints.BEST
    _without_validation(trainer, best)
    _select(prepared)
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
    wish = prepared.classifier.experiment.trainer.select
    selected = select(wish, saved.best, saved.latest, _validation_images(prepared))
    if trainer.is_global_zero:
        if selected.epoch == "last":
            checkpoints.keep_last_as_best(saved.run)
        runs.update_summary(prepared.run, selected=asdict(selected))
    trainer.strategy.barrier("the checkpoint is selected")


def _validation_images(prepared: Prepared) -> int:
    """How many images an epoch validates: not all of them where ``trainer.extra`` leaves some out.

    Lightning's own count is 0 where a run goes on that was stopped in its test.
    """
    images, size = len(prepared.datamodule.splits["val"]), prepared.datamodule.config.batch_size
    batches = optimization.limited(-(-images // size), prepared.trainer.limit_val_batches)
    return min(images, size * batches)
