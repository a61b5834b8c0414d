"""Finds the attention maps of modules, ours and third-party ones: one file per library.

A module is known by the name of its class or a base class, so that no library is imported to look. To add one, give its
class a line in the library's table.
"""

import re
from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap
from cv_attention.blocks.place_draw import PlaceDraw
from cv_attention.blocks.windows import WindowMap
from cv_attention.maps.adapters import doctr, huggingface, pytorch, timm, torchvision
from cv_attention.maps.adapters.adapter import Adapter, by_softmax, of_places, output_of
from cv_attention.maps.adapters.layouts import tokens
from cv_attention.maps.recorded import RecordedMap, Windows

_ADAPTERS: dict[str, Adapter] = {
    **pytorch.ADAPTERS,
    **torchvision.ADAPTERS,
    **timm.ADAPTERS,
    **huggingface.ADAPTERS,
    **doctr.ADAPTERS,
}
_LOOKS_LIKE = re.compile("attention|attn", re.IGNORECASE)


def add_adapter(module: type[nn.Module] | str, adapter: Adapter) -> None:
    """Says how `record` sees the attention maps of a class of modules that it does not know; subclasses follow.

    A module of your own needs no adapter: it passes its map through a child ``cv_attention.blocks.AttentionMap(kind)``.
    Call it next to the import of the library; a second call for the same class replaces the first.

    Args:
        module: The class, or its full name, ``"their_package.layers.Attention"``, so that nothing has to be imported.
        adapter: How the map is seen, see `output_of` and `by_softmax`.

    Raises:
        ValueError: if the name has no module, or `adapter` is not an `Adapter`.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> class TheirGate(torch.nn.Module):  # of a library that `record` does not know
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.sigmoid = torch.nn.Sigmoid()
        ...     def forward(self, x):
        ...         return x * self.sigmoid(x.mean(1, keepdim=True))
        >>> cva.maps.add_adapter(TheirGate, cva.maps.output_of("sigmoid", "spatial"))
        >>> model = torch.nn.Sequential(TheirGate())
        >>> with cva.record(model) as maps:
        ...     y = model(torch.zeros(1, 8, 7, 7))
        >>> maps
        map  kind     shape    range
        0    spatial  1x1x7x7  0.5..0.5
    """
    known = isinstance(module, type) and issubclass(module, nn.Module)
    if not known and not (isinstance(module, str) and "." in module):
        raise ValueError(
            f"module must be a class or its full name, such as 'their_package.Attention', got {module!r:.60}"
        )
    name = module if isinstance(module, str) else f"{module.__module__}.{module.__qualname__}"
    if not isinstance(adapter, Adapter):
        raise ValueError(f"adapter must be an Adapter, as output_of or by_softmax return, got {adapter!r:.60}")
    _ADAPTERS[name] = adapter


def adapter_of(module: nn.Module) -> Adapter | None:
    """Returns how the map of `module` itself is seen, or None where it has none; its children are not looked at."""
    if isinstance(module, WindowMap):
        return output_of("", "pairwise", partial(_in_windows, module))
    if isinstance(module, PlaceDraw):
        return of_places()
    if isinstance(module, AttentionMap):
        return output_of("", module.kind)  # pyright: ignore[reportArgumentType]
    for base in type(module).__mro__:
        adapter = _ADAPTERS.get(f"{base.__module__}.{base.__qualname__}")
        if adapter is not None:
            return adapter
    return None


def _in_windows(map: WindowMap, values: Tensor) -> RecordedMap:
    """Turns attention to a window of each position, (B, heads, H, W, h, w), into a map with these windows."""
    size = (values.shape[2], values.shape[3])
    windows = Windows(map.keys(*size, values.device), size)
    return RecordedMap(values.flatten(2, 3), "pairwise", windows=windows)


def adapters_of(modules: Mapping[str, nn.Module]) -> dict[str, Adapter]:
    """Returns how the maps of a model are seen, by module name, in the order of the modules.

    Modules that no table knows, but whose class is called attention, are watched for a softmax: the innermost of them.
    """
    known = {name: adapter for name, module in modules.items() if (adapter := adapter_of(module)) is not None}
    spoken_for = [f"{name}.{part}" if name else part for name, adapter in known.items() for part in adapter.speaks_for]
    for name in list(known):
        if any(name == other or name.startswith(other + ".") for other in spoken_for):
            del known[name]
    alike = [name for name, module in modules.items() if _LOOKS_LIKE.search(type(module).__name__)]
    found = {}
    for name in modules:
        inside = [other for other in (*known, *alike) if other != name and (not name or other.startswith(name + "."))]
        covered = any(name == other or name.startswith(other + ".") for other in (*known, *spoken_for))
        if name in known:
            found[name] = known[name]
        elif name in alike and not inside and not covered:
            found[name] = by_softmax(tokens)
    return found
