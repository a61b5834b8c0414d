"""Formats the output of ``cv-attention compare`` and ``study``: tables, verdicts and cautions."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from cv_attention.comparison.runs import RATES, SHARES
from cv_attention.comparison.tables import Row, Table
from cv_attention.statistics.planning import MOST
from cv_attention.tables import html_output, html_table, markdown_table, text_table

# Columns that depend on the machine and on chance, not on the seeds alone.
_TIMED = ("training (s)", "images/s", "hardware")


class Compared(Protocol):
    """What a `Comparison` holds."""

    @property
    def split(self) -> str:
        """The split of the figures."""
        ...

    @property
    def metric(self) -> str:
        """Name of the metric."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Whether higher values of it are better."""
        ...

    @property
    def margin(self) -> float | None:
        """Differences within ± this count as equivalent."""
        ...

    @property
    def alpha(self) -> float:
        """Probability of any wrong verdict in a table."""
        ...

    @property
    def tables(self) -> Sequence[Table]:
        """One table per recipe and data set."""
        ...

    @property
    def interaction(self) -> float | None:
        """P value of the network × recipe interaction."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Notes on all tables."""
        ...


def text(comparison: Compared, *, markdown: bool = False, width: int | None = None, timed: bool = True) -> str:
    """Returns everything that the command prints.

    Args:
        comparison: The comparison.
        markdown: Whether tables are in Markdown.
        width: Columns of the terminal; None for a pipe or a file.
        timed: Whether tables show times and hardware.
    """
    parts = [*map(_line, comparison.notes)]
    for group in comparison.tables:
        title = [_line(group.title), ""] if group.title else []
        parts += [
            "",
            *title,
            _table(comparison, group, markdown, width, timed),
            "",
            *map(_line, below(comparison, group)),
        ]
    if comparison.interaction is not None:
        parts += ["", interaction_text(comparison.interaction, comparison.alpha)]
    return "\n".join(parts).strip("\n")


def _line(text: str) -> str:
    """Replaces non-printable characters, so that a name stays on one line."""
    return "".join(character if character.isprintable() else " " for character in text)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class Unit:
    """Formats values of a metric: accuracies in percent, other metrics as they are.

    Args:
        metric: Its name.

    Attributes:
        share: Whether values are shown in percent.
        scale: What values are multiplied by.
        digits: Decimals shown.
        name: What stands behind the metric's name.
        points: What stands behind a difference.
    """

    def __init__(self, metric: str) -> None:
        self.share = metric in (*SHARES, *RATES)
        self.scale, self.digits = (100, 2) if self.share else (1, 4)
        self.name, self.points = (" (%)", " points") if self.share else ("", "")

    def plain(self, value: float) -> str:
        """Formats a value."""
        return f"{self.scale * value:{self._format(value)}}"

    def signed(self, value: float) -> str:
        """Formats a difference, with its sign."""
        shown = f"{self.scale * value:+{self._format(value)}}"
        return shown if float(shown) else shown.replace("-", "+")  # never -0.00

    def _format(self, value: float) -> str:
        """Metrics with another unit can have any magnitude."""
        odd = not self.share and value != 0 and not 5e-4 <= abs(value) < 1e6
        return ".3g" if odd else f".{self.digits}f"


def as_html(comparison: Compared) -> str:
    """Returns what a notebook shows of a comparison.

    Args:
        comparison: The comparison.
    """
    parts = list(comparison.notes)
    for group in comparison.tables:
        parts += [group.title, html_table(*_columns(comparison, group, timed=True)), *below(comparison, group)]
    if comparison.interaction is not None:
        parts.append(interaction_text(comparison.interaction, comparison.alpha))
    return html_output(*parts)


def _table(comparison: Compared, group: Table, markdown: bool, width: int | None, timed: bool) -> str:
    names, cells = _columns(comparison, group, timed)
    if markdown:
        return markdown_table(names, cells)
    return text_table(names, cells, width=width, wrap=("network", "runs", "verdict", "hardware"))


