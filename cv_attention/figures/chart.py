"""Defines charts for papers: lines over an axis, and matrices of counts."""

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cv_attention.drawing import COLOURS, printable
from cv_attention.extras import MissingPackage
from cv_attention.figures.paper import Format, written
from cv_attention.figures.saving import Saved

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b0589a", "#a67c00", "#3f9bd1", "#6b7280", "#7a4fbf")
"""Colours of lines, those of the report's page, which colour-blind readers tell apart."""

_DASHES: dict[int, Any] = {0: "-", 1: (0, (5, 3)), 2: (0, (1, 2)), 3: (0, (8, 2, 1.5, 2))}
_TALL, _LEGEND = 1.75, 0.16  # inches: of a plot, of a line of its legend
_MOST_COUNTED = 20  # classes whose counts and names fit
_LIGHT = 0.45  # relative luminance above which dark numbers are easier to read


@dataclass(frozen=True)
class Line:
    """One line of a plot.

    Attributes:
        label: Its name in the legend.
        x: Where its points lie (n).
        y: Their values (n).
        colour: Number of a colour in `PALETTE`, which begins again after its end.
        dash: 0 for a solid line, 1 to 3 for others.
        band: Lower and upper ends of a band (n) each; None draws none.
        dots: Whether the points are drawn alone, without a line.
        legend: Whether the legend names it.

    Examples:
        >>> from cv_attention.figures import Line
        >>> Line("val_loss", [1, 2, 3], [0.9, 0.5, 0.4]).dash
        0
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    dash: int = 0
    band: tuple[Sequence[float], Sequence[float]] | None = None
    dots: bool = False
    legend: bool = True


@dataclass(frozen=True)
class Plot:
    """Lines over a common axis.

    Attributes:
        title: Written above.
        x: Words at the lower axis.
        lines: The lines.
        log: Whether the upright axis is logarithmic.
        percent: Whether values are shares, shown in percent.
        percent_x: The same of the lower axis.
        ends_x: Values at both ends of the lower axis; None takes those of the lines with some room.
        ends_y: The same of the upright axis.

    Examples:
        >>> from cv_attention.figures import Line, Plot
        >>> Plot("Loss", "epochs trained", [Line("val_loss", [1, 2, 3], [0.9, 0.5, 0.4])]).log
        False
    """

    title: str
    x: str
    lines: Sequence[Line]
    log: bool = False
    percent: bool = False
    percent_x: bool = False
    ends_x: tuple[float, float] | None = None
    ends_y: tuple[float, float] | None = None


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: rows are true classes, columns predicted ones.

    Attributes:
        title: Written above.
        counts: Images (classes, classes).
        names: Name of each class; may be empty.
        errors: Whether right predictions are left out.
        colours: Table of the shares.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.figures import Matrix
        >>> Matrix("Test split", np.array([[8, 2], [1, 9]]), ["ant", "bee"]).shares().round(1).tolist()
        [[0.8, 0.2], [0.1, 0.9]]
    """

    title: str
    counts: NDArray[np.integer]
    names: Sequence[str] = ()
    errors: bool = False
    colours: Literal["viridis", "cividis", "inferno", "magma", "grey"] = "viridis"

    def shares(self) -> NDArray[np.float64]:
        """Returns the share of each true class that was predicted as each class, NaN where it is left out."""
        sums = self.counts.sum(1, keepdims=True)
        shares = self.counts / np.maximum(sums, 1)
        if self.errors:
            np.fill_diagonal(shares, np.nan)
        return shares

    def most(self) -> float:
        """Returns the share that gets the last colour: one, or that of the most frequent error if errors are alone."""
        return (float(np.nanmax(self.shares(), initial=0.0)) or 1.0) if self.errors else 1.0

    def pixels(self) -> NDArray[np.uint8]:
        """Returns the colour of each cell (classes, classes, 3); white where it is left out."""
        shares, table = self.shares(), COLOURS[self.colours]
        places = np.floor(255 * np.clip(np.nan_to_num(shares) / self.most(), 0, 1) + 0.5).astype(int)
        return np.where(np.isnan(shares)[..., None], 255, table[places]).astype(np.uint8)


