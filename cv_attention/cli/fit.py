"""``cv-attention fit``: train a classifier and test it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from cv_attention.blocks.catalogue import find
from cv_attention.cli.errors import UserError, one_line, user_errors
from cv_attention.cli.parsing import experiment_parser, parse, read_experiment, to_experiment
from cv_attention.config import Experiment
from cv_attention.suggest import suggest


def run(arguments: Sequence[str]) -> None:
    """Trains, tests once on the test split, and prints where the report is."""
    experiment, resume = _parse(arguments)
    _check_names(experiment)
    with user_errors():
        from cv_attention import training

        prepared = training.prepare(experiment, resume)
    rank_zero = prepared.trainer.is_global_zero
    if rank_zero:
        print(prepared.classifier.plan or "no attention block inserted")
        print(prepared.rates, flush=True)
    from cv_attention.data import ImageError

    try:
        training.fit(prepared)
    except ImageError as error:
        # A loader's process wraps the message into its traceback; the last line is what was said.
        reason = str(error).strip().splitlines()[-1].rpartition("ImageError: ")[2]
        raise UserError(f"{reason}; mend or remove it, then: cv-attention fit --resume {prepared.run}") from error
    if rank_zero:
        _print_result(prepared.run)


def _parse(arguments: Sequence[str]) -> tuple[Experiment, Path | None]:
    parser = experiment_parser("cv-attention fit")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="A run directory to go on with; its configuration counts unless overridden.",
    )
    namespace = parse(parser, arguments)
    if namespace.resume is None:
        return to_experiment(parser, namespace), None
    resume = Path(namespace.resume)
    if not (resume / "config.yaml").is_file():
        there = [str(path.parent) for path in sorted(resume.absolute().parent.glob("*/config.yaml"))]
        raise UserError(f"{resume} is no run directory{suggest(resume, there) if there else ''}")
    before = read_experiment(resume / "config.yaml")
    overridden = parse(parser, ["--config", str(resume / "config.yaml"), *arguments])
    experiment = to_experiment(parser, overridden)
    for line in _differences(before.to_dict(), experiment.to_dict()):
        print(f"resume: {line}", file=sys.stderr)
    if before.model != experiment.model:
        raise UserError(f"{resume} holds another model; resuming cannot change it: leave out the --model options")
    return experiment, resume


def _check_names(experiment: Experiment) -> None:
    """Answers the commonest mistakes before torch is imported, which takes seconds."""
    block, data = experiment.model.block, experiment.data
    name = block.get("name") if isinstance(block, dict) else block
    try:
        if isinstance(name, str) and "." not in name:
            find(name)
    except ValueError as error:
        raise UserError(one_line(error)) from error
    if data.name == "folder" and not Path(data.root).is_dir():
        raise UserError(f"data.root is {data.root}, but there is no such folder")


def _differences(before: dict, after: dict, prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in after.items():
        if isinstance(value, dict) and isinstance(before[name], dict):
            lines += _differences(before[name], value, f"{prefix}{name}.")
        elif value != before[name]:
            lines.append(f"{prefix}{name} is now {yaml_line(value)}, it was {yaml_line(before[name])}")
    return lines


def yaml_line(value: object) -> str:
    """Writes a plain value as YAML in one line."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _print_result(run: Path) -> None:
    import json

    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    for name, value in summary["test"].items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    print(f"trained in {summary['training_seconds']} s")
    print(f"report: {run / 'report' / 'index.html'}")
