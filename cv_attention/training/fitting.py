"""Trains and tests, from a prepared run to a run directory with its results."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

from lightning.pytorch.trainer.states import TrainerFn

from cv_attention import data, report
from cv_attention.backbones.attachment.lost import LostBlocksError
from cv_attention.blocks.trust import class_paths_in, is_trusted
from cv_attention.comparison.validation import at_epoch
from cv_attention.rundir import summary
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.callbacks.losses import NonFiniteLoss
from cv_attention.training.checkpoint import checkpoints, weights
from cv_attention.training.checkpoint.saving import Checkpoints, NotWritten
from cv_attention.training.devices.machine import machine
from cv_attention.training.loading import load
from cv_attention.training.preparation import Prepared
from cv_attention.training.provenance import provenance
from cv_attention.training.recording.loggers import close, continue_csv, log_results
from cv_attention.training.settling import NothingTrained, settle
from cv_attention.training.stopping import launched
from cv_attention.training.stopping.ending import ending_at_once, raising_keyboard_interrupt
from cv_attention.training.stopping.interruption import Terminated


def fit(prepared: Prepared) -> Path:
    """Trains, tests the selected checkpoint once, and writes the summary and the report.

    Whatever ends it, the signals' handlers are those of before, and no process that loads images is left.

    Args:
        prepared: What `prepare` returned.

    Returns:
        The run directory.

    Raises:
        KeyboardInterrupt: after Ctrl-C; its message says how to resume.
        Terminated: a SystemExit, after SIGTERM and its like.
        NonFiniteLoss: if the loss or a weight is NaN or infinite.
        NotWritten: if a checkpoint could not be written.
        NothingTrained: if training has ended without an intact checkpoint.
        LostProcess: if another process of a distributed run has ended prematurely.

    Examples:
        >>> from cv_attention import config, training
        >>> experiment = config.Experiment(model=config.Model(block="cbam"))
        >>> run = training.fit(training.prepare(experiment))  # doctest: +SKIP
        >>> training.evaluate(training.find_checkpoint(run))  # doctest: +SKIP
        {'accuracy': 0.97, 'accuracy_top5': 1.0, 'loss': 0.11}
    """
    trainer, words, failed = prepared.trainer, lambda: _ended(prepared), True
    try:
        with (
            raising_keyboard_interrupt(lambda: _ended(prepared, by_hand=True)),
            ending_at_once(words, lambda: launched.pass_on(trainer)),
            launched.meaning_of_ends(trainer, words, (NonFiniteLoss, NotWritten, LostBlocksError, data.ImageError)),
        ):
            _do_what_is_left(prepared)
        failed = False
    except (KeyboardInterrupt, Terminated):
        launched.spare(trainer)
        raise
    finally:
        prepared.datamodule.close()
        close(trainer.loggers, failed=failed)
    return prepared.run


def _do_what_is_left(prepared: Prepared) -> None:
    try:
        if not prepared.tested:
            _train(prepared)
        if prepared.trainer.is_global_zero:
            _complete(prepared)
    finally:
        cast(Checkpoints, prepared.trainer.checkpoint_callback).interruption.stop_listening()


def _complete(prepared: Prepared) -> None:
    """Does what is left once a run has been tested; only then it counts as finished."""
    run, experiment = prepared.run, prepared.task.experiment
    report.build(run)
    checkpoints.drop(run, experiment.log.keep)
    log_results(prepared.trainer.loggers, experiment, summary.read(run)["test"])
    summary.update(run, finished=True)


def _train(prepared: Prepared) -> None:
    run, trainer, task, datamodule = prepared.run, prepared.trainer, prepared.task, prepared.datamodule
    if trainer.is_global_zero:
        summary.update(run, **task.summary(), provenance=provenance(task.experiment))
        summary.update(run, hardware=machine(trainer), data=datamodule.described(), **prepared.earlier)
        summary.update(run, left_out=datamodule.left_out)
    trainer.fit(task, datamodule=datamodule, ckpt_path=prepared.checkpoint, weights_only=True)
    saved = cast(Checkpoints, trainer.checkpoint_callback)
    if launched.all_work(trainer):
        saved.take_over()
        continue_csv(trainer.loggers, str(RunLayout(run).next_part()))
    seconds, best = round(saved.seconds, 1), RunLayout(saved.run).checkpoint("best")
    selected = settle(prepared)
    if trainer.is_global_zero:
        summary.update(run, selected=asdict(selected))
    [metrics] = trainer.test(task, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
    if trainer.is_global_zero:
        _record_results(prepared, best, metrics, seconds)


def _record_results(prepared: Prepared, best: Path, metrics: Mapping[str, float], seconds: float) -> None:
    """Writes the final weights, and what the run has come to, into the run directory."""
    run, datamodule, measured = prepared.run, prepared.datamodule, prepared.throughput
    # The file can be somebody else's, in a run that was resumed: it may name what the run's configuration names.
    named = [path for path in class_paths_in(prepared.task.experiment.to_dict()) if is_trusted(path)]
    try:
        trained = load(best, named, task=type(prepared.task))
    except ValueError as error:
        raise NothingTrained(str(error)) from error
    weights.write(RunLayout(run).weights, trained)
    summary.update(run, validation=at_epoch(run, checkpoints.epochs_trained(best)))
    if used := trained.in_use(datamodule):
        summary.update(run, in_use=used.to_dict())
    summary.update(run, images_per_second=measured.images_per_second, waiting=measured.waiting_share)
    results = {"test": trained.figures(metrics, datamodule), "training_seconds": seconds, "finished": False}
    summary.update(run, **results, **{summary.FILES: summary.checksums(run)})


def _ended(prepared: Prepared, *, by_hand: bool = False) -> str | None:
    """Words for a run that a signal ends where `Checkpoints` does not hear it; None in all processes but the first."""
    run = prepared.run
    if not prepared.trainer.is_global_zero:
        return None
    again = f"; resume with: {prepared.task.resume_command(run)}"
    if summary.read(run).get("test"):
        return f" before the report was written{again}"
    if not RunLayout(run).checkpoint("last").is_file():
        return " before the first checkpoint"
    if by_hand:
        return again
    return f" in the test{again}" if prepared.trainer.state.fn == TrainerFn.TESTING else f" outside of an epoch{again}"
