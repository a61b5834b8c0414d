"""The table of all maps that a forward gave, which prints and shows itself."""

from cv_attention.figures import map_image
from cv_attention.maps.heatmap import to_heatmap
from cv_attention.maps.recorded import RecordedMap, by_sizes, span_of
from cv_attention.suggest import suggest
from cv_attention.tables import Markup, html_output, html_table, text_table

_HEADER = ("map", "kind", "shape", "range", "")
_MOST = 120  # maps that a notebook shows


class Maps(dict[str, RecordedMap]):
    """Maps the name of each map's module to its `RecordedMap`; prints as a table. `record` returns it.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> block = cva.blocks.CBAMSpatial(8)
        >>> with cva.record(block) as maps:
        ...     y = block(torch.randn(2, 8, 7, 7))
        >>> maps
        map  kind     shape    range
        map  spatial  2x1x7x7  0.5..0.5
        >>> maps["map"].kind
        'spatial'
    """

    def __missing__(self, name: str) -> RecordedMap:
        raise KeyError(f"no map is called {name!r}{suggest(name, self)}")

    def __repr__(self) -> str:
        return text_table(_HEADER, self._rows(), left=5) if self else "no map yet"

    def _repr_html_(self) -> str:
        rows = [(*row, _picture(name, found)) for row, (name, found) in zip(self._rows(), self.items(), strict=True)]
        if not rows:
            return html_output("no map yet")
        more = f"{len(rows) - _MOST} more maps" if len(rows) > _MOST else ""
        return html_output(html_table((*_HEADER, "first image"), rows[:_MOST], left=5), more)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = []
        for name, found in self.items():
            notes = [f"prefix {found.prefix}"] if found.prefix else []
            notes += [f"windows on {by_sizes(found.windows.grid)}"] if found.windows else []
            shape, span = by_sizes(found.values.shape), span_of(found.values)
            rows.append((name or "(root)", found.kind, shape, span, ", ".join(notes)))
        return rows


def _picture(name: str, found: RecordedMap) -> Markup | str:
    """Draws the first image's map; gates of channels and weights of keys as a strip."""
    if found.values.numel() == 0 or found.values.is_meta or found.kind == "places":
        return ""
    if found.kind == "channel":
        heat = found.values[0].flatten()[None]
    elif found.kind == "alignment":
        heat = found.values[0].mean(0)
    else:
        heat = to_heatmap(found)[0, 0]
    return Markup(map_image(heat.detach().float().cpu().numpy(), name))
