"""``cv-attention fit``: train a classifier and test it."""

import errno
import glob
import json
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cv_attention import bounds
from cv_attention.blocks.catalogue import find
from cv_attention.blocks.trust import class_paths_of
from cv_attention.cli.errors import Interrupted, UserError, one_line, user_errors
from cv_attention.cli.opening import add_trust
from cv_attention.cli.parsing import experiment_parser, parse, read_experiment, to_experiment
from cv_attention.cli.places import check_folder
from cv_attention.config import Experiment
from cv_attention.differences import differences
from cv_attention.suggest import suggest

if TYPE_CHECKING:
    from cv_attention.training import Prepared

# What a full disk, a used-up quota and a limit on a file's size are called.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# What gloo, NCCL and torch's store say when another process is gone.
_LOST = re.compile(r"closed by peer|reset by peer|connection refused|broken pipe|timed? ?out|nccl.*remote", re.I)


def run(arguments: Sequence[str]) -> None:
    """Trains, tests once on the test split, and prints where the report is."""
    experiment, resume, started, named = _parse(arguments)
    _check_early(experiment)
    check_folder(Path(experiment.log.root))
    with user_errors():
        from cv_attention import training

        with named:
            prepared = training.prepare(experiment, resume)
    rank_zero = prepared.trainer.is_global_zero
    if rank_zero:
        print(prepared.classifier.plan or "no attention block inserted")
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
    except SystemExit as end:
        # Lightning ends with code 1 where Ctrl-C comes before the first step, in the test, or a second time.
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        saved = (prepared.run / "checkpoints/last.ckpt").is_file()
        how = f"; go on with: {again}" if saved else " before the first checkpoint"
        raise Interrupted(f"stopped by SIGINT{how}") from end
    except ImageError as error:
        # A loader's process wraps the message into its traceback; the last line is what was said.
        reason = str(error).strip().splitlines()[-1].rpartition("ImageError: ")[2]
        raise UserError(f"{reason}; mend or remove it, then: {again}") from error
    except (training.NonFiniteLoss, training.NothingTrained, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _FULL and not isinstance(error, training.NotWritten):
            raise
        if not prepared.trainer.is_global_zero:
            raise SystemExit(1) from error
        advice = f"; make room, then: {again}" if isinstance(error, OSError) else ""
        raise UserError(f"{one_line(error)}{advice}", code=1) from error
    except LostBlocksError as error:
        raise UserError(f"model.block: {one_line(error)}") from error
    except RuntimeError as error:
        if prepared.trainer.world_size == 1 or not _LOST.search(str(error)):
            raise
        raise UserError(
            f"process {prepared.trainer.global_rank} has lost another process of this training, which has ended or "
            f"cannot be reached ({_short(error)}); start all of them again with: {again}",
            code=1,
        ) from error


def _short(error: RuntimeError) -> str:
    """The first sentence of what gloo or NCCL says, without the place in their sources."""
    return re.sub(r"^\[\S+\] ", "", one_line(error)).partition(". ")[0]


def _parse(arguments: Sequence[str]) -> tuple[Experiment, Path | None, str | None, AbstractContextManager[None]]:
    """The configuration, the run to go on with, and why a new one starts although one should be gone on with.

    And a context in which classes that only the run's own configuration names are imported where they are trusted.
    """
    parser = experiment_parser("cv-attention fit")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="A run directory to go on with; its configuration counts unless overridden. "
        "auto: the newest unfinished run of this name and model, or else a new one.",
    )
    add_trust(parser)
    namespace = parse(parser, arguments)
    if namespace.resume is None:
        return to_experiment(parser, namespace), None, None, nullcontext()
    resume = Path(namespace.resume)
    if namespace.resume == "auto":
        experiment = to_experiment(parser, namespace)
        found, empty = _newest(experiment)
        if found is None:
            why = f"{empty} has no checkpoint yet;" if empty else "no unfinished run of this name and model,"
            return experiment, None, f"{why} a new one starts", nullcontext()
        print(f"resume: {found}", file=sys.stderr)
        resume = found
    if not (resume / "config.yaml").is_file():
        there = [str(path.parent) for path in sorted(resume.absolute().parent.glob("*/config.yaml"))]
        raise UserError(f"{resume} is no run directory{suggest(resume, there) if there else ''}")
    before = read_experiment(resume / "config.yaml")
    overridden = parse(parser, ["--config", str(resume / "config.yaml"), *arguments])
    experiment = to_experiment(parser, overridden)
    if before.model != experiment.model:
        changes = "; ".join(differences({"model": vars(before.model)}, {"model": vars(experiment.model)}))
        raise UserError(
            f"{resume} holds another model; resuming cannot change it ({changes}): leave out the --model options"
        )
    typed = to_experiment(parser, namespace).model.block == experiment.model.block
    named = nullcontext() if typed else class_paths_of(resume / "config.yaml", namespace.trust)
    return experiment, resume, None, named


def _newest(experiment: Experiment) -> tuple[Path | None, Path | None]:
    """The unfinished runs of this name and model: that with the newest checkpoint, and the newest that has none."""
    saved, empty = [], []
    for config in Path(experiment.log.root).glob(f"{glob.escape(experiment.name())}*/config.yaml"):
        run = config.parent
        number = run.name.removeprefix(experiment.name())
        if number and not re.fullmatch(r"-\d+", number):
            continue
        summary = run / "summary.json"
        tested = summary.is_file() and "test" in json.loads(summary.read_text(encoding="utf-8"))
        if tested:
            continue
        times = [path.stat().st_mtime for path in run.glob("checkpoints/*.ckpt")]
        if times:
            saved.append((max(times), run))
        else:
            empty.append((config.stat().st_mtime, run))
    first, second = (
        next((run for _, run in sorted(found, reverse=True) if _holds(run, experiment)), None)
        for found in (saved, empty)
    )
    return first, second


def _holds(run: Path, experiment: Experiment) -> bool:
    return read_experiment(run / "config.yaml").model == experiment.model


def _check_early(experiment: Experiment) -> None:
    """Answers the commonest mistakes before torch is imported, which takes seconds."""
    block, data = experiment.model.block, experiment.data
    name = block.get("name") if isinstance(block, dict) else block
    try:
        bounds.check(experiment)
        if isinstance(name, str) and "." not in name:
            find(name)
    except ValueError as error:
        raise UserError(one_line(error)) from error
    if data.name in ("folder", "webdataset") and not Path(data.root).is_dir():
        raise UserError(f"data.root is {data.root}, but there is no such folder")


def _print_result(run: Path) -> None:
    from cv_attention.training.terminal import duration

    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    for name, value in summary["test"].items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    if used := summary.get("in_use"):
        changes = [100 * block["change"] for block in used["blocks"]]
        print(
            f"blocks in use: they change their inputs by {min(changes):.1f} to {max(changes):.1f} %; without them, "
            f"{100 * used['predictions_changed']:.1f} % of {used['images']} validation predictions are others"
        )
    print(f"tested: the {summary['selected']['epoch']} epoch's network ({summary['selected']['reason']})")
    print(f"trained in {duration(summary['training_seconds'])}")
    print(f"report: {run / 'report' / 'index.html'}")
