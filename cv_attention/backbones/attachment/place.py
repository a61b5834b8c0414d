"""Names where a block is attached, relative to its module."""

from typing import Literal

# after: what the host returns. before: what it takes. shortcut: the way around a residual unit's branch.
# instead: the block runs and the host does not.
Place = Literal["after", "before", "shortcut", "instead"]
