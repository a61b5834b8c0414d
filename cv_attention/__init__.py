"""Attention for computer vision: insert blocks into CNNs, train with them, look at their maps.

import cv_attention as cva

print(cva.plan(model, "cbam", at="residual"))           # a table; nothing changed
cva.insert(model, "cbam", at="residual", init="identity")
print(cva.usage(model, images))                         # how far each block is from the identity
with cva.record(model) as maps:                         # {module name: attention map}
    model(images)
heat = cva.saliency.grad_cam(model, images)             # (B, 1, H, W)
picture = cva.overlay(photograph, heat[:1])             # (H, W, 3) uint8
cva.remove(model)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cv_attention.version import __version__ as __version__

if TYPE_CHECKING:
    from cv_attention import backbones, blocks, data, maps, report, saliency, training
    from cv_attention.backbones import LostBlocksWarning, insert, plan, remove
    from cv_attention.drawing import overlay
    from cv_attention.maps import record, to_heatmap, usage

# Where each public name lives. Nothing of it, nor torch, is imported before it is used.
_MODULES = ("backbones", "blocks", "data", "maps", "report", "saliency", "training")
_APPLICATION = ("data", "report", "training")  # which need the packages of the extra `train`
_NAMES = {
    "plan": "backbones",
    "insert": "backbones",
    "remove": "backbones",
    "LostBlocksWarning": "backbones",
    "record": "maps",
    "to_heatmap": "maps",
    "usage": "maps",
    "overlay": "drawing",
}

__all__ = [
    "LostBlocksWarning", "backbones", "blocks", "data", "insert", "maps", "overlay", "plan", "record", "remove",
    "report", "saliency", "to_heatmap", "training", "usage",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _APPLICATION:
        from cv_attention.extras import require

        require("train", f"{__name__}.{name}")
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})
