"""``cv-attention fit``: train a classifier and test it."""

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
from cv_attention.cli.resuming import choose
from cv_attention.config import Experiment
from cv_attention.config.checking import check, check_source
from cv_attention.config.differences import differences
from cv_attention.rundir import summary
from cv_attention.rundir.layout import RunLayout, runs_in
from cv_attention.suggest import suggest

if TYPE_CHECKING:
    from cv_attention.training import Prepared

# What a full disk, a used-up quota and a limit on a file's size are called.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(arguments: Sequence[str]) -> None:
    """Trains, tests once on the test split, and prints where the report is."""
    experiment, resume, started, named = _parse(arguments)
    if resume and started:  # nothing is left to do
        print(f"resume: {started}", file=sys.stderr, flush=True)
        return
    _check_early(experiment)
    check_folder(resume or Path(experiment.log.root))
    with user_errors():
        from cv_attention import training

        with named:
            prepared = training.prepare(experiment, resume)
    rank_zero = prepared.trainer.is_global_zero
    if rank_zero:
        print(prepared.task.plan or "no attention block inserted")
        print(*prepared.lines, sep="\n", flush=True)
        if started:
            print(f"resume: {started}: {prepared.run}", file=sys.stderr, flush=True)
        for notice in prepared.notices:
            print(f"resume: {notice}", file=sys.stderr, flush=True)
    _train(prepared)
    if rank_zero:
        _print_result(prepared.run)


def _train(prepared: "Prepared") -> None:
    """Trains; what can happen to anybody in the middle of a training is told in one line, by one process."""
    from cv_attention import training
    from cv_attention.backbones.attachment.lost import LostBlocksError
    from cv_attention.data import ImageError

    again = f"cv-attention fit --resume {prepared.run}"
    try:
        training.fit(prepared)
    except ImageError as error:
        # A loader's process wraps the message into its traceback; the last line is what was said.
        reason = str(error).strip().splitlines()[-1].rpartition("ImageError: ")[2]
        advice = f"mend or remove it, then: {again} (--data.on_error skip leaves broken images out)"
        raise UserError(f"{reason}; {advice}") from error
    except (training.NonFiniteLoss, training.NothingTrained, OSError) as error:
        if isinstance(error, OSError) and not _is_of_files(error, prepared.run):
            raise
        if not prepared.trainer.is_global_zero:
            raise SystemExit(1) from error
        full = isinstance(error, OSError) and (error.errno in _FULL or isinstance(error, training.NotWritten))
        advice = f"; make room, then: {again}" if full else f"; then: {again}" if isinstance(error, OSError) else ""
        raise UserError(f"{one_line(error)}{advice}", code=1) from error
    except LostBlocksError as error:
        raise UserError(f"model.block: {one_line(error)}") from error
    except training.LostProcess as error:
        raise UserError(f"{one_line(error)}; start all of them again with: {again}", code=1) from error


def _is_of_files(error: OSError, run: Path) -> bool:
    """Whether an error is of the disk, or of a file of the run that something else lies in the place of."""
    from cv_attention.training import NotWritten

    if error.errno in _FULL or isinstance(error, NotWritten):
        return True
    return isinstance(error.filename, str | Path) and Path(error.filename).is_relative_to(run)


def _parse(arguments: Sequence[str]) -> tuple[Experiment, Path | None, str | None, AbstractContextManager[None]]:
    """The configuration, the run to go on with, and what is to be said: why a new one starts, or that it has finished.

    And a context in which classes that only the run's own configuration names are imported where they are trusted.
    """
    parser = experiment_parser("cv-attention fit")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="A run directory to go on with; its configuration counts unless overridden. "
        "auto: the newest unfinished run of this name, model and seed; nothing where it has finished; else a new one.",
    )
    add_trust(parser)
    namespace = parse(parser, arguments)
    if namespace.resume is None:
        return to_experiment(parser, namespace), None, None, nullcontext()
    resume = Path(namespace.resume)
    if namespace.resume == "auto":
        experiment = to_experiment(parser, namespace)
        choice = choose(experiment)
        if choice.run is None or choice.finished:
            return experiment, choice.run, choice.said, nullcontext()
        print(f"resume: {choice.said}", file=sys.stderr)
        resume = choice.run
    config = RunLayout(resume).config
    if not config.is_file():
        there = [str(run) for run in runs_in(resume.absolute().parent)]
        near = suggest(resume, there) if there and not resume.is_dir() else ": it has no config.yaml"
        raise UserError(f"{resume} is no run directory{near}")
    with user_errors():
        summary.check_format(resume)
    before = read_experiment(config)
    overridden = parse(parser, ["--config", str(config), *arguments])
    experiment = to_experiment(parser, overridden)
    if before.model != experiment.model:
        changes = "; ".join(differences({"model": vars(before.model)}, {"model": vars(experiment.model)}))
        raise UserError(
            f"{resume} holds another model; resuming cannot change it ({changes}): leave out the --model options"
        )
    typed = class_paths_in(to_experiment(parser, namespace).to_dict())
    return experiment, resume, None, class_paths_of(config, [*namespace.trust, *typed])


def _check_early(experiment: Experiment) -> None:
    """Answers the commonest mistakes before torch is imported, which takes seconds."""
    block, data = experiment.model.block, experiment.data
    name = block.get("name") if isinstance(block, dict) else block
    try:
        check(experiment)
        check_source(data.name)
        if isinstance(name, str) and "." not in name:
            find(name)
    except ValueError as error:
        raise UserError(one_line(error)) from error
    if data.name in ("folder", "webdataset") and not Path(data.root).is_dir():
        raise UserError(f"data.root is {data.root}, but there is no such folder")


def _print_result(run: Path) -> None:
    from cv_attention.training.callbacks.terminal import duration

    with user_errors():
        found = summary.read(run)
        summary.check(run, found)
    for name, value in found["test"].items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    if used := found.get("in_use"):
        changes = [100 * block["change"] for block in used["blocks"]]
        line = f"blocks in use: they change their inputs by {min(changes):.1f} to {max(changes):.1f} %"
        if (changed := used.get("predictions_changed")) is not None:
            line += f"; without them, {100 * changed:.1f} % of {used['images']} validation predictions are others"
        print(line)
    for split, reasons in (found.get("left_out") or {}).items():
        print(f"left out as broken: {len(reasons)} {split} images, such as {reasons[0]} (all are in summary.json)")
    print(f"tested: the {found['selected']['epoch']} epoch's network ({found['selected']['reason']})")
    print(f"trained in {duration(found['training_seconds'])}")
    print(f"report: {run / 'report' / 'index.html'}")
