"""Describes a network for the summary of a run: its parts, its size, and the blocks inserted into it."""

from typing import Any

from torch import Tensor, nn

from cv_attention import backbones
from cv_attention.backbones.attachment.attach import attached
from cv_attention.blocks.catalogue import CATALOGUE
from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.state import undisturbed


def described(network: nn.Module, inputs: Tensor) -> dict[str, Any]:
    """Returns the fields of ``summary.json`` that tell what a network is; no more than what could be measured.

    Args:
        network: The network, with blocks inserted or not.
        inputs: At least one image (N, C, H, W) as it takes them.

    Returns:
        ``parameters``, ``sites``, and, where one image alone can be run, ``flops`` and ``network``.
    """
    network = unwrap(network)
    description: dict[str, Any] = {"parameters": sum(parameter.numel() for parameter in network.parameters())}
    description["sites"] = _sites(network, inputs[:1])
    try:
        outline = backbones.outline(network, tuple(inputs.shape[1:]))
    except Exception:  # whatever the forward of a foreign network provokes on made-up numbers
        return description
    return description | {"flops": outline["flops"], "network": outline["parts"]}


def block_names(network: nn.Module) -> list[str]:
    """Names the kinds of blocks that were inserted: those of the catalogue by its names, others by their class."""
    paths = {f"cv_attention.blocks.{entry.path}": name for name, entry in CATALOGUE.items()}
    kinds = [type(host.get_submodule(child)) for _, host, child, _ in attached(unwrap(network))]
    return list(dict.fromkeys(paths.get(f"{kind.__module__}.{kind.__qualname__}", kind.__name__) for kind in kinds))


def _sites(network: nn.Module, inputs: Tensor) -> list[dict[str, Any]]:
    """Returns every inserted block, with the size of its feature map."""
    sites, hooks = [], []
    for name, host, child, place in attached(network):
        block = host.get_submodule(child)
        site = {"name": name, "host": type(host).__name__, "block": f"{name}.{child}".lstrip("."), "place": place}
        site |= {"label": type(block).__name__, "parameters": sum(value.numel() for value in block.parameters())}
        sites.append(site)
        hooks.append(block.register_forward_pre_hook(_measure(site)))
    try:
        if sites:
            with undisturbed(network, inputs.device.type):
                network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return sites


def _measure(site: dict[str, Any]) -> Any:
    def hook(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        if arguments and isinstance(arguments[0], Tensor) and arguments[0].dim() == 4:
            site.update(zip(("channels", "height", "width"), arguments[0].shape[1:], strict=True))

    return hook
