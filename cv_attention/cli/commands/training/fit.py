"""``cv-attention fit``: trains a classifier and tests it."""

import errno
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cv_attention.blocks.catalogue import find
from cv_attention.blocks.trust import class_paths_in, class_paths_of
from cv_attention.cli.errors import UserError, one_line, user_errors
from cv_attention.cli.opening import add_trust
from cv_attention.cli.parsing import experiment_parser, parse, read_experiment, to_experiment
from cv_attention.cli.places import check_folder
from cv_attention.cli.resuming import check_resumed, choose
from cv_attention.config import Experiment
from cv_attention.config.checking import check, check_source
from cv_attention.config.differences import differences
from cv_attention.data.guessing import not_found
from cv_attention.rundir import summary
from cv_attention.rundir.layout import RunLayout, runs_in
from cv_attention.suggest import suggest

if TYPE_CHECKING:
    from cv_attention.training import Prepared

# Error numbers of a full disk, an exhausted quota and a file size limit.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(arguments: Sequence[str]) -> None:
    """Trains, tests once on the test split, and prints the path of the report."""
    experiment, resume, started, named = _parse(arguments)
    if resume and started:  # the run has already finished
        print(f"resume: {started}", file=sys.stderr, flush=True)
        return
    _check_early(experiment)
    check_folder(resume or Path(experiment.log.root))
    with user_errors():
        from cv_attention import training

        with named:
            prepared = training.prepare(experiment, resume, task=training.task_of(experiment))
    rank_zero = prepared.trainer.is_global_zero
    if rank_zero:
        head = prepared.task.experiment.model.head
        print(prepared.task.plan or (f"head: {head}" if head else "no attention block inserted"))
        print(*prepared.lines, sep="\n", flush=True)
        if started:
            print(f"resume: {started}: {prepared.run}", file=sys.stderr, flush=True)
        for notice in prepared.notices:
            print(f"resume: {notice}", file=sys.stderr, flush=True)
    _train(prepared)
    if rank_zero:
        _print_result(prepared.run)


def _train(prepared: "Prepared") -> None:
    """Trains; reports expected failures (bad images, full disk, lost processes) in one line, from one process."""
    from cv_attention import training
    from cv_attention.backbones.attachment.lost import LostBlocksError
    from cv_attention.data import ImageError

    again = f"cv-attention fit --resume {prepared.run}"
    try:
        training.fit(prepared)
    except ImageError as error:
        # A loader process wraps the message into its traceback; the last line is the message.
        reason = str(error).strip().splitlines()[-1].rpartition("ImageError: ")[2]
        advice = f"repair or remove it, then: {again} (--data.on_error skip leaves broken images out)"
        raise UserError(f"{reason}; {advice}") from error
    except (training.NonFiniteLoss, training.NothingTrained, OSError) as error:
        if isinstance(error, OSError) and not _is_of_files(error, prepared.run):
            raise
        if not prepared.trainer.is_global_zero:
            raise SystemExit(1) from error
        full = isinstance(error, OSError) and (error.errno in _FULL or isinstance(error, training.NotWritten))
        advice = (
            f"; free some space, then: {again}" if full else f"; then: {again}" if isinstance(error, OSError) else ""
        )
        raise UserError(f"{one_line(error)}{advice}", code=1) from error
    except LostBlocksError as error:
        raise UserError(f"model.block: {one_line(error)}") from error
    except training.LostProcess as error:
        raise UserError(f"{one_line(error)}; restart all processes with: {again}", code=1) from error


def _is_of_files(error: OSError, run: Path) -> bool:
    """Returns whether an error concerns the disk, or a file of the run whose path is taken by something else."""
    from cv_attention.training import NotWritten

    if error.errno in _FULL or isinstance(error, NotWritten):
        return True
    return isinstance(error.filename, str | Path) and Path(error.filename).is_relative_to(run)


def _parse(arguments: Sequence[str]) -> tuple[Experiment, Path | None, str | None, AbstractContextManager[None]]:
    """Returns the configuration, the run to resume, and a notice: why a new run starts, or that the run has finished.

    The last item is a context in which trusted classes named only by the run's own configuration are imported.
    """
    parser = experiment_parser("cv-attention fit")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="Run directory to resume; its configuration applies unless overridden. "
        "auto: the newest unfinished run of this name, model and seed; nothing if it has finished; else a new run.",
    )
    add_trust(parser)
    namespace = parse(parser, arguments)
    if namespace.resume is None:
        return to_experiment(parser, namespace), None, None, nullcontext()
    resume = Path(namespace.resume)
    if namespace.resume == "auto":
        experiment = to_experiment(parser, namespace)
        choice = choose(experiment)
        for warning in choice.warnings:
            print(f"resume: {warning}", file=sys.stderr)
        if choice.run is None or choice.finished:
            return experiment, choice.run, choice.notice, nullcontext()
        print(f"resume: {choice.notice}", file=sys.stderr)
        resume = choice.run
    config = RunLayout(resume).config
    if not config.is_file():
        there = [str(run) for run in runs_in(resume.absolute().parent)]
        near = suggest(resume, there) if there and not resume.is_dir() else ": it has no config.yaml"
        raise UserError(f"{resume} is not a run directory{near}")
    with user_errors():
        summary.check_format(resume)
    before = read_experiment(config)
    overridden = parse(parser, ["--config", str(config), *arguments])
    experiment = to_experiment(parser, overridden)
    check_resumed(config, before, experiment)
    if before.model != experiment.model:
        changes = "; ".join(differences({"model": vars(before.model)}, {"model": vars(experiment.model)}))
        raise UserError(
            f"{resume} holds another model, and resuming cannot change it ({changes}): leave out the --model options"
        )
    typed = class_paths_in(to_experiment(parser, namespace).to_dict())
    return experiment, resume, None, class_paths_of(config, [*namespace.trust, *typed])


def _check_early(experiment: Experiment) -> None:
    """Reports the most common mistakes before torch is imported, which takes seconds."""
    block, data = experiment.model.block, experiment.data
    name = block.get("name") if isinstance(block, dict) else block
    try:
        check(experiment)
        check_source(data.name)
        if isinstance(name, str) and "." not in name:
            find(name)
    except ValueError as error:
        raise UserError(one_line(error)) from error
    root = Path(data.root).expanduser()
    if data.name in ("folder", "webdataset", "text", "bags", "datasets") and not root.is_dir():
        raise UserError(one_line(not_found(data.root, data.name)))
    if data.name in ("table", "arrays", "coco", "voc") and not root.exists():
        kind = "table" if data.name == "table" else "file or folder"
        raise UserError(one_line(not_found(data.root, data.name, kind)))


def _print_result(run: Path) -> None:
    from cv_attention.training.callbacks.terminal import duration

    with user_errors():
        figures = summary.read(run)
        summary.check(run, figures)
    for name, value in figures["test"].items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    if used := figures.get("in_use"):
        changes = [100 * block["change"] for block in used["blocks"]]
        line = f"blocks in use: they change their inputs by {min(changes):.1f} to {max(changes):.1f} %"
        if (changed := used.get("predictions_changed")) is not None:
            line += f"; without them, {100 * changed:.1f} % of {used['images']} validation predictions are others"
        print(line)
    for split, reasons in (figures.get("left_out") or {}).items():
        print(f"left out as broken: {len(reasons)} {split} images, such as {reasons[0]} (all are in summary.json)")
    print(f"tested: the {figures['selected']['epoch']} epoch's network ({figures['selected']['reason']})")
    print(f"trained in {duration(figures['training_seconds'])}")
    print(f"report: {run / 'report' / 'index.html'}")
