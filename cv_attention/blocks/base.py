"""What all blocks share: the named place where a map passes, and the gate that multiplies by it."""

from typing import Literal, get_args

from torch import Tensor, nn

MapKind = Literal["channel", "spatial", "joint", "pairwise", "alignment"]


class AttentionMap(nn.Module):
    """The place where a block's attention map passes: an identity that hooks can see from outside.

    Args:
        kind: What the map's axes mean; the last two are always spatial, but for ``alignment``.

            - ``channel``: (B, C, 1, 1)
            - ``spatial``: (B, 1, H, W)
            - ``joint``: (B, C, H, W)
            - ``pairwise``: (B, heads, queries, H, W)
            - ``alignment``: (B, heads, queries, keys), where the keys are no grid

    Raises:
        ValueError: if `kind` is none of these.
    """

    def __init__(self, kind: MapKind) -> None:
        super().__init__()
        if kind not in get_args(MapKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(MapKind))}, got {kind!r}")
        self.kind = kind

    @property
    def observed(self) -> bool:
        """Whether somebody looks; a fused kernel that hides the map may run when nobody does."""
        return len(self._forward_hooks) > 0

    def forward(self, attention: Tensor) -> Tensor:
        """Returns `attention` as it is."""
        return attention

    def extra_repr(self) -> str:
        """Shows the kind in ``print(model)``."""
        return f"kind={self.kind!r}"


class Gate(nn.Module):
    """A block that multiplies its input by an attention map: ``x * attention(x)``.

    A subclass sets `kind` and computes the map in `attention`; it overrides nothing else.
    """

    kind: MapKind

    def __init__(self) -> None:
        super().__init__()
        self.map = AttentionMap(self.kind)

    def attention(self, x: Tensor) -> Tensor:
        """Computes the map of `x` (B, C, H, W), broadcastable to its shape."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        return x * self.map(self.attention(x))


def check_positive(**values: float) -> None:
    """Raises ValueError, naming the argument and its value, unless every value is positive."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {name}={value}")


