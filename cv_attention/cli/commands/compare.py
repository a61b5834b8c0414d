"""``cv-attention compare``: compare finished runs with a reference."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from cv_attention.cli import compare_text
from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file
from cv_attention.cli.terminal import terminal_width
from cv_attention.comparison import Comparison, compare
from cv_attention.comparison.runs import SHARES


def run(arguments: Sequence[str]) -> None:
    """Prints a table for each recipe: every network with its interval, its verdict and its costs."""
    options = parse(_parser(), arguments)
    for name in (options.json, options.csv):
        if name:
            check_file(Path(name))
    scale = 100 if options.metric in SHARES else 1
    if not 0 < options.alpha < 0.5:
        raise UserError(f"--alpha must lie between 0 and 0.5, got {options.alpha}")
    if options.margin is not None and not options.margin > 0:
        raise UserError(f"--margin must be above 0, got {options.margin}")
    try:
        found = compare(
            [Path(run) for run in options.runs],
            split=options.split,
            metric=options.metric,
            reference=options.reference,
            margin=None if options.margin is None else options.margin / scale,
            alpha=options.alpha,
            across_recipes=options.across_recipes,
        )
        if options.json:
            content = json.dumps(found.to_dict(), indent=2, ensure_ascii=False)
            Path(options.json).write_text(content + "\n", encoding="utf-8")
        if options.csv:
            _write_csv(Path(options.csv), found)
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    print(compare_text.text(found, markdown=options.markdown, width=terminal_width()))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="cv-attention compare", exit_on_error=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Run directories: several networks, several seeds each.")
    parser.add_argument(
        "--split", choices=["test", "val"], default="test", help="Figures of this split; choose recipes by val."
    )
    parser.add_argument("--metric", default="accuracy", help="Metric of the split, as in summary.json, or probability.")
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="The network to compare with: name of its row, or a run of it; default: the one without a block.",
    )
    parser.add_argument(
        "--margin",
        type=float,
        help="Differences within ± this count as equivalent: points for accuracies (default 0.3), else the metric's "
        "unit (default: equivalence is not asked for).",
    )
    parser.add_argument("--alpha", type=float, default=0.05, help="Probability of any wrong verdict in a table.")
    parser.add_argument(
        "--across-recipes", action="store_true", help="One table of all recipes; by default one for each."
    )
    parser.add_argument("--markdown", action="store_true", help="Print the tables in Markdown.")
    parser.add_argument("--json", type=str, metavar="FILE", help="Write everything to this file too.")
    parser.add_argument("--csv", type=str, metavar="FILE", help="Write a line for each row to this file too.")
    return parser


def _write_csv(path: Path, found: Comparison) -> None:
    """Writes a line for each row; values in the metric's own unit, lists divided by semicolons."""
    lines = [
        {"table": table.title, "split": found.split, "metric": found.metric, "reference": table.reference, **vars(row)}
        for table in found.tables
        for row in table.rows
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        for line in lines:
            writer.writerow({key: _cell(it) for key, it in line.items()})


def _cell(value: Any) -> Any:
    """Writes a value so that a spreadsheet takes no text for a formula."""
    parts = value if isinstance(value, tuple) else (value,)
    text = ";".join(map(str, parts)) if isinstance(value, tuple) else value
    formula = any(isinstance(one, str) for one in parts) and text.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{text}" if formula else text
