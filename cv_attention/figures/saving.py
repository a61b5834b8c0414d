"""Saves figures as files, in the format of their suffix."""

from pathlib import Path
from typing import get_args

from cv_attention.figures.paper import Format
from cv_attention.rundir.files import write_bytes


class Saved:
    """What is drawn for paper and saved as a file; `rendered` draws it."""

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
        """Returns the content of the file that `save` writes."""
        raise NotImplementedError


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
