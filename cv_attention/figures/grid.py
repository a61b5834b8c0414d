"""Holds images as rows and maps as columns, with one scale for each map, each column or all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cv_attention.drawing import Limits, as_heat, as_pixels, limits_of, overlay, table_for

Scale = Literal["image", "column", "all"]
"""Which maps share a colour bar: none, those of a column, or those of all columns that are alike in sign."""


@dataclass(frozen=True)
class Grid:
    """Holds images, their maps, and how these are coloured.

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
        ends: Title of a column -> the scale of each of its maps, in place of `scale` and `clip`; `low` and `high` win.
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
    ends: Mapping[str, Sequence[Limits | None]] = field(default_factory=dict, kw_only=True)

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
        """Returns the ends of the colour bar of the map in `row` and `column`, a title; None without a map."""
        heat = self.maps[column][row]
        if heat is None:
            return None
        if (given := self._given(column)) is not None:
            return given[row]
        if self.scale != "image":
            return self._shared[column]
        return limits_of(heat, signed=self._signed[column], clip=self.clip, low=self.low, high=self.high)

    def table(self, column: str) -> str:
        """Returns the name of the colour table of `column`, a title."""
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
        """Draws the map of `row` and `column` over another `image` of its row, such as a larger one."""
        limits = None if column is None else self.limits(row, column)
        if column is None or limits is None:
            return image
        heat = self.maps[column][row]
        assert heat is not None
        ends = {"signed": limits.signed, "low": limits.low, "high": limits.high}
        return overlay(image, heat, self.opacity, colours=self.table(column), **ends)

    def bar_of(self, column: str) -> Limits | None:
        """Returns the one scale of `column`, a title; None where each of its maps has its own."""
        present = next((row for row, heat in enumerate(self.maps[column]) if heat is not None), None)
        fixed = self.low is not None and self.high is not None
        if (given := self._given(column)) is not None:
            fixed = len({limits for limits in given if limits is not None}) == 1
        return None if present is None or (self.scale == "image" and not fixed) else self.limits(present, column)

    def _given(self, column: str) -> Sequence[Limits | None] | None:
        return None if self.low is not None or self.high is not None else self.ends.get(column)

    @cached_property
    def _signed(self) -> dict[str, bool]:
        """Whether each column's scale has zero in the middle: the same for all of its rows."""
        given = {title: [one for one in self._given(title) or () if one is not None] for title in self.maps}
        return {title: given[title][0].signed if given[title] else self._is_signed(self.maps[title]) for title in given}

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
