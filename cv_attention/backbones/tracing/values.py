"""Describes the tensors of a traced forward, and the calls of modules that made them."""

from dataclasses import dataclass, field

from cv_attention.backbones.tracing.tensors import Kind
from cv_attention.backbones.tracing.tokens import Tokens

# Operations that mix channels or positions by learned weights.
_MIXING = {
    "convolution", "mm", "addmm", "bmm", "linear", "_native_multi_head_attention", "_transformer_encoder_layer_fwd",
}  # fmt: skip


@dataclass(eq=False)
class Call:
    """One call of a module; the model's own call has the name ``""`` and no parent."""

    name: str
    parent: "Call | None"
    inputs: list["Value"]
    first: "Value | None" = None  # what its first positional argument is
    output: "Value | None" = None
    returned: list[tuple[str, "Value"]] = field(default_factory=list)  # with the expression that reaches each
    takes: Kind | None = None  # of its first argument; None under autocast, which casts it
    gives: Kind | None = None  # of its output
    problem: str = ""  # why its output cannot be attended, where it is not a traced tensor

    def within(self, outer: "Call") -> bool:
        """Returns whether it is `outer` or was called inside it."""
        call: Call | None = self
        while call is not None and call is not outer:
            call = call.parent
        return call is outer


@dataclass(eq=False)
class Value:
    """One tensor at one time: an in-place operation makes a new value."""

    index: int
    op: str
    shape: tuple[int, ...]
    channel_axis: int | None
    parents: list["Value"]
    call: Call
    weights: tuple[str, ...] = ()  # parameters that the operation takes
    kernel: tuple[int, ...] = ()  # size of a convolution's kernel
    transposed: bool = False  # whether it is a convolution that raises the resolution
    returned_by: list[str] = field(default_factory=list)  # modules that made it, innermost first
    passed_by: list[str] = field(default_factory=list)  # modules that returned their own input
    bypassed: bool = False  # whether a module changed it in place, and the tensor that it took is used afterwards
    tokens: Tokens | None = None  # where the positions of a feature map are in it

    @property
    def mixes(self) -> bool:
        """Whether a convolution or matrix product made it."""
        return self.op in _MIXING

    @property
    def is_feature_map(self) -> bool:
        """Whether it is (B, C, H, W) with the channels second, as far as is known."""
        return len(self.shape) == 4 and self.channel_axis in (1, None)

    @property
    def patches(self) -> Tokens | None:
        """Where the patches are, if it is (B, tokens, C)."""
        found, right = self.tokens, len(self.shape) == 3 and self.channel_axis in (2, None)
        fits = found is not None and right and (found.left, found.count) == self.shape[:2] and min(found.grid) > 1
        return found if fits else None

    @property
    def takes_blocks(self) -> bool:
        """Whether a block can take it, or the patches in it."""
        return self.is_feature_map or self.patches is not None