@dataclass(frozen=True)
class Chart(Saved):
    """Holds plots and matrices; a notebook shows it, `save` writes it as SVG, PDF, PNG or WebP.

    Attributes:
        parts: What is drawn, two in a row.
        caption: What is written below, such as where the values come from.

    Examples:
        >>> from cv_attention.figures import Chart, Line, Plot
        >>> chart = Chart([Plot("Loss", "epochs trained", [Line("val_loss", [1, 2, 3], [0.9, 0.5, 0.4])])], "my run")
        >>> chart.save("loss.pdf", width=3.4).name
        'loss.pdf'
    """

    parts: Sequence[Plot | Matrix]
    caption: str = ""

    def rendered(self, kind: Format, *, width: float = 7.0, dpi: int = 300) -> bytes:
        """Returns the content of the file that `save` writes.

        Args:
            kind: ``svg``, ``pdf``, ``png`` or ``webp``.
            width: Inches.
            dpi: Pixels per inch of PNG and WebP.
        """
        return written(lambda: _figure(self, width), kind, width=width, dpi=dpi)

    def _repr_html_(self) -> str:
        try:
            picture = b64encode(self.rendered("png", width=7.0, dpi=110)).decode()
        except MissingPackage as error:
            return f"<p>{html.escape(str(error))}</p>"
        alt = html.escape(", ".join(part.title for part in self.parts), quote=True)
        return f'<img alt="{alt}" style="max-width:100%;background:#fff" src="data:image/png;base64,{picture}">'


def _figure(chart: Chart, width: float) -> "Figure":
    from matplotlib.figure import Figure

    columns = min(len(chart.parts), 2 if width >= 5 else 1)
    rows = -(-len(chart.parts) // columns)
    talls = [
        max(_height(part, width / columns) for part in chart.parts[row * columns : (row + 1) * columns])
        for row in range(rows)
    ]
    figure = Figure(figsize=(width, sum(talls)), layout="constrained")
    grid = figure.add_gridspec(rows, columns, height_ratios=talls)
    for number, part in enumerate(chart.parts):
        axes = figure.add_subplot(grid[divmod(number, columns)])
        axes.set_title(printable(part.title), loc="left", fontsize="medium", fontweight="bold", parse_math=False)
        (_draw_lines if isinstance(part, Plot) else _draw_matrix)(axes, part)  # pyright: ignore[reportArgumentType]
    if chart.caption:
        figure.supxlabel(printable(chart.caption), fontsize="medium", ha="left", x=0.01, wrap=True, parse_math=False)
    return figure


def _height(part: Plot | Matrix, width: float) -> float:
    """Returns inches for a part of this width, with its title, its words and a line for each name in the legend."""
    if isinstance(part, Matrix):
        return width
    return _TALL + _LEGEND * (2 + sum(line.legend for line in part.lines))


def _draw_lines(axes: "Axes", plot: Plot) -> None:
    for line in plot.lines:
        colour = PALETTE[line.colour % len(PALETTE)]
        label = printable(line.label) if line.legend else "_"
        if line.band is not None:
            axes.fill_between(line.x, *line.band, color=colour, alpha=0.2, linewidth=0)
        how = {"linestyle": "none", "marker": ".", "markersize": 3} if line.dots else {"linestyle": _DASHES[line.dash]}
        axes.plot(line.x, line.y, color=colour, linewidth=1.2, label=label, **how)
    if plot.log:
        axes.set_yscale("log")
    if plot.ends_x is not None:
        axes.set_xlim(plot.ends_x)
    if plot.ends_y is not None:
        axes.set_ylim(plot.ends_y)
    axes.set_xlabel(plot.x, fontsize="medium")
    for axis, percent in ((axes.xaxis, plot.percent_x), (axes.yaxis, plot.percent)):
        if percent:
            from matplotlib.ticker import PercentFormatter

            axis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    axes.grid(color="#d5d9e0", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if any(line.legend for line in plot.lines):
        legend = axes.legend(loc="upper left", bbox_to_anchor=(0, -0.25), fontsize="medium", frameon=False, borderpad=0)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _draw_matrix(axes: "Axes", matrix: Matrix) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    pixels, count = matrix.pixels(), len(matrix.counts)
    axes.imshow(pixels, interpolation="none")
    mappable = ScalarMappable(Normalize(0, 100 * matrix.most()), ListedColormap(COLOURS[matrix.colours] / 255.0))
    bar = axes.figure.colorbar(mappable, ax=axes, shrink=0.7, label="% of the true class")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    axes.set_xlabel("predicted class", fontsize="medium")
    axes.set_ylabel("true class", fontsize="medium")
    axes.tick_params(length=0)
    if count > _MOST_COUNTED:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    names = [printable(name) for name in matrix.names] or [str(number) for number in range(count)]
    turned = any(len(name) > 3 for name in names)
    axes.set_xticks(range(count), names, rotation=90 if turned else 0, parse_math=False)
    axes.set_yticks(range(count), names, parse_math=False)
    for (row, column), number in np.ndenumerate(matrix.counts):
        if number:
            light = (pixels[row, column] / 255) ** 2.2 @ (0.2126, 0.7152, 0.0722) > _LIGHT
            axes.text(column, row, str(number), ha="center", va="center", color="black" if light else "white")
