"""Draws a study's charts as plain SVG with real text: a forest of differences, and cost against accuracy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from cv_attention.comparison import Row
from cv_attention.comparison.text import Unit
from cv_attention.study.design.arms import is_cost
from cv_attention.study.reporting import svg
from cv_attention.study.reporting.results import Part, Results

# Colour-blind safe, and each verdict has its own shape, too.
_COLOURS = {
    "better": "#00684a",
    "worse": "#a1260d",
    "equivalent": "#0b5cad",
    "unresolved": "#59636e",
    "none": "#59636e",
}
_Axis = Callable[[float], float]  # from values to pixels
_ROW, _RIGHT, _PLOT = 26, 150, 420  # height of a row, room for verdicts, width of the plot
_LETTER = 7.4  # width of a wide letter at 13 pixels


def forest(results: Results) -> str:
    """Draws the difference of every arm to the reference, with its simultaneous interval.

    Args:
        results: Results of a study.

    Returns:
        The SVG.
    """
    unit, several = Unit(results.metric), len(results.parts) > 1
    rows = [(part, row) for part in results.parts for row in _rows(part)]
    left = max([120.0, *(_LETTER * len(row.label) + 28 for _, row in rows)])
    ends = [unit.scale * end for _, row in rows for end in (row.low, row.high, row.difference) if end is not None]
    margin = _margin(results)
    ends += [0.0, *([-margin, margin] if margin else [])]
    low, high = svg.padded(min(ends), max(ends))
    top, bottom = 66, 72 + _ROW * (len(rows) + several * len(results.parts))

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * _PLOT

    body = _heading(results, f"{_split(results)} {results.metric}: difference to {_reference(results)}")
    if margin:
        place = f'x="{x(-margin):.1f}" y="{top}" width="{x(margin) - x(-margin):.1f}" height="{bottom - top}"'
        body.append(f'<rect {place} fill="{svg.BAND}"/>')
    body += _vertical(x, svg.ticks(low, high), top, bottom, "{:+.6g}")
    body.append(svg.line(x(0), top, x(0), bottom, svg.INK))
    words = _axis(results, unit, margin)
    body.append(svg.text(x((low + high) / 2), bottom + 36, words, anchor="middle", colour=svg.SOFT))
    y, last = top + _ROW / 2, None
    for part, row in rows:
        if several and part is not last:
            body.append(svg.text(16, y + 4, part.recipe, bold=True))
            y, last = y + _ROW, part
        body += _interval(row, x, y, unit, left)
        y += _ROW
    title = "Forest plot of differences with simultaneous intervals"
    return svg.document(round(left + _PLOT + _RIGHT), bottom + 52, body, title)


def front(results: Results, costs: Mapping[str, float], measured: str) -> str:
    """Draws each network's difference over its cost, with its interval, and the front of those that no other one beats.

    Controls are left out, since nobody would use them, but for networks that are matched in cost.

    Args:
        results: Results of a study; of several recipes, the first is drawn.
        costs: Arm -> its cost relative to the reference.
        measured: What the costs are.

    Returns:
        The SVG.
    """
    unit, points = Unit(results.metric), list(_costed(results, costs))
    ends = [unit.scale * end for _, _, row in points for end in (row.low, row.high) if end is not None]
    ends += [0.0, *(gain for _, gain, _ in points)]
    (low, high), costs_of = svg.padded(min(ends), max(ends)), [1.0, *(cost for cost, _, _ in points)]
    left, right = svg.padded(min(costs_of), max(costs_of))
    top, bottom, edge = 62, 360, 70 + 570

    def x(value: float) -> float:
        return 70 + (value - left) / (right - left) * (edge - 70)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    recipe = f", {results.parts[0].recipe}" if len(results.parts) > 1 else ""
    body = _heading(results, f"{_split(results)} {results.metric} over cost, minus {_reference(results)}{recipe}")
    for tick in svg.ticks(low, high):
        body.append(svg.line(70, y(tick), edge, y(tick), svg.INK if tick == 0 else svg.GRID))
        body.append(svg.text(62, y(tick) + 4, f"{tick:+.6g}" if tick else "0", anchor="end", colour=svg.SOFT))
    body += _vertical(x, svg.ticks(left, right), top, bottom, "{:.6g}×")
    body.append(svg.text((70 + edge) / 2, bottom + 38, measured, anchor="middle", colour=svg.SOFT))
    body.append(_staircase(points, x, y, results))
    body += _points(points, x, y, unit)
    room = max([60.0, *(_LETTER * len(row.label) + 20 for _, _, row in points)])
    title = "Difference to the reference over cost, with simultaneous intervals"
    return svg.document(round(edge + room), bottom + 60, body, title)


def _costed(results: Results, costs: Mapping[str, float]) -> Iterator[tuple[float, float, Row]]:
    """Yields cost, difference and row of what the front shows."""
    scale = Unit(results.metric).scale
    for part in results.parts[:1]:
        for row in _rows(part, reference=True):
            known = row.difference is not None or row.reason == "the reference"
            if row.label in costs and known and is_cost(row.label):
                yield costs[row.label], scale * (row.difference or 0.0), row


def _heading(results: Results, title: str) -> list[str]:
    return [svg.text(16, 24, title, size=15, bold=True), svg.text(16, 44, _intervals(results), colour=svg.SOFT)]


def _vertical(x: _Axis, ticks: Sequence[float], top: float, bottom: float, form: str) -> Iterator[str]:
    for tick in ticks:
        yield svg.line(x(tick), top, x(tick), bottom, svg.GRID)
        yield svg.text(x(tick), bottom + 16, form.format(tick) if tick else "0", anchor="middle", colour=svg.SOFT)


def _staircase(points: Sequence[tuple[float, float, Row]], x: _Axis, y: _Axis, results: Results) -> str:
    """Draws the front as steps."""
    main = results.parts[0].main if results.parts else None
    sign = 1 if main is None or main.higher_is_better else -1
    kept = _front([(cost, sign * gain) for cost, gain, _ in points])
    steps = [(x(cost), y(sign * gain)) for cost, gain in kept]
    corners = [corner for (_, b), (c, d) in pairwise(steps) for corner in ((c, b), (c, d))]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*steps[:1], *corners])
    return f'<polyline points="{path}" fill="none" stroke="{svg.SOFT}" stroke-dasharray="4 3"/>'


def _points(points: Sequence[tuple[float, float, Row]], x: _Axis, y: _Axis, unit: Unit) -> Iterator[str]:
    """Yields the marks; names that would overlap move down."""
    taken: list[tuple[float, float]] = []
    for cost, gain, row in sorted(points, key=lambda point: -point[1]):
        colour = _COLOURS[row.verdict]
        if row.low is not None and row.high is not None:
            yield svg.line(x(cost), y(unit.scale * row.low), x(cost), y(unit.scale * row.high), colour, 1.5)
        yield f'<circle cx="{x(cost):.1f}" cy="{y(gain):.1f}" r="4.5" fill="{colour}"/>'
        place = y(gain) + 4
        while any(abs(place - other) < 13 and abs(x(cost) - near) < 130 for near, other in taken):
            place += 13
        taken.append((x(cost), place))
        yield svg.text(x(cost) + 9, place, row.label, halo=True)


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the points that no other one beats in both cost and gain, by cost."""
    kept: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or gain > kept[-1][1]:
            kept.append((cost, gain))
    return kept


