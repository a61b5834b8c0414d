"""Lists the parts of a network in forward order, as plain values for a drawing."""

from typing import Any

from torch import Tensor, nn

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.tracing.dry_run import InputSize, example_input, input_shapes, untouched
from cv_attention.backbones.tracing.flops import CountFlops

_FEWEST = 2  # children that make a container worth opening: the residual blocks of a stage


def outline(network: nn.Module, input_size: InputSize | None = None) -> dict[str, Any]:
    """Runs one image through a network and describes its parts; the network is left unchanged.

    Args:
        network: Any network of images.
        input_size: Side, (H, W) or (C, H, W) of the image, in pixels; by default the network's own.

    Returns:
        ``parameters`` and ``flops`` (of one image, a multiply-add counts as two) of the whole; ``parts``, the
        top-level modules that ran, in that order, each with ``name``, ``type``, ``shape`` of its output without the
        batch (None where it is not a tensor), ``parameters``, ``flops``, and ``parts`` where it is a container, such as
        a stage of residual blocks. Inserted blocks are inside of their hosts.

    Examples:
        >>> import cv_attention as cva
        >>> outline = cva.backbones.outline(cva.backbones.build("resnet20", num_classes=10))
        >>> outline["parameters"], outline["flops"]
        (269722, 81102080)
        >>> [(part["name"], part["shape"]) for part in outline["parts"]][-2:]
        [('layer3', [64, 8, 8]), ('fc', [10])]
    """
    blocks = {f"{host}.{child}" if host else child for host, _, child, _ in attached(network)}
    watched = _watched(network, blocks)
    seen: dict[str, dict[str, Any]] = {}
    handles = []
    with CountFlops() as counter, untouched(network):
        for name, module in watched.items():
            entry = {"name": name, "type": type(module).__name__, "shape": None, "flops": 0}
            entry["parameters"] = sum(p.numel() for p in module.parameters())
            handles += _watch(module, entry, seen, counter)
        try:
            network(example_input(network, input_shapes(network, input_size)[0]))
        finally:
            for handle in handles:
                handle.remove()
        total = counter.flops
    whole = sum(p.numel() for p in network.parameters())
    return {"parameters": whole, "flops": total, "parts": _nested(seen)}


def _watched(network: nn.Module, blocks: set[str]) -> dict[str, nn.Module]:
    """Returns the top-level modules, and the children of those that are containers."""
    watched: dict[str, nn.Module] = {}
    for name, module in network.named_children():
        if name in blocks:
            continue
        watched[name] = module
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(module) >= _FEWEST:
            watched |= {f"{name}.{child}": part for child, part in module.named_children()
                        if f"{name}.{child}" not in blocks}  # fmt: skip
    return watched


def _watch(module: nn.Module, entry: dict[str, Any], seen: dict[str, dict[str, Any]], counter: CountFlops) -> list[Any]:
    before: list[int] = []

    def enter(*_: Any) -> None:
        seen.setdefault(entry["name"], entry)
        before.append(counter.flops)

    def leave(_module: nn.Module, _args: Any, output: Any) -> None:
        entry["flops"] += counter.flops - before.pop()
        entry["shape"] = list(output.shape[1:]) if isinstance(output, Tensor) else None

    # Last among the hooks, so that an inserted block, itself a hook of its host, counts with it.
    return [module.register_forward_pre_hook(enter, prepend=True), module.register_forward_hook(leave)]


def _nested(seen: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Children below their containers; a container that never ran itself, a list of modules, is added."""
    parts: dict[str, dict[str, Any]] = {}
    for name, entry in seen.items():
        top, _, child = name.partition(".")
        if not child:
            parts.setdefault(top, entry | {"parts": []})
            continue
        parent = parts.setdefault(top, {"name": top, "type": "ModuleList", "shape": None, "flops": 0, "parameters": 0})
        parent.setdefault("parts", []).append(entry)
        if parent["type"] == "ModuleList":
            parent["shape"] = entry["shape"]
            for cost in ("flops", "parameters"):
                parent[cost] += entry[cost]
    for part in parts.values():
        if not part.get("parts"):
            part.pop("parts", None)
    return list(parts.values())
