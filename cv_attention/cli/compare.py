"""``cv-attention compare``: which attention helped, over seeds and in pairs."""

import json
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_file
from cv_attention.cli.table import table
from cv_attention.comparison import Comparison, Row, compare


def run(arguments: Sequence[str]) -> None:
    """Prints one row for each recipe, with its differences to the baseline."""
    parser = ArgumentParser(prog="cv-attention compare", exit_on_error=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Run directories: several blocks, several seeds each.")
    parser.add_argument("--metric", default="accuracy", help="Metric of the test split.")
    parser.add_argument(
        "--baseline", metavar="RUN", help="A run of the recipe to compare with; default: without a block."
    )
    parser.add_argument("--markdown", action="store_true", help="Print the table in Markdown.")
    parser.add_argument("--json", type=str, metavar="FILE", help="Write everything to this file too.")
    options = parse(parser, arguments)
    if options.json:
        check_file(Path(options.json))
    baseline = Path(options.baseline) if options.baseline else None
    try:
        found = compare([Path(run) for run in options.runs], metric=options.metric, baseline=baseline)
        if options.json:
            content = json.dumps(found.to_dict(), indent=2, ensure_ascii=False)
            Path(options.json).write_text(content + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    _show(found, options.markdown)


def _show(found: Comparison, markdown: bool) -> None:
    share = found.metric.startswith("accuracy")
    scale, unit, base = 100 if share else 1, " (%)" if share else "", found.rows[0].label
    header = ["network", "parameters", "runs", f"test {found.metric}{unit}", f"minus {base}, each pair", "mean ± 95 %"]
    print(table([*header, "images/s"], [_cells(row, scale) for row in found.rows], markdown=markdown))
    print()
    for line in _reading(found, base):
        print(line)


def _cells(row: Row, scale: int) -> list[object]:
    digits = 2 if scale == 100 else 4
    spread = f" ± {scale * row.deviation:.{digits}f}" if row.deviation is not None else ""
    each = ", ".join(f"{scale * value:+.{digits}f}" for value in row.differences)
    paired = f"{scale * row.difference:+.{digits}f}" if row.difference is not None else ""
    paired += f" ± {scale * row.interval:.{digits}f}" if row.interval is not None else ""
    rate = None if row.images_per_second is None else round(row.images_per_second)
    value = f"{scale * row.mean:.{digits}f}{spread}"
    return [row.label, row.parameters, len(row.values), value, each, paired, rate]


def _reading(found: Comparison, base: str) -> list[str]:
    """What the table says, and what it does not."""
    lines = list(found.notes)
    others = found.rows[1:]
    measured = [row for row in others if row.interval is not None]
    differing = [row.label for row in measured if row.differs]
    if not others:
        return [*lines, "one recipe alone: nothing to compare it with"]
    if not measured:
        return [*lines, "fewer than two pairs of equal seeds: no interval, so no difference can be told from chance"]
    if differing:
        lines.append(f"the interval excludes zero for: {', '.join(differing)}")
    else:
        lines.append(f"every interval includes zero: no difference to {base} is shown")
    if len(measured) > 1:
        lines.append(f"of {len(measured)} intervals, one in twenty misses the true difference by chance")
    return lines