def _interval(row: Row, x: _Axis, y: float, unit: Unit, left: float) -> Iterator[str]:
    colour = _COLOURS[row.verdict]
    yield svg.text(left - 12, y + 4, row.label, anchor="end")
    if row.difference is None:
        yield svg.text(left + 8, y + 4, row.reason or "no result", colour=svg.SOFT)
        return
    middle = x(unit.scale * row.difference)
    if row.low is not None and row.high is not None:
        a, b = x(unit.scale * row.low), x(unit.scale * row.high)
        yield svg.line(a, y, b, y, colour, 2)
        yield svg.line(a, y - 4, a, y + 4, colour, 2)
        yield svg.line(b, y - 4, b, y + 4, colour, 2)
    yield _mark(row.verdict, middle, y, colour)
    words = row.verdict if row.verdict != "none" else row.reason
    yield svg.text(left + _PLOT + 14, y + 4, f"{unit.signed(row.difference)}  {words}", colour=colour)


def _mark(verdict: str, x: float, y: float, colour: str) -> str:
    """A triangle for better, one upside down for worse, a square for equivalent, and a circle for all else."""
    if verdict in ("better", "worse"):
        s = 1 if verdict == "better" else -1
        corners = f"{x - 6:.1f},{y + 5 * s:.1f} {x + 6:.1f},{y + 5 * s:.1f} {x:.1f},{y - 6 * s:.1f}"
        return f'<polygon points="{corners}" fill="{colour}"/>'
    if verdict == "equivalent":
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" fill="{colour}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#fff" stroke="{colour}" stroke-width="2"/>'


def _rows(part: Part, *, reference: bool = False) -> list[Row]:
    rows = [row for table in (part.main.tables if part.main else ()) for row in table.rows]
    return [row for row in rows if reference or row.reason != "the reference"]


def _reference(results: Results) -> str:
    main = next((part.main for part in results.parts if part.main), None)
    return (main.tables[0].reference if main else None) or "the reference"


def _margin(results: Results) -> float | None:
    main = next((part.main for part in results.parts if part.main), None)
    return None if main is None or main.margin is None else main.margin * results.unit


def _split(results: Results) -> str:
    return "Validation" if results.sealed else "Test"


def _intervals(results: Results) -> str:
    main = next((part.main for part in results.parts if part.main), None)
    sealed = f"; test results are sealed: {results.blocks} of {results.planned} blocks are complete"
    if results.screen:
        sealed = "; a screen, judged on the validation split"
    elif not results.sealed:
        sealed = ""
    return f"{100 * (1 - (main.alpha if main else 0.05)):.10g} % intervals that hold for all rows at once{sealed}"


def _axis(results: Results, unit: Unit, margin: float | None) -> str:
    band = f"; shaded: the margin, ±{margin:g}" if margin else ""
    return f"{'points' if unit.share else results.metric}{band}"
