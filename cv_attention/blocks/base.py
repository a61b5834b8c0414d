"""Defines the base classes of blocks: `Block`, `Gate` and `AttentionMap`, and argument checks."""

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal, TypedDict, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.functional.gating import over_start
from cv_attention.suggest import suggest

# What multiplies a norm whose scale starts at zero, and the alpha of a block that is faded in: an optimizer moves each
# number by about its learning rate, and these few stand for a whole layer.
STEEP = 10.0

# Of a new block's parameters; None takes torch's default.
Device = torch.device | str | None
Dtype = torch.dtype | None

MapKind = Literal["channel", "spatial", "joint", "pairwise", "alignment", "places"]


class Factory(TypedDict):
    """Device and floating type of new parameters, for torch's own layers: ``nn.Linear(8, 8, **factory)``."""

    device: Device
    dtype: Dtype


class AttentionMap(nn.Module):
    """Marks the place where a block's attention map passes: an identity that hooks can see from outside.

    A block whose fused kernel hides the map asks `observed` and passes the map only when somebody looks. A
    module that was compiled before the hook came recompiles once, because `observed` is guarded, and again
    runs its first code when the hook is gone.

    Args:
        kind: What the map's axes mean; the last two are spatial, but for ``alignment`` and ``places``.

            - ``channel``: (B, C, 1, 1)
            - ``spatial``: (B, 1, H, W)
            - ``joint``: (B, C, H, W)
            - ``pairwise``: (B, heads, queries, H, W)
            - ``alignment``: (B, heads, queries, keys), where the keys are not a grid
            - ``places``: (B, steps, 2), points (x, y) of the image, from -1 to 1 between its edges

    Raises:
        ValueError: if `kind` is none of these.

    Examples:
        >>> import torch
        >>> from cv_attention import record
        >>> from cv_attention.blocks import AttentionMap
        >>> class Gate(torch.nn.Module):  # a block of your own
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.map = AttentionMap("spatial")
        ...     def forward(self, x):
        ...         return x * self.map(x.mean(1, keepdim=True).sigmoid())
        >>> gate = Gate()
        >>> with record(gate) as maps:
        ...     print(gate(torch.zeros(2, 8, 7, 7)).shape)
        torch.Size([2, 8, 7, 7])
        >>> maps
        map  kind     shape    range
        map  spatial  2x1x7x7  0.5..0.5
    """

    def __init__(self, kind: MapKind) -> None:
        super().__init__()
        check_choice("kind", kind, get_args(MapKind))
        self.kind = kind

    @property
    def observed(self) -> bool:
        """Whether hooks observe the map; a fused kernel that hides the map may run when none do."""
        return len(self._forward_hooks) > 0

    def over(self, size: tuple[int, int], *, ahead: int = 0) -> Callable[[Tensor], Tensor] | None:
        """Returns the function that passes weights over a grid to observers, for `functional.attend`; None without any.

        Args:
            size: (H, W) of the grid.
            ahead: Number of keys ahead of the grid, such as a class token, whose weights are not part of the map.

        Returns:
            A function that passes weights (..., ahead + H*W) through the map as (..., H, W) and returns them as they
            came.
        """
        if not self.observed:
            return None
        if ahead == 0:
            return lambda weights: self(weights.unflatten(-1, size)).flatten(-2)

        def observe(weights: Tensor) -> Tensor:
            others, grid = weights[..., :ahead], weights[..., ahead:]
            return torch.cat([others, self(grid.unflatten(-1, size)).flatten(-2)], -1)

        return observe

    def forward(self, attention: Tensor) -> Tensor:
        """Returns `attention`, a tensor shaped as `kind` says, unchanged."""
        # torch.compile guards what it reads, but not the hooks themselves: without this branch a hook that is
        # registered on an already compiled module would silently see nothing.
        if self.observed:
            return attention.view_as(attention)
        return attention

    def extra_repr(self) -> str:
        """Shows the kind in ``print(model)``."""
        return f"kind={self.kind!r}"


class Block(nn.Module):
    """Base class of blocks: modules from (B, C, H, W) to (B, C, H, W), whose forward rejects other tensors.

    A subclass implements `forward`, which takes the feature map first. Without the check, a video or a volume would
    be processed along its first two axes only, without an error.

    Raises:
        ValueError: from the forward, if its input does not have four axes.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import Block
        >>> class Scale(Block):
        ...     def __init__(self, channels):
        ...         super().__init__()
        ...         self.weight = torch.nn.Parameter(torch.ones(channels, 1, 1))
        ...     def forward(self, x):
        ...         return x * self.weight
        >>> Scale(8)(torch.randn(2, 8, 7, 7)).shape
        torch.Size([2, 8, 7, 7])
        >>> Scale(8)(torch.randn(2, 8, 7))
        Traceback (most recent call last):
            ...
        ValueError: Scale takes a feature map (B, C, H, W), got shape (2, 8, 7)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls):
            cls.forward = _checked(cls.forward)


def _checked(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Returns a `forward` that raises ValueError where its input has other than four axes."""

    @wraps(forward)
    def forward_of_maps(self: Block, *args: Any, **kwargs: Any) -> Tensor:
        x = args[0] if args else next(iter(kwargs.values()), None)
        if isinstance(x, Tensor) and x.ndim != 4:  # a proxy of torch.fx is not a tensor
            raise ValueError(f"{type(self).__name__} takes a feature map (B, C, H, W), got shape {tuple(x.shape)}")
        return forward(self, *args, **kwargs)

    return forward_of_maps


