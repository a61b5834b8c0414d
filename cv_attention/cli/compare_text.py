"""Formats the output of ``cv-attention compare``: tables, verdicts and cautions."""

from collections.abc import Iterator

from cv_attention.comparison import Comparison, Row, Table
from cv_attention.comparison.runs import SHARES
from cv_attention.statistics.planning import MOST
from cv_attention.tables import markdown_table, text_table


def text(found: Comparison, *, markdown: bool = False, width: int | None = None) -> str:
    """Returns everything that the command prints, for a terminal of `width` columns or for a pipe."""
    parts = [*map(_line, found.notes)]
    for one in found.tables:
        title = [_line(one.title), ""] if one.title else []
        parts += ["", *title, _table(found, one, markdown, width), "", *map(_line, _below(found, one))]
    if found.interaction is not None:
        parts += ["", _interaction(found.interaction, found.alpha)]
    return "\n".join(parts).strip("\n")


def _line(text: str) -> str:
    """Keeps names with odd characters in one line."""
    return "".join(one if one.isprintable() else " " for one in text)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class _Unit:
    """How figures of a metric are written: accuracies in percent, other metrics as they are."""

    def __init__(self, metric: str) -> None:
        self.share = metric in SHARES
        self.scale, self.digits = (100, 2) if self.share else (1, 4)
        self.name, self.points = (" (%)", " points") if self.share else ("", "")

    def plain(self, value: float) -> str:
        return f"{self.scale * value:{self._format(value)}}"

    def signed(self, value: float) -> str:
        shown = f"{self.scale * value:+{self._format(value)}}"
        return shown if float(shown) else shown.replace("-", "+")  # never -0.00

    def _format(self, value: float) -> str:
        """A metric in a unit of its own can be of any size."""
        odd = not self.share and value != 0 and not 5e-4 <= abs(value) < 1e6
        return ".3g" if odd else f".{self.digits}f"


def _table(found: Comparison, one: Table, markdown: bool, width: int | None) -> str:
    unit = _Unit(found.metric)
    split = "validation" if found.split == "val" else found.split
    minus = f"minus {one.reference or 'reference'} [{100 * (1 - found.alpha):.10g} %]"
    header = ["network", "runs", f"{split} {found.metric}{unit.name}", minus, "verdict"]
    header += ["sd / test-set sd", "parameters", "MFLOPs", "training (s)", "images/s", "hardware"]
    rows = [_cells(row, one, found, unit) for row in one.rows]
    known = [column for column in range(len(header)) if any(row[column] is not None for row in rows)]
    names, cells = [header[i] for i in known], [[row[i] for i in known] for row in rows]
    if markdown:
        return markdown_table(names, cells)
    return text_table(names, cells, width=width, wrap=("network", "runs", "verdict", "hardware"))


def _cells(row: Row, one: Table, found: Comparison, unit: _Unit) -> list[object]:
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
        verdict(row, one, found),
        _share_of_images(row),
        row.parameters,
        None if row.flops is None else round(row.flops / 1e6, 1),
        None if row.training_seconds is None else round(row.training_seconds),
        None if row.images_per_second is None else round(row.images_per_second),
        " / ".join(row.hardware) or None,
    ]


def _share_of_images(row: Row) -> float | None:
    """The spread of the runs, in units of what the finite test set alone makes of it."""
    if not row.deviation or not row.image_deviation:
        return None
    return round(row.deviation / row.image_deviation, 1)


def verdict(row: Row, one: Table, found: Comparison) -> str:
    """Says a row's verdict in words."""
    unit = _Unit(found.metric)
    if row.verdict == "none":
        return row.reason
    margin = f"±{unit.plain(found.margin)}{unit.points}" if found.margin is not None else ""
    if row.verdict == "equivalent":
        return f"equivalent within {margin}"
    if row.verdict == "unresolved":
        if one.folds:
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


def _below(found: Comparison, one: Table) -> Iterator[str]:
    """What the table says, and what it does not."""
    unit = _Unit(found.metric)
    yield from one.notes
    if len(one.rows) < 2:
        yield "one network alone: nothing to compare it with"
    elif one.reference is None:
        yield "the reference was not trained by this recipe, so these rows have no verdict"
    elif one.method and one.residual is not None:
        yield (
            f"intervals hold for all rows at once ({one.method}); standard deviation of one run "
            f"{unit.plain(one.residual)}, {one.df} degree{'' if one.df == 1 else 's'} of freedom"
        )
    if any(row.verdict == "unresolved" for row in one.rows):
        yield "unresolved means that these runs cannot tell, not that there is no difference"
    if any(_share_of_images(row) for row in one.rows):
        yield "sd / test-set sd: near 1, the finite test set explains the spread of the runs; far above 1, train longer"
    if found.split == "val":
        yield "validation figures of an epoch that was chosen by them are too high, for every row alike"


def _interaction(p: float, alpha: float) -> str:
    if p < alpha:
        return f"the differences depend on the recipe (interaction, p = {p:.2g}): a verdict holds for its recipe only"
    return (
        f"no sign that the differences depend on the recipe (interaction, p = {p:.2g}), which does not show that they "
        "do not"
    )
