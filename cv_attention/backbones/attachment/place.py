"""Names the places of a block relative to its host."""

from typing import Literal

# after: what the host returns. before: what it takes. shortcut: the way around a residual block's branch.
# instead: the block runs and the host does not.
Place = Literal["after", "before", "shortcut", "instead"]
