"""Writes sheets one after the other as an animation."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from cv_attention.figures.sheet import Sheet
from cv_attention.rundir.files import write_bytes


def animate(
    sheets: Sequence[Sheet], path: Path | str, *, width: float = 7.0, dpi: int = 120, seconds: float = 0.8
) -> Path:
    """Writes an animation that loops, such as the maps of one epoch after the other.

    Args:
        sheets: The frames. The last one stays three times as long.
        path: A file that ends in ``.webp``.
        width: Inches.
        dpi: Pixels per inch.
        seconds: How long a frame stays.

    Returns:
        The path.

    Raises:
        ValueError: if there is no frame, the file is of another kind, or the frames differ in size.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.figures import Sheet, animate
        >>> grey, heats = np.full((32, 32, 3), 128, np.uint8), np.random.default_rng(0).random((2, 4, 4))
        >>> frames = [Sheet([grey], {"Grad-CAM": [heat]}, caption=f"epoch {i}") for i, heat in enumerate(heats)]
        >>> animate(frames, "epochs.webp", width=3.4).name
        'epochs.webp'
    """
    path = Path(path)
    if path.suffix.lower() != ".webp":
        raise ValueError(f"an animation's file must end in .webp, got {path.name!r}")
    if not sheets:
        raise ValueError("an animation needs at least one frame, got none")
    if not 0.01 <= seconds <= 60:
        raise ValueError(f"seconds must be 0.01 to 60, got {seconds}")
    frames = [Image.open(io.BytesIO(sheet.rendered("png", width=width, dpi=dpi))).convert("RGB") for sheet in sheets]
    sizes = {frame.size for frame in frames}
    if len(sizes) > 1:
        raise ValueError(f"the frames of an animation must have one size, got {sorted(sizes)}")
    stay = [round(1000 * seconds)] * len(frames)
    stay[-1] *= 3
    file = io.BytesIO()
    frames[0].save(
        file, "WEBP", save_all=True, append_images=frames[1:], duration=stay, loop=0, quality=88, minimize_size=True
    )
    write_bytes(path, file.getvalue())
    return path
