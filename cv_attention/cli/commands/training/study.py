"""``cv-attention study``: plans, trains and reports a study of which attention helps."""

import re
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from cv_attention import study
from cv_attention.cli.commands.training.engines import ENGINES, chosen
from cv_attention.cli.errors import UserError, one_line, user_errors
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder
from cv_attention.cli.terminal import printable, terminal_width
from cv_attention.comparison import text as words
from cv_attention.rundir.code_version import code_version
from cv_attention.study.record import written_by
from cv_attention.study.running.engine import Engine

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def run(arguments: Sequence[str]) -> None:
    """Trains what is missing of a study and prints its verdicts."""
    options = parse(_parser(), arguments)
    limits = _limits(options)
    engine = chosen(options.engine, options.threads, options.gpus, options.slurm)
    with user_errors():
        folder = study.StudyFolder(Path(options.root), Path(options.file).stem)
    check_folder(folder.root)
    with user_errors():
        plan = study.make_plan(Path(options.file), folder.matched)
    commands = [f"cv-attention study {shlex.join(arguments)}"]
    with user_errors():
        if options.dry_run:
            for line in study.dry_run(plan, folder, max(1, engine.workers), engine.threads):
                print(line, flush=True)
            return
        if options.status or options.report:
            results = study.report(plan, folder, commands, _say, write=options.report)
        else:
            results = _train(plan, folder, engine, limits, commands)
    print(printable(_shown(plan, results, folder)))


def _train(
    plan: study.Plan, folder: study.StudyFolder, engine: Engine, limits: study.Limits, commands: list[str]
) -> study.Results:
    again = f"; the same command continues: {commands[0]}"
    try:
        return study.train(plan, folder, engine, limits, _say, commands)
    except study.Stopped as stop:
        if stop.number == signal.SIGINT:
            raise KeyboardInterrupt(f"{stop}{again}") from None
        print(f"{stop}{again}", file=sys.stderr)
        raise SystemExit(128 + stop.number) from None
    except study.EngineLost as error:
        raise UserError(f"{one_line(error)}{again}", code=1) from error
    except study.DiskFull as error:
        raise UserError(one_line(error), code=1) from error


def _say(line: str) -> None:
    print(printable(line), flush=True)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="cv-attention study", exit_on_error=False)
    parser.add_argument("file", metavar="FILE", help="The study file, see docs/study.md.")
    parser.add_argument(
        "--root", type=str, default="studies", help="Folder of all studies that share training runs (default: studies)."
    )
    parser.add_argument("--engine", type=str, default="local:2", help=ENGINES)
    parser.add_argument(
        "--threads", type=int, help="Threads of each (default: local, the processors divided by N; elsewhere 1)."
    )
    parser.add_argument("--gpus", type=float, help="GPUs of each on ray (0.5 shares one) and slurm; default as needed.")
    parser.add_argument(
        "--slurm",
        type=str,
        metavar="NAME=VALUE,...",
        help="Options of the jobs: partition=gpu,timeout_min=240,mem_gb=16.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="Show arms, training runs, price and what can be shown; train nothing."
    )
    parser.add_argument(
        "--status", action="store_true", help="Show how far it is, and validation figures; train nothing."
    )
    parser.add_argument("--report", action="store_true", help="Write tables and charts again; train nothing.")
    parser.add_argument(
        "--budget", type=str, metavar="8h", help="Begin no block that would end after this time (s, min, h, d)."
    )
    parser.add_argument(
        "--until",
        type=str,
        metavar="width=W",
        help="End after the block from which no interval is wider than ±W on validation.",
    )
    parser.add_argument("--retry", action="store_true", help="Train failed training runs again.")
    return parser


def _limits(options: Namespace) -> study.Limits:
    if sum(map(bool, (options.dry_run, options.status, options.report))) > 1:
        raise UserError("--dry-run, --status and --report exclude each other")
    budget = width = None
    if options.budget is not None:
        match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|min|h|d)", options.budget)
        if not match or not float(match[1]):
            raise UserError(f"--budget must be a time such as 90min or 8h, got {options.budget}")
        budget = float(match[1]) * _UNITS[match[2]]
    if options.until is not None:
        match = re.fullmatch(r"width=(\d{0,6}\.?\d{1,6})", options.until)
        if not match or not float(match[1]):
            raise UserError(f"--until must be width=W with a number above 0, such as width=0.3, got {options.until}")
        width = float(match[1])
    return study.Limits(budget, width, options.retry)


def _shown(plan: study.Plan, results: study.Results, folder: study.StudyFolder) -> str:
    """Returns what the terminal shows: how far the study is, its tables, and where the files are."""
    lines = [f"{plan.name}: {results.blocks} of {results.planned} blocks (seeds) complete"]
    made = written_by(folder.plan)
    if not results.blocks and made not in ("", code_version()):
        lines.append(f"note: last planned by version {made}, but this is {code_version()}, whose trials are new ones")
    if results.sealed:
        lines.append(f"validation figures only: {results.why_sealed}")
    for part in results.parts:
        lines += ["", part.recipe] if part.recipe else [""]
        lines.append(words.text(part.main, width=terminal_width()) if part.main else "nothing has finished yet")
        lines += part.honest
        for network, found in part.controls.items():
            lines += ["", f"controls of {network}, each minus {network}", words.text(found, width=terminal_width())]
    lines += [f"failed: {outcome.trial}: {outcome.reason}" for outcome in results.failed]
    lines += [f"note: {note}" for note in results.notes]
    written = folder.out / "table.md"
    return "\n".join([*lines, *([f"\ntables, charts and methods: {folder.out}"] if written.is_file() else [])])
