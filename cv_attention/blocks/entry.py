"""Defines what the catalogue says of a block.

Nothing here imports torch, so that a mistyped name answers at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

    from cv_attention.blocks.base import MapKind

Family = Literal["channel", "spatial", "mixed", "branch", "context", "tokens", "graph", "sequence", "pooling", "memory"]

# What excuses a block from one test each; the test then shows that the flag is true.
#   batch_statistics: in training the samples of a batch influence each other (BatchNorm)
#   needs_batch: training on a batch of one is a ValueError
#   stochastic: two forwards in training differ
#   selects: evaluation takes the largest weight alone, without a gradient, and half precision may take another
#   detached: parts of the input pass no gradient, on purpose
Flag = Literal["batch_statistics", "needs_batch", "stochastic", "selects", "detached"]


@dataclass(frozen=True)
class Entry:
    """Describes one block of the catalogue.

    Attributes:
        name: Name of the block for `create` and in configurations.
        path: ``<family>.<file>.<class>`` below `cv_attention.blocks`.
        title: Name of the block in its paper.
        paper: Address of the paper.
        year: Year of the paper's first version.
        maps: Kinds of its attention maps, in the order in which the block passes them; repeated if it has
            several.
        gate: Factor by which a fresh block scales a random input (0.5 for SE, 1 for an identity); None where
            it does more than scale.
        multiple_of: With the default options, `channels` must be a multiple of this.
        flags: Properties that exempt the block from a test.
        examples: Options that change what the block computes; the tests run each.

    Examples:
        >>> from cv_attention.blocks import CATALOGUE
        >>> entry = CATALOGUE["se"]
        >>> entry.title, entry.family, entry.year, entry.maps
        ('Squeeze-and-excitation', 'channel', 2017, ('channel',))
    """

    name: str
    path: str
    title: str
    paper: str
    year: int
    maps: tuple["MapKind", ...]
    gate: float | None = None
    multiple_of: int = 1
    flags: tuple[Flag, ...] = ()
    examples: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)

    @property
    def family(self) -> Family:
        """The folder in which the block lives."""
        return self.path.split(".")[0]  # pyright: ignore[reportReturnType]

    @property
    def cls(self) -> "type[nn.Module]":
        """The block's class, imported when it is first asked for."""
        module, name = self.path.rsplit(".", 1)
        return getattr(import_module(f"cv_attention.blocks.{module}"), name)
