"""Defines a sheet: a grid of images and maps that a notebook shows and that is saved as a figure."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from cv_attention.figures.grid import Grid
from cv_attention.figures.html import as_html
from cv_attention.figures.paper import Format, render
from cv_attention.rundir.files import write_bytes


@dataclass(frozen=True)
class Sheet(Grid):
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
        return render(self, kind, width=width, dpi=dpi)

    def _repr_html_(self) -> str:
        return as_html(self)


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
