"""Defines the rules of layer-wise relevance propagation for linear layers.

z = x W + b is the layer's output, R its relevance, and the input's relevance is a sum over the outputs. W+ and W- are
the positive and the negative part of the weights. Denominators are kept from 0 by a small number of their own sign.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor], Tensor]  # (input, weight) -> output without bias
Back = Callable[[Tensor], Tensor]  # from a derivative of the output to that of the input


class Layer(Protocol):
    """What a rule sees of a linear layer: its input, its output, and products of other inputs and weights."""

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    output: Tensor
    room: Tensor | None

    def product(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Back]:
        """Returns the product without bias, and the map back from its derivative to the input's."""
        ...


def _at_least_0(**values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")


@dataclass(frozen=True)
class Epsilon:
    """Divides relevance in proportion to the contributions: R_i = sum_j x_i w_ij R_j / (z_j + epsilon sign z_j).

    Bach et al. (2015), https://doi.org/10.1371/journal.pone.0130140. Biases keep their share.

    Attributes:
        epsilon: Absorbs relevance of outputs near 0; with 0 it is gradient times input in ReLU networks.

    Raises:
        ValueError: if `epsilon` is negative.

    Examples:
        >>> from cv_attention.saliency import relevance_rules
        >>> relevance_rules.Epsilon(0.1)
        Epsilon(epsilon=0.1)
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        """Checks the value."""
        _at_least_0(epsilon=self.epsilon)


@dataclass(frozen=True)
class Gamma:
    """Favours the contributions of an output's own sign, by weights W + gamma W+ where inputs and output are positive.

    Montavon et al. (2019), https://doi.org/10.1007/978-3-030-28954-6_10, generalised to inputs and outputs of both
    signs by Andeol et al. (2021), https://arxiv.org/abs/2106.13138.

    Attributes:
        gamma: 0 gives the epsilon rule, large values the z+ rule for positive outputs.
        epsilon: Keeps denominators from 0.

    Raises:
        ValueError: if one is negative.

    Examples:
        >>> from cv_attention.saliency import relevance_rules
        >>> relevance_rules.Gamma(0.5)
        Gamma(gamma=0.5, epsilon=1e-06)
    """

    gamma: float = 0.25
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        """Checks the values."""
        _at_least_0(gamma=self.gamma, epsilon=self.epsilon)

    def back(self, layer: Layer, g: Tensor) -> Tensor:
        """Returns the input's relevance over the input, given the output's relevance over the output."""
        total, both = torch.zeros_like(layer.x), bool(layer.x.amin() < 0)
        for sign in (1, -1):
            share = torch.where(sign * layer.output > 0, g * layer.output, 0)
            if not bool(share.any()):
                continue
            weight, same = layer.weight, layer.weight.clamp(*_half(sign))
            parts = [(layer.x.clamp(min=0) if both else layer.x, weight + self.gamma * same)]
            if both:
                parts.append((layer.x.clamp(max=0), weight + self.gamma * weight.clamp(*_half(-sign))))
            bias = 0 if layer.bias is None else layer.bias + self.gamma * layer.bias.clamp(*_half(sign))
            total = total + _divide(layer, parts, bias + _room(layer, sign * self.epsilon), share)
        return total


@dataclass(frozen=True)
class AlphaBeta:
    """Passes alpha times the relevance to the positive contributions, and -beta times to the negative ones.

    Bach et al. (2015), https://doi.org/10.1371/journal.pone.0130140. ``AlphaBeta(1, 0)`` is the z+ rule.

    Attributes:
        alpha: Weight of the positive contributions.
        beta: Weight of the negative ones, alpha - 1.
        epsilon: Keeps denominators from 0.

    Raises:
        ValueError: if beta is negative or not alpha - 1.

    Examples:
        >>> from cv_attention.saliency import relevance_rules
        >>> relevance_rules.AlphaBeta(2, 1).alpha
        2
    """

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        """Checks the values."""
        _at_least_0(beta=self.beta, epsilon=self.epsilon)
        if abs(self.alpha - self.beta - 1) > 1e-9:
            raise ValueError(f"alpha - beta must be 1, which conserves relevance, got {self.alpha} and {self.beta}")

    def back(self, layer: Layer, g: Tensor) -> Tensor:
        """Returns the input's relevance over the input, given the output's relevance over the output."""
        both = bool(layer.x.amin() < 0)
        share, found = g * layer.output, []
        for factor, sign in ((self.alpha, 1), (-self.beta, -1)):
            if factor == 0:
                continue
            parts = [(layer.x.clamp(min=0) if both else layer.x, layer.weight.clamp(*_half(sign)))]
            if both:
                parts.append((layer.x.clamp(max=0), layer.weight.clamp(*_half(-sign))))
            bias = 0 if layer.bias is None else layer.bias.clamp(*_half(sign))
            offset = bias + _room(layer, sign * self.epsilon)
            part = _divide(layer, parts, offset, share, apart=self.epsilon > 0)  # all have the sign of the epsilon
            found.append(part if factor == 1 else factor * part)
        return found[0] if len(found) == 1 else found[0] + found[1]


@dataclass(frozen=True)
class WSquare:
    """Divides relevance in proportion to the squared weights, whatever the input; for the first layer.

    Montavon et al. (2017), https://doi.org/10.1016/j.patcog.2016.11.008.

    Attributes:
        epsilon: Keeps denominators from 0.

    Examples:
        >>> from cv_attention.saliency import relevance_rules
        >>> relevance_rules.WSquare()
        WSquare(epsilon=1e-06)
    """

    epsilon: float = 1e-6

    def relevance(self, layer: Layer, g: Tensor) -> Tensor:
        """Returns the input's relevance, given the output's relevance over the output."""
        bias = 0 if layer.bias is None else layer.bias**2
        return _spread(layer, layer.weight**2, bias, g, self.epsilon)


@dataclass(frozen=True)
class Flat:
    """Divides relevance equally among the inputs; for the first layer.

    Lapuschkin et al. (2019), https://doi.org/10.1038/s41467-019-08987-4.

    Attributes:
        epsilon: Keeps denominators from 0.

    Examples:
        >>> from cv_attention.saliency import relevance_rules
        >>> relevance_rules.Flat()
        Flat(epsilon=1e-06)
    """

    epsilon: float = 1e-6

    def relevance(self, layer: Layer, g: Tensor) -> Tensor:
        """Returns the input's relevance, given the output's relevance over the output."""
        return _spread(layer, torch.ones_like(layer.weight), 0, g, self.epsilon)


@dataclass(frozen=True)
class ZBox:
    """Divides relevance in proportion to x w - low w+ - high w-, for the first layer of pixels within bounds.

    Montavon et al. (2017), https://doi.org/10.1016/j.patcog.2016.11.008.

    Attributes:
        low: The smallest values, a number or a tensor that broadcasts to (B, C, H, W): normalised black. None takes
            each image's smallest value in each channel.
        high: The largest values, likewise: normalised white.
        epsilon: Keeps denominators from 0.

    Examples:
        >>> from cv_attention.saliency import relevance_rules
        >>> relevance_rules.ZBox(-1, 1)
        ZBox(low=-1, high=1, epsilon=1e-06)
    """

    low: float | Tensor | None = None
    high: float | Tensor | None = None
    epsilon: float = 1e-6

    def relevance(self, layer: Layer, g: Tensor) -> Tensor:
        """Returns the input's relevance, given the output's relevance over the output."""
        x, over = layer.x, tuple(range(2, layer.x.dim()))
        low = x.amin(over, keepdim=True) if self.low is None else torch.as_tensor(self.low).to(x)
        high = x.amax(over, keepdim=True) if self.high is None else torch.as_tensor(self.high).to(x)
        pairs = (
            (x, layer.weight, 1),
            (low.expand_as(x), layer.weight.clamp(min=0), -1),
            (high.expand_as(x), layer.weight.clamp(max=0), -1),
        )
        found = [(value, sign, *layer.product(value, weight)) for value, weight, sign in pairs]
        # The parts of the bias cancel: b - b+ - b- = 0.
        total = torch.stack([sign * z for _, sign, z, _ in found]).sum(0)
        share = g * layer.output / stabilised(total, self.epsilon)
        return torch.stack([sign * value * back(share) for value, sign, _, back in found]).sum(0)


Rule = Epsilon | Gamma | AlphaBeta | WSquare | Flat | ZBox


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """Moves z away from 0 by epsilon, 0 itself upwards."""
    return z + torch.copysign(z.new_tensor(epsilon), z + 0)  # -0 + 0 is 0


def _half(sign: int) -> tuple[float | None, float | None]:
    """Returns the bounds of `Tensor.clamp` for the positive or the negative part."""
    return (0.0, None) if sign > 0 else (None, 0.0)


def _room(layer: Layer, epsilon: float) -> Tensor | float:
    return epsilon if layer.room is None else epsilon / layer.room


def _divide(
    layer: Layer, parts: list[tuple[Tensor, Tensor]], offset: Tensor | float, share: Tensor, *, apart: bool = False
) -> Tensor:
    """Divides relevance among the products of `parts`, and returns that of the input over the input.

    Args:
        layer: The layer.
        parts: Inputs of one sign (or all inputs, if there is only this one), with the weights that they meet.
        offset: What is added to the products: the bias, which keeps its share, and what keeps denominators from 0.
        share: The outputs' relevance.
        apart: Whether the sums with the offset are never 0.
    """
    products = [layer.product(x, weight) for x, weight in parts]
    total = products[0][0] if len(products) == 1 else products[0][0] + products[1][0]
    rates = share / total.add_(offset)
    if not apart:  # where nothing is divided, the sum may be 0
        rates = torch.where(share == 0, 0, rates)
    first = products[0][1](rates)
    if len(products) == 1:
        return first
    return torch.where(layer.x < 0, products[1][1](rates), torch.where(layer.x > 0, first, 0))


def _spread(layer: Layer, weight: Tensor, bias: Tensor | float, g: Tensor, epsilon: float) -> Tensor:
    total, back = layer.product(torch.ones_like(layer.x), weight)
    return back(g * layer.output / stabilised(total + bias, epsilon))
