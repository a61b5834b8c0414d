"""Names images for the page: their paths without the folders that all of them share."""

import re
from collections.abc import Sequence

_SEPARATORS = r"[/\\]"
_ABSOLUTE = re.compile(rf"{_SEPARATORS}|~|[A-Za-z]:|file:")


def last_part(path: object) -> str:
    """Returns the file name at the end of a path."""
    return re.split(_SEPARATORS, str(path or ""))[-1]


def image_names(paths: Sequence[object]) -> list[str]:
    """Names images by their paths below their common folder, such as ``bird/0004.jpg``.

    Files of one name in the folders of different classes stay apart. Where on the machine they lie is not shown:
    absolute paths that share no folder but the root are cut to their last part.

    Args:
        paths: One path per image; None or empty if the image has none.
    """
    split = [re.split(_SEPARATORS, str(path)) if path else [] for path in paths]
    folders = [parts[:-1] for parts in split if parts]
    shared = 0
    while folders and all(len(parts) > shared for parts in folders) and len({f[shared] for f in folders}) == 1:
        shared += 1
    bare = shared < 2 and any(_ABSOLUTE.match(str(path)) for path in paths if path)
    return ["/".join(parts[-1:] if bare else parts[shared:]) for parts in split]
