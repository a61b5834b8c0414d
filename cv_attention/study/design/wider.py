"""Widens a plain network to as many parameters as one with a block has."""

from dataclasses import replace
from typing import Any

from cv_attention.config import Experiment, Model

TOLERANCE = 0.02  # of the parameters
_OPTION = "model.options.branch_widths"


def matched(plain: Experiment, attended: Experiment) -> tuple[dict[str, Any], str]:
    """Widens the branches of a plain ResNet until it has as many parameters as one with a block.

    The channels between the two convolutions of a residual branch belong to nobody else, so the rest of the network
    stays as it is. Channels are added one by one where the branch was widened least, as long as they fit.

    Args:
        plain: Configuration of the network without the block.
        attended: Configuration of the network with it.

    Returns:
        The changes, dotted option -> value, and a line that says how close the match is; no changes where the block
        adds no parameters.

    Raises:
        ValueError: if the network is not one of our ResNets, or the match misses by more than 2 %.
    """
    wanted, units = _parameters(attended.model), _units(plain.model)
    widths = [width for width, _ in units]
    start = _parameters(plain.model)
    left = wanted - start
    while fitting := [n for n, (_, cost) in enumerate(units) if cost <= left]:
        chosen = min(fitting, key=lambda n: (widths[n] / units[n][0], n))
        widths[chosen] += 1
        left -= units[chosen][1]
    reached = wanted - left
    if abs(left) > TOLERANCE * wanted:
        raise ValueError(
            f"controls.match: {plain.model.backbone} cannot be widened to {wanted:,} parameters within "
            f"{TOLERANCE:.0%}; it would have {reached:,}"
        )
    if reached == start:
        return {}, ""
    note = f"{reached:,} of {wanted:,} parameters ({100 * reached / wanted - 100:+.2f} %)"
    return {_OPTION: widths}, note


def _units(model: Model) -> list[tuple[int, int]]:
    """Returns, for each residual block, the width of its branch and what one more channel costs."""
    from cv_attention.backbones.models.cifar_resnet import BasicBlock
    from cv_attention.backbones.models.wide_resnet import PreActivationBlock

    network = _built(replace(model, block=None, head=None))
    found = [module for module in network.modules() if isinstance(module, BasicBlock | PreActivationBlock)]
    if not found or model.backbone.count("."):
        raise ValueError(f"controls.match widens our ResNets (resnet20, wrn16_8, ...), not {model.backbone}")
    return [(block.conv1.out_channels, 9 * (block.conv1.in_channels + block.conv2.out_channels) + 2) for block in found]


def _parameters(model: Model) -> int:
    return sum(parameter.numel() for parameter in _built(model).parameters())


def _built(model: Model) -> Any:
    """Builds a network, with a head of ten classes: the number of classes does not change what a block adds."""
    from cv_attention.training import build_network

    return build_network(replace(model, pretrained=False, weights=None, train="all"), 10, (32, 32))[0]
