"""Defines the rules of layer-wise relevance propagation for linear layers, and usual combinations of them.

z = x W + b is the layer's output, R its relevance, and the input's relevance is a sum over the outputs. W+ and W- are
the positive and the negative part of the weights. Denominators are kept from 0 by a small number of their own sign.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

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
        positive, negative = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        total = torch.zeros_like(layer.x)
        for sign, same, other in ((1, positive, negative), (-1, negative, positive)):
            share = torch.where(sign * layer.output > 0, g * layer.output, 0)
            if not bool(share.any()):
                continue
            parts = [(layer.x.clamp(min=0), layer.weight + self.gamma * same)]
            if bool((layer.x < 0).any()):
                parts.append((layer.x.clamp(max=0), layer.weight + self.gamma * other))
            bias = 0 if layer.bias is None else layer.bias + self.gamma * layer.bias.clamp(*_half(sign))
            total = total + _divide(layer, parts, bias, share, self.epsilon)
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
        positive, negative = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        both = bool((layer.x < 0).any())
        share, total = g * layer.output, torch.zeros_like(layer.x)
        for factor, sign, same, other in ((self.alpha, 1, positive, negative), (-self.beta, -1, negative, positive)):
            if factor == 0:
                continue
            parts = [(layer.x.clamp(min=0) if both else layer.x, same)]
            if both:
                parts.append((layer.x.clamp(max=0), other))
            bias = 0 if layer.bias is None else layer.bias.clamp(*_half(sign))
            total = total + factor * _divide(layer, parts, bias, share, self.epsilon)
        return total


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


@dataclass(frozen=True)
class Composite:
    """Assigns rules to the linear layers of a network.

    Attributes:
        convolution: The rule of convolutions, together with a BatchNorm directly after them.
        linear: The rule of fully connected layers.
        first: The rule of the first layer, and of others that read the images; None is the rule of its kind.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import relevance_rules as rules
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> mine = rules.Composite(convolution=rules.Gamma(0.1), linear=rules.Epsilon(0.01), first=rules.Flat())
        >>> cva.saliency.lrp(model, torch.randn(2, 3, 32, 32), rules=mine).shape
        torch.Size([2, 1, 32, 32])
    """

    convolution: Rule = field(default_factory=Epsilon)
    linear: Rule = field(default_factory=Epsilon)
    first: Rule | None = None


Z_PLUS = AlphaBeta(1.0, 0.0)
COMPOSITES: Mapping[str, Composite] = MappingProxyType(
    {
        "epsilon": Composite(),
        "gamma": Composite(Gamma(0.25), Gamma(0.05)),
        "epsilon_plus": Composite(Z_PLUS),
        "epsilon_plus_flat": Composite(Z_PLUS, first=Flat()),
        "epsilon_gamma_box": Composite(Gamma(), first=ZBox()),
        "epsilon_alpha2_beta1": Composite(AlphaBeta()),
        "epsilon_alpha2_beta1_flat": Composite(AlphaBeta(), first=Flat()),
    }
)
"""The usual composites by name, as zennit calls them; AttnLRP's authors use ``gamma`` for vision transformers."""
CompositeName = Literal[
    "epsilon", "gamma", "epsilon_plus", "epsilon_plus_flat", "epsilon_gamma_box", "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
]  # fmt: skip


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """Moves z away from 0 by epsilon, 0 itself upwards."""
    return z + torch.where(z < 0, -epsilon, epsilon).to(z.dtype)


def _half(sign: int) -> tuple[float | None, float | None]:
    """Returns the bounds of `Tensor.clamp` for the positive or the negative part."""
    return (0.0, None) if sign > 0 else (None, 0.0)


def _divide(
    layer: Layer, parts: list[tuple[Tensor, Tensor]], bias: Tensor | float, share: Tensor, epsilon: float
) -> Tensor:
    """Divides relevance among the products of `parts`, and returns that of the input over the input.

    Args:
        layer: The layer.
        parts: Inputs of one sign (or all inputs, if there is only this one), with the weights that they meet.
        bias: What is added to the products; it keeps its share.
        share: The outputs' relevance.
        epsilon: Keeps denominators from 0.
    """
    products = [layer.product(x, weight) for x, weight in parts]
    total = products[0][0] if len(products) == 1 else products[0][0] + products[1][0]
    rates = share / stabilised(total + bias, epsilon)
    first = products[0][1](rates)
    if len(products) == 1:
        return first
    return torch.where(layer.x < 0, products[1][1](rates), torch.where(layer.x > 0, first, 0))


def _spread(layer: Layer, weight: Tensor, bias: Tensor | float, g: Tensor, epsilon: float) -> Tensor:
    total, back = layer.product(torch.ones_like(layer.x), weight)
    return back(g * layer.output / stabilised(total + bias, epsilon))
