"""Refuses folders of somebody else that lead elsewhere: what is written and removed in them would lie there."""

import os
from pathlib import Path


def check_links(root: Path) -> None:
    """Makes sure that no folder of a run or an export is a link that leads out of it.

    Args:
        root: The run directory, or the folder of the export; it may be a link itself.

    Raises:
        ValueError: if one is; one line that names it.
    """
    for folder, names, _ in os.walk(root):
        for name in names:
            place = Path(folder, name)
            if place.is_symlink() and not place.resolve().is_relative_to(root.resolve()):
                raise ValueError(
                    f"{place} is a link to {place.resolve()}, outside of {root}, where files would be written and "
                    "removed; put the folder itself in its place"
                )
