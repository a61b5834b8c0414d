"""Combines rules of relevance propagation to composites, as zennit calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from cv_attention.saliency.methods.relevance.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox

__all__ = ["COMPOSITES", "AlphaBeta", "Composite", "Epsilon", "Flat", "Gamma", "WSquare", "ZBox"]


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
