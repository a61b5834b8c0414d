"""Passes relevance through linear layers: a function whose backward pass is a rule."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from cv_attention.saliency.methods.relevance.rules import AlphaBeta, Back, Epsilon, Gamma, Rule


@dataclass
class Call:
    """Holds one call of a convolution or a fully connected layer.

    Attributes:
        function: The layer's function, (input, weight, bias, ...).
        x: The input.
        weight: The weights, without gradient.
        bias: The bias in the layout of the output, or None.
        output: The output; like the input, it is copied before the model modifies it.
        rest: The arguments after the bias.
        options: The arguments by name.
        rule: How relevance is divided.
        room: What `bias` and the rule's epsilon are divided by where weights stand without a BatchNorm's scale.
        entrance: Whether the input is the images themselves.
    """

    function: Callable[..., Tensor]
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    output: Tensor
    rest: tuple
    options: dict[str, Any]
    rule: Rule
    entrance: bool = False
    room: Tensor | None = None

    def product(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Back]:
        """Returns the product without bias, and the map back from its derivative to the input's."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            z = self.function(x, weight, None, *self.rest, **self.options)

        def back(g: Tensor) -> Tensor:
            return torch.autograd.grad(z, x, g.to(z.dtype))[0]

        return z.detach(), back

    def scaled(self, scale: Tensor, shift: Tensor, output: Tensor) -> "Call":
        """Returns the call with the BatchNorm that follows it merged into weights and bias.

        Args:
            scale: Factor of each channel, (C,).
            shift: What is added to each channel after it, (C,).
            output: The BatchNorm's output.
        """
        channels = (-1, *[1] * (self.output.dim() - 2))
        bias = shift if self.bias is None else shift + self.bias.flatten() * scale
        bias = bias.view(channels)
        merged = replace(self, bias=bias, output=output)
        if isinstance(self.rule, AlphaBeta | Gamma) and bool((scale > 0).all()):  # signs and shares stay as they are
            return replace(merged, bias=bias / scale.view(channels), room=scale.view(channels))
        if "transpose" in getattr(self.function, "__name__", ""):
            groups = self.options.get("groups", self.rest[3] if len(self.rest) > 3 else 1)
            weight = (self.weight.unflatten(0, (groups, -1)) * scale.view(groups, 1, -1, *channels[1:])).flatten(0, 1)
        else:
            weight = self.weight * scale.view(-1, *[1] * (self.weight.dim() - 1))
        return replace(merged, weight=weight)


class Ruled(Function):
    """Returns a value that is known already; its backward pass is the rule of a `Call`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, call: Call, found: list[Tensor], entrances: list[Tensor]) -> Tensor:
        """Takes the output out of `found`, which keeps it from being an input of this function."""
        ctx.call, ctx.entrances = call, entrances
        return found.pop()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the input's relevance over the input; what the images' own layer finds goes to `entrances`."""
        call, x, rule = ctx.call, ctx.call.x, ctx.call.rule
        assert not isinstance(rule, Epsilon)
        if hasattr(rule, "back"):
            return rule.back(call, gradients[0]).to(x.dtype), None, None, None  # pyright: ignore[reportAttributeAccessIssue]
        relevance = rule.relevance(call, gradients[0])  # pyright: ignore[reportAttributeAccessIssue]
        if call.entrance:
            ctx.entrances.append(relevance.float())
            return torch.zeros_like(x), None, None, None
        return torch.where(x == 0, 0, relevance / torch.where(x == 0, 1, x)).to(x.dtype), None, None, None


class Redirect(Function):
    """Returns a value that is known already; its gradient goes to `x`, times a factor, or what a function returns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor | Callable[[], Tensor], found: list[Tensor]) -> Tensor:
        """Takes the output out of `found`, which keeps it from being an input of this function."""
        ctx.factor = factor
        return found.pop()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Multiplies by the factor."""
        factor = ctx.factor if isinstance(ctx.factor, Tensor) else ctx.factor()
        return gradients[0] * factor, None, None
