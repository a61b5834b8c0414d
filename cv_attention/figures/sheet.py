"""Defines a sheet: a grid of images and maps that a notebook shows and that is saved as a figure."""

from dataclasses import dataclass

from cv_attention.figures.grid import Grid
from cv_attention.figures.html import as_html
from cv_attention.figures.paper import Format, render
from cv_attention.figures.saving import Saved


@dataclass(frozen=True)
class Sheet(Grid, Saved):
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
        ends: Title of a column -> the scale of each of its maps, in place of `scale` and `clip`; `low` and `high` win.

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

    def rendered(self, kind: Format, *, width: float = 7.0, dpi: int = 300) -> bytes:
        """Returns the content of the file that `save` writes.

        Args:
            kind: ``svg``, ``pdf``, ``png`` or ``webp``.
            width: Inches.
            dpi: Pixels per inch of PNG and WebP.
        """
        return render(self, kind, width=width, dpi=dpi)

    def _repr_html_(self) -> str:
        return as_html(self)