def _columns(comparison: Compared, group: Table, timed: bool) -> tuple[list[str], list[list[object]]]:
    """Returns the header and the cells of a table, without columns that nothing is known of."""
    unit = Unit(comparison.metric)
    split = "validation" if comparison.split == "val" else comparison.split
    minus = f"minus {group.reference or 'reference'} [{100 * (1 - comparison.alpha):.10g} %]"
    header = ["network", "runs", f"{split} {comparison.metric}{unit.name}", minus, "verdict"]
    header += ["sd / test-set sd", "parameters", "MFLOPs", "training (s)", "images/s", "hardware"]
    rows = [_cells(row, group, comparison, unit) for row in group.rows]
    shown = [column for column, name in enumerate(header) if timed or name not in _TIMED]
    known = [column for column in shown if any(row[column] is not None for row in rows)]
    return [header[i] for i in known], [[row[i] for i in known] for row in rows]


def _cells(row: Row, group: Table, comparison: Compared, unit: Unit) -> list[object]:
    count = f"{len(row.runs)} + {len(row.unfinished)} without a result" if row.unfinished else str(len(row.runs))
    spread = f" ± {unit.plain(row.deviation)}" if row.deviation is not None else ""
    value = "-" if row.mean is None else f"{unit.plain(row.mean)}{spread}"
    difference = "" if row.difference is None else unit.signed(row.difference)
    if row.low is not None and row.high is not None:
        difference += f" [{unit.signed(row.low)}, {unit.signed(row.high)}]"
    return [
        row.label,
        count,
        value,
        difference,
        verdict(row, group, comparison),
        share_of_images(row),
        row.parameters,
        None if row.flops is None else round(row.flops / 1e6, 1),
        None if row.training_seconds is None else round(row.training_seconds),
        None if row.images_per_second is None else round(row.images_per_second),
        " / ".join(row.hardware) or None,
    ]


def share_of_images(row: Row) -> float | None:
    """Returns the spread of the runs relative to the spread expected from the finite test set alone; None if unknown.

    Args:
        row: The row of a table.
    """
    if not row.deviation or not row.image_deviation:
        return None
    return round(row.deviation / row.image_deviation, 1)


def verdict(row: Row, group: Table, comparison: Compared) -> str:
    """Words the verdict of a row."""
    unit = Unit(comparison.metric)
    if row.verdict == "none":
        return row.reason
    margin = f"±{unit.plain(comparison.margin)}{unit.points}" if comparison.margin is not None else ""
    if row.verdict == "equivalent":
        return f"equivalent within {margin}"
    if row.verdict == "unresolved":
        if group.folds:
            return "unresolved by these folds"
        wanted = f"about {_count(row.more, 'more seed')}" if row.more else f"over {MOST:,} more seeds"
        return f"unresolved: {wanted}"
    assert row.low is not None
    assert row.high is not None
    least = min(abs(row.low), abs(row.high))
    small = f", yet within {margin}" if row.within_margin else ""
    if not float(unit.plain(least)):
        return f"{row.verdict}, perhaps by less than {10**-unit.digits:g}{unit.points}{small}"
    return f"{row.verdict} by at least {unit.plain(least)}{unit.points}{small}"


def below(comparison: Compared, group: Table) -> Iterator[str]:
    """Yields the explanations printed below a table.

    Args:
        comparison: The comparison.
        group: The table.
    """
    unit = Unit(comparison.metric)
    yield from group.notes
    if len(group.rows) < 2:
        yield "only one network: nothing to compare it with"
    elif group.reference is None:
        yield "the reference was not trained by this recipe, so these rows have no verdict"
    elif group.method and group.residual is not None:
        yield (
            f"intervals hold for all rows at once ({group.method}); standard deviation of one run "
            f"{unit.plain(group.residual)}, {group.df} degree{'' if group.df == 1 else 's'} of freedom"
        )
    if any(row.verdict == "unresolved" for row in group.rows):
        yield "unresolved means that these runs cannot decide, not that there is no difference"
    if any(share_of_images(row) for row in group.rows):
        yield "sd / test-set sd: near 1, the finite test set explains the spread of the runs; far above 1, train longer"
    if comparison.split == "val":
        yield "validation figures are optimistic for every row alike, because they also chose the epoch"


def interaction_text(p: float, alpha: float) -> str:
    """Words the result of the test for an interaction of network and recipe."""
    if p < alpha:
        return f"the differences depend on the recipe (interaction, p = {p:.2g}): a verdict holds for its recipe only"
    return (
        f"no sign that the differences depend on the recipe (interaction, p = {p:.2g}), which does not show that they "
        "do not"
    )
