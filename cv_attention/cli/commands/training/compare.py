"""``cv-attention compare``: compares finished runs with a reference."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file
from cv_attention.cli.terminal import terminal_width
from cv_attention.comparison import Comparison, compare
from cv_attention.comparison.runs import RATES, SHARES
from cv_attention.comparison.text import text


def run(arguments: Sequence[str]) -> None:
    """Prints one table per recipe, with the interval, verdict and costs of each network."""
    options = parse(_parser(), arguments)
    for name in (options.json, options.csv):
        if name:
            check_file(Path(name))
    scale = 100 if options.metric in (None, *SHARES, *RATES) else 1
    if not 0 < options.alpha < 0.5:
        raise UserError(f"--alpha must lie between 0 and 0.5, got {options.alpha}")
    if options.margin is not None and not options.margin > 0:
        raise UserError(f"--margin must be above 0, got {options.margin}")
    try:
        comparison = compare(
            [Path(run) for run in options.runs],
            split=options.split,
            metric=options.metric,
            reference=options.reference,
            margin=None if options.margin is None else options.margin / scale,
            alpha=options.alpha,
            across_recipes=options.across_recipes,
            higher_is_better=False if options.lower_is_better else None,
        )
        if options.json:
            content = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False)
            Path(options.json).write_text(content + "\n", encoding="utf-8")
        if options.csv:
            _write_csv(Path(options.csv), comparison)
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    print(text(comparison, markdown=options.markdown, width=terminal_width()))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="cv-attention compare", exit_on_error=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Run directories: several networks, several seeds each.")
    parser.add_argument(
        "--split", choices=["test", "val"], default="test", help="Split to compare; use val to choose recipes."
    )
    parser.add_argument(
        "--metric",
        help="Metric, as named in summary.json, or probability (default: accuracy; of texts cer, of several classes "
        "per image map, of numbers mae).",
    )
    parser.add_argument(
        "--lower-is-better",
        action="store_true",
        help="Lower values of the metric are better; runs of `fit` say so themselves.",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="Network to compare with: the label of its row or one of its runs (default: the one without a block).",
    )
    parser.add_argument(
        "--margin",
        type=float,
        help="Differences within ± this count as equivalent: points for accuracies (default 0.3), else the metric's "
        "unit (default: equivalence is not tested).",
    )
    parser.add_argument("--alpha", type=float, default=0.05, help="Probability of any wrong verdict in a table.")
    parser.add_argument(
        "--across-recipes", action="store_true", help="Put all recipes into one table (default: one table per recipe)."
    )
    parser.add_argument("--markdown", action="store_true", help="Print the tables in Markdown.")
    parser.add_argument("--json", type=str, metavar="FILE", help="Also write all results to this file.")
    parser.add_argument("--csv", type=str, metavar="FILE", help="Also write one line per row to this file.")
    return parser


def _write_csv(path: Path, comparison: Comparison) -> None:
    """Writes one line per row, with values in the metric's unit and lists separated by semicolons."""
    lines = [
        {
            "table": table.title,
            "split": comparison.split,
            "metric": comparison.metric,
            "reference": table.reference,
            **vars(row),
        }
        for table in comparison.tables
        for row in table.rows
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        for line in lines:
            writer.writerow({key: _cell(value) for key, value in line.items()})


def _cell(value: Any) -> Any:
    """Formats a value so that spreadsheets do not interpret text as a formula."""
    parts = value if isinstance(value, tuple) else (value,)
    text = ";".join(map(str, parts)) if isinstance(value, tuple) else value
    formula = any(isinstance(part, str) for part in parts) and text.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{text}" if formula else text
