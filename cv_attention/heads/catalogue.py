"""Lists the heads by name; nothing here imports torch."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from cv_attention.suggest import suggest

if TYPE_CHECKING:
    from torch import nn

Family = Literal["decode", "recall"]


@dataclass(frozen=True)
class HeadEntry:
    """Describes one head of the catalogue.

    Attributes:
        name: Name of the head in configurations.
        path: ``<folder>.<file>.<class>`` below `cv_attention.heads`.
        title: What it is called in its paper.
        paper: Address of the paper.
        year: Year of the paper's first version.
        family: What it does: ``decode`` writes a text, ``recall`` names the images of a sequence.
        attends: Whether it has attention weights.

    Examples:
        >>> from cv_attention.heads import HEADS
        >>> HEADS["gru"].title, HEADS["gru"].year
        ('Additive attention of a GRU', 2014)
    """

    name: str
    path: str
    title: str
    paper: str
    year: int
    family: Family = "decode"
    attends: bool = True

    @property
    def cls(self) -> "type[nn.Module]":
        """The head's class, imported when it is first asked for."""
        module, name = self.path.rsplit(".", 1)
        return getattr(import_module(f"cv_attention.heads.{module}"), name)


# fmt: off
_ENTRIES = (
    HeadEntry("gru", "decoders.recurrent.GRUDecoder", "Additive attention of a GRU",
              "https://arxiv.org/abs/1409.0473", 2014),
    HeadEntry("lstm", "decoders.recurrent.LSTMDecoder", "Show, attend and tell",
              "https://arxiv.org/abs/1502.03044", 2015),
    HeadEntry("transformer", "decoders.transformer.TransformerDecoder", "Transformer decoder",
              "https://arxiv.org/abs/1706.03762", 2017),
    HeadEntry("permuted", "decoders.permuted.PermutedDecoder", "Permuted autoregressive decoding",
              "https://arxiv.org/abs/2207.06966", 2022),
    HeadEntry("queries", "decoders.queries.QueriesDecoder", "Output queries",
              "https://arxiv.org/abs/2107.14795", 2021),
    HeadEntry("perceiver_io", "decoders.perceiver_io.PerceiverIODecoder", "Perceiver IO's decoder",
              "https://arxiv.org/abs/2107.14795", 2021),
    HeadEntry("ctc", "decoders.ctc.CTCHead", "Connectionist temporal classification",
              "https://doi.org/10.1145/1143844.1143891", 2006, attends=False),
    HeadEntry("recall", "memory.recall.RecallHead", "Controllers with external memory",
              "https://arxiv.org/abs/1410.5401", 2014, "recall"),
)
# fmt: on

HEADS: dict[str, HeadEntry] = {entry.name: entry for entry in _ENTRIES}
"""The heads that write texts, and the one that recalls, by name."""


def text_heads() -> list[str]:
    """Returns the names of the heads that write texts.

    Returns:
        The names, in the catalogue's order.

    Examples:
        >>> from cv_attention import heads
        >>> heads.text_heads()[:2]
        ['gru', 'lstm']
    """
    return [name for name, entry in HEADS.items() if entry.family == "decode"]


def find_head(name: str) -> HeadEntry:
    """Finds a head by name.

    Args:
        name: Its name.

    Raises:
        ValueError: if there is none of this name; names the closest.
    """
    if name not in HEADS:
        raise ValueError(f"unknown head {name!r}{suggest(name, list(HEADS))}")
    return HEADS[name]