class Gate(Block):
    """Base class of blocks that multiply their input by an attention map: ``x * attention(x)``.

    A subclass sets `kind` and computes the map in `attention`. It overrides nothing else, but may have a method
    `start_as_identity`, which lets the map start as a constant and sets `start` to that constant.

    Attributes:
        kind: What the map's axes mean: ``channel``, ``spatial`` or ``joint``, see `AttentionMap`.
        start: What the map is divided by before it multiplies the input; 1 in a block as in its paper.
        map: The `AttentionMap` that the map passes, so that it can be recorded.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> class MaxGate(cva.blocks.Gate):
        ...     kind = "channel"
        ...     def __init__(self, channels):
        ...         super().__init__()
        ...         self.linear = torch.nn.Linear(channels, channels)
        ...     def attention(self, x):
        ...         return self.linear(x.amax((2, 3))).sigmoid()[:, :, None, None]
        >>> MaxGate(8)(torch.randn(2, 8, 7, 7)).shape
        torch.Size([2, 8, 7, 7])
        >>> plan = cva.insert(cva.backbones.build("resnet20"), MaxGate, at="residual")
        >>> len(plan.sites)
        9
    """

    kind: MapKind
    start: float = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.map = AttentionMap(self.kind)

    def attention(self, x: Tensor) -> Tensor:
        """Computes the map of `x` (B, C, H, W), broadcastable to the shape of `x`; a subclass implements this."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        return x * over_start(self.map(self.attention(x)), self.start)


def zero(*layers: nn.Module | nn.Parameter) -> None:
    """Sets parameters, or the weights and biases of layers, to zero."""
    for layer in layers:
        for parameter in [layer] if isinstance(layer, nn.Parameter) else layer.parameters():
            nn.init.zeros_(parameter)


def balance(reduce: nn.Linear | nn.Conv2d, expand: nn.Linear | nn.Conv2d) -> None:
    """Lets ``expand(relu(reduce(x)))`` start at zero for any x, with a full gradient to both layers where it can.

    All hidden numbers start at 1, and every row of `expand` has as many +s as -s (its larger and its smaller weights as
    they were drawn; the middle one of an odd number is 0). s is a power of two near the weights' size: such sums are
    exact in any order and precision. Without a bias, or with one hidden number, only `expand` becomes zero.
    """
    hidden = expand.weight.shape[1]
    ranks = expand.weight.detach().flatten(1).argsort(1).argsort(1).view_as(expand.weight)
    zero(expand)
    if reduce.bias is None or hidden == 1:
        return
    zero(reduce)
    nn.init.ones_(reduce.bias)
    size = 2.0 ** round(math.log2((3 * hidden) ** -0.5))
    with torch.no_grad():
        expand.weight.copy_(size * torch.sign(2 * ranks - (hidden - 1)))


def bottleneck(channels: int, reduction: int, *, minimum: int = 1) -> int:
    """Returns the hidden width ``max(channels // reduction, minimum)``.

    Raises:
        ValueError: if an argument is not a positive integer.
    """
    check_whole(channels=channels, reduction=reduction, minimum=minimum)
    return max(channels // reduction, minimum)


def check_whole(**values: object) -> None:
    """Raises ValueError, naming the argument and its value, unless every value is a whole number >= 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a positive whole number, got {name}={value!r}")


def check_odd(**values: object) -> None:
    """Raises ValueError, naming the argument and its value, unless every value is odd and >= 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value % 2 == 0:
            raise ValueError(f"{name} must be a positive odd number, got {name}={value!r}")


def check_positive(**values: object) -> None:
    """Raises ValueError, naming the argument and its value, unless every value is a number > 0."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{name} must be a positive number, got {name}={value!r}")


def check_number(**values: object) -> None:
    """Raises ValueError, naming the argument and its value, unless every value is a number."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number, got {name}={value!r}")


def check_divisible(**values: int) -> None:
    """Raises ValueError unless the first value is divisible by the second: ``(channels=30, heads=4)``."""
    check_whole(**values)
    (whole, dividend), (part, divisor) = values.items()
    if dividend % divisor:
        raise ValueError(f"{whole} must be divisible by {part}, got {whole}={dividend}, {part}={divisor}")


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raises ValueError, with the nearest right one, unless `value` is one of `choices`."""
    if value not in choices:
        hint = suggest(value, choices, shown=0)
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {name}={value!r}{hint}")
