"""Draws a study's charts as plain SVG with real text: a forest of differences, and cost against accuracy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from cv_attention.comparison import Row
from cv_attention.comparison.text import Unit
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
_ROW, _LEFT, _RIGHT, _WIDTH = 26, 190, 150, 760


def forest(results: Results) -> str:
    """Draws the difference of every arm to the reference, with its simultaneous interval.

    Args:
        results: Results of a study.

    Returns:
        The SVG.
    """
    unit = Unit(results.metric)
    rows = [(part, row) for part in results.parts for row in _rows(part)]
    ends = [unit.scale * end for _, row in rows for end in (row.low, row.high, row.difference) if end is not None]
    margin = _margin(results)
    ends += [0.0, *([-margin, margin] if margin else [])]
    low, high = svg.padded(min(ends), max(ends))
    top, height = 66, 66 + _ROW * (len(rows) + sum(len(results.parts) > 1 for _ in results.parts)) + 58

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    bottom = height - 52
    body = [
        svg.text(16, 24, f"{_split(results)} {results.metric}: difference to {_reference(results)}", size=15, bold=True)
    ]
    body.append(svg.text(16, 44, _intervals(results), colour=svg.SOFT))
    if margin:
        place = f'x="{x(-margin):.1f}" y="{top}" width="{x(margin) - x(-margin):.1f}" height="{bottom - top}"'
        body.append(f'<rect {place} fill="{svg.BAND}"/>')
    for tick in svg.ticks(low, high):
        body.append(svg.line(x(tick), top, x(tick), bottom, svg.GRID))
        body.append(svg.text(x(tick), bottom + 16, f"{tick:+.6g}" if tick else "0", anchor="middle", colour=svg.SOFT))
    body.append(svg.line(x(0), top, x(0), bottom, svg.INK))
    body.append(
        svg.text(x((low + high) / 2), bottom + 36, _axis(results, unit, margin), anchor="middle", colour=svg.SOFT)
    )
    y, last = top + _ROW / 2, None
    for part, row in rows:
        if len(results.parts) > 1 and part is not last:
            body.append(svg.text(16, y + 4, part.recipe, bold=True))
            y, last = y + _ROW, part
        body += _interval(row, x, y, unit)
        y += _ROW
    return svg.document(_WIDTH, height, body, "Forest plot of differences with simultaneous intervals")


def front(results: Results, costs: Mapping[str, float], measured: str) -> str:
    """Draws each arm's difference over its cost, with its interval, and the front of arms that no other one beats.

    Args:
        results: Results of a study.
        costs: Arm -> its cost relative to the reference.
        measured: What the costs are.

    Returns:
        The SVG.
    """
    unit = Unit(results.metric)
    points = [
        (costs[row.label], unit.scale * (row.difference or 0.0), row)
        for part in results.parts[:1]
        for row in _rows(part, reference=True)
        if row.label in costs and (row.difference is not None or row.reason == "the reference")
    ]
    ends = [unit.scale * end for _, _, row in points for end in (row.low, row.high) if end is not None]
    low, high = svg.padded(min([0.0, *ends, *(p[1] for p in points)]), max([0.0, *ends, *(p[1] for p in points)]))
    left, right = svg.padded(min([1.0, *(p[0] for p in points)]), max([1.0, *(p[0] for p in points)]))
    top, bottom, height = 62, 360, 420

    def x(value: float) -> float:
        return 70 + (value - left) / (right - left) * (_WIDTH - 190)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    title = f"{_split(results)} {results.metric} over cost, minus {_reference(results)}"
    body = [svg.text(16, 24, title, size=15, bold=True), svg.text(16, 44, _intervals(results), colour=svg.SOFT)]
    for tick in svg.ticks(low, high):
        body.append(svg.line(70, y(tick), _WIDTH - 120, y(tick), svg.INK if tick == 0 else svg.GRID))
        body.append(svg.text(62, y(tick) + 4, f"{tick:+.6g}" if tick else "0", anchor="end", colour=svg.SOFT))
    for tick in svg.ticks(left, right):
        body.append(svg.line(x(tick), top, x(tick), bottom, svg.GRID))
        body.append(svg.text(x(tick), bottom + 16, f"{tick:.6g}×", anchor="middle", colour=svg.SOFT))
    body.append(svg.text((_WIDTH - 50) / 2, bottom + 38, measured, anchor="middle", colour=svg.SOFT))
    steps = [(x(cost), y(gain)) for cost, gain in _front([(cost, gain) for cost, gain, _ in points])]
    corners = [corner for (_, b), (c, d) in pairwise(steps) for corner in ((c, b), (c, d))]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*steps[:1], *corners])
    body.append(f'<polyline points="{path}" fill="none" stroke="{svg.SOFT}" stroke-dasharray="4 3"/>')
    body += _points(points, x, y, unit)
    return svg.document(_WIDTH, height, body, "Difference to the reference over cost, with simultaneous intervals")


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
        yield svg.text(x(cost) + 9, place, row.label)


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the points that no other one beats in both cost and gain, by cost."""
    kept: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or gain > kept[-1][1]:
            kept.append((cost, gain))
    return kept


def _interval(row: Row, x: _Axis, y: float, unit: Unit) -> Iterator[str]:
    colour = _COLOURS[row.verdict]
    yield svg.text(_LEFT - 12, y + 4, row.label, anchor="end")
    if row.difference is None:
        yield svg.text(_LEFT + 8, y + 4, row.reason or "no result", colour=svg.SOFT)
        return
    middle = x(unit.scale * row.difference)
    if row.low is not None and row.high is not None:
        a, b = x(unit.scale * row.low), x(unit.scale * row.high)
        yield svg.line(a, y, b, y, colour, 2)
        yield svg.line(a, y - 4, a, y + 4, colour, 2)
        yield svg.line(b, y - 4, b, y + 4, colour, 2)
    yield _mark(row.verdict, middle, y, colour)
    words = row.verdict if row.verdict != "none" else row.reason
    yield svg.text(_WIDTH - _RIGHT + 14, y + 4, f"{unit.signed(row.difference)}  {words}", colour=colour)


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
    sealed = (
        f"; test results are sealed: {results.blocks} of {results.planned} blocks are complete"
        if results.sealed
        else ""
    )
    return f"{100 * (1 - (main.alpha if main else 0.05)):.10g} % intervals that hold for all rows at once{sealed}"


def _axis(results: Results, unit: Unit, margin: float | None) -> str:
    band = f"; shaded: the margin, ±{margin:g}" if margin else ""
    return f"{'points' if unit.share else results.metric}{band}"
