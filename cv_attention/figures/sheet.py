"""Defines a sheet: images as rows, maps as columns, with one scale for each map, each column or all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cv_attention.drawing import Limits, as_heat, as_pixels, limits_of, overlay, table_for
from cv_attention.rundir.files import write_bytes

Scale = Literal["image", "column", "all"]
"""Which maps share a colour bar: none, those of a column, or those of all columns that are alike in sign."""
Format = Literal["svg", "pdf", "png", "webp"]


@dataclass(frozen=True)
class Sheet:
    """Holds a figure of images and their maps; a notebook shows it, `save` writes it.

    Attributes:
        images: One for each row: (H, W, 3) uint8 RGB or a picture of Pillow's, of any sizes.
        maps: Title of a column -> one raw map (h, w) for each image; None where there is none.
        labels: What is written next to each row; may be empty.
        caption: What is written below, such as where the maps come from.
        scale: ``image`` gives each map its own scale, ``column`` one to each column, ``all`` one to all columns; those
            with negative values have one of their own.
        opacity: Share of the maps over their images.
        signed: Whether zero is in the middle of a column's scale; None where one of its maps has a negative value.
        colours: Table of unsigned columns; None takes ``inferno``. Signed ones are ``blue-red``.
        clip: Share of the values within a scale, in percent.
        low: Value that gets the lowest colour, in all columns; None takes it from the maps.
        high: Value that gets the highest colour.
        with_images: Whether the images alone are the first column.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.figures import Sheet
        >>> photograph = np.full((64, 64, 3), 128, np.uint8)
        >>> sheet = Sheet([photograph], {"Grad-CAM": [np.eye(4)]}, labels=["dog"])
        >>> sheet.limits(0, "Grad-CAM")
        Limits(low=0.0, high=1.0, signed=False)
        >>> sheet.save("figure.svg")  # or .pdf, .png, .webp
        PosixPath('figure.svg')
    """

    images: Sequence[NDArray[np.uint8]]
    maps: Mapping[str, Sequence[NDArray[np.float32] | None]]
    labels: Sequence[str] = ()
    caption: str = ""
    scale: Scale = "image"
    opacity: float = 0.5
    signed: bool | None = None
    colours: str | None = None
    clip: float = 100
    low: float | None = None
    high: float | None = None
    with_images: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("a figure needs at least one image, got none")
        if self.scale not in get_args(Scale):
            raise ValueError(f"scale must be one of {', '.join(get_args(Scale))}, got {self.scale!r}")
        if self.labels and len(self.labels) != len(self.images):
            raise ValueError(f"there must be a label for each of {len(self.images)} images, got {len(self.labels)}")
        for title, heats in self.maps.items():
            if len(heats) != len(self.images):
                raise ValueError(f"maps {title!r} must be one for each of {len(self.images)} images, got {len(heats)}")
        if not self.maps and not self.with_images:
            raise ValueError("a figure needs at least one column, got none")
        table_for(False, self.colours)
        object.__setattr__(self, "images", [as_pixels(image) for image in self.images])
        maps = {
            title: [None if heat is None else as_heat(heat) for heat in heats] for title, heats in self.maps.items()
        }
        object.__setattr__(self, "maps", maps)

    def limits(self, row: int, column: str) -> Limits | None:
        """Returns the ends of the colour bar of one map, by its row and the title of its column; None without a map."""
        heat = self.maps[column][row]
        if heat is None:
            return None
        if self.scale != "image":
            return self._shared[column]
        return limits_of(heat, signed=self._signed[column], clip=self.clip, low=self.low, high=self.high)

    def table(self, column: str) -> str:
        """Returns the name of a column's colour table, by the column's title."""
        return table_for(self._signed[column], None if self._signed[column] else self.colours)

    def picture(self, row: int, column: str | None = None) -> NDArray[np.uint8]:
        """Draws one cell.

        Args:
            row: Number of the image.
            column: Title of the map; None is the image alone.

        Returns:
            (H, W, 3) uint8, at the size of the image.
        """
        return self.picture_over(self.images[row], row, column)

    def picture_over(self, image: NDArray[np.uint8], row: int, column: str | None) -> NDArray[np.uint8]:
        """Draws the map of a row and a column over another picture of its image, such as a larger one."""
        limits = None if column is None else self.limits(row, column)
        if column is None or limits is None:
            return image
        heat = self.maps[column][row]
        assert heat is not None
        ends = {"signed": limits.signed, "low": limits.low, "high": limits.high}
        return overlay(image, heat, self.opacity, colours=self.table(column), **ends)

    def bar_of(self, column: str) -> Limits | None:
        """Returns the one scale of a column, by its title; None where each map has its own."""
        present = next((row for row, heat in enumerate(self.maps[column]) if heat is not None), None)
        fixed = self.low is not None and self.high is not None
        return None if present is None or (self.scale == "image" and not fixed) else self.limits(present, column)

    def save(self, path: Path | str, *, width: float = 7.0, dpi: int = 300) -> Path:
        """Writes the figure.

        Args:
            path: A file that ends in ``.svg``, ``.pdf``, ``.png`` or ``.webp``. SVG and PDF hold real text in embedded
                fonts; the maps are pixels in all of them. Needs matplotlib: the extra ``figures``.
            width: Inches: 7 spans both columns of a paper, 3.4 one of them. Text has 8 points, whatever the width.
            dpi: Pixels per inch of PNG and WebP.

        Returns:
            The path.
        """
        path = Path(path)
        write_bytes(path, self.rendered(file_kind(path), width=width, dpi=dpi))
        return path

    def rendered(self, kind: Format, *, width: float = 7.0, dpi: int = 300) -> bytes:
        """Returns the content of the file that `save` writes.

        Args:
            kind: ``svg``, ``pdf``, ``png`` or ``webp``.
            width: Inches.
            dpi: Pixels per inch of PNG and WebP.
        """
        from cv_attention.figures.paper import render

        return render(self, kind, width=width, dpi=dpi)

    def _repr_html_(self) -> str:
        from cv_attention.figures.html import as_html

        return as_html(self)

    @cached_property
    def _signed(self) -> dict[str, bool]:
        """Whether each column's scale has zero in the middle: the same for all of its rows."""
        return {title: self._is_signed(heats) for title, heats in self.maps.items()}

    @cached_property
    def _shared(self) -> dict[str, Limits]:
        """The scale of each column, of its own maps or of those of all columns that are alike in sign."""
        shared = {}
        for column, signed in self._signed.items():
            alike = [title for title in self.maps if self._signed[title] == signed]
            titles = alike if self.scale == "all" else [column]
            present = [one for title in titles for one in self.maps[title] if one is not None]
            shared[column] = limits_of(present, signed=signed, clip=self.clip, low=self.low, high=self.high)
        return shared

    def _is_signed(self, heats: Sequence[NDArray[np.float32] | None]) -> bool:
        present = [heat for heat in heats if heat is not None]
        return limits_of(present, signed=self.signed, low=self.low, high=self.high).signed


def file_kind(path: Path) -> Format:
    """Returns the format of a figure by its file's suffix.

    Args:
        path: The file; it need not exist.

    Returns:
        ``svg``, ``pdf``, ``png`` or ``webp``.

    Raises:
        ValueError: if there is no such format.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.figures import file_kind
        >>> file_kind(Path("figure.PDF"))
        'pdf'
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in get_args(Format):
        raise ValueError(f"a figure's file must end in .{', .'.join(get_args(Format))}, got {path.name!r}")
    return kind  # pyright: ignore[reportReturnType]
