"""Attention for computer vision: insert blocks into CNNs, train with them, look at their maps.

Examples:
    >>> import numpy as np
    >>> import torch
    >>> import cv_attention as cva
    >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()  # or any vision model of yours
    >>> images, photograph = torch.randn(2, 3, 32, 32), np.zeros((224, 224, 3), np.uint8)
    >>> plan = cva.plan(model, "cbam", at="residual")  # print(plan) shows a table; nothing has changed
    >>> plan = cva.insert(model, "cbam", at="residual", init="identity")
    >>> cva.usage(model, images).blocks[0].change  # how far the first block is from the identity
    0.0
    >>> with cva.record(model) as maps:  # {module name: attention map}
    ...     logits = model(images)
    >>> len(maps)
    18
    >>> heat = cva.saliency.grad_cam(model, images)
    >>> heat.shape
    torch.Size([2, 1, 32, 32])
    >>> cva.overlay(photograph, heat[:1]).shape
    (224, 224, 3)
    >>> len(cva.remove(model))
    9
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cv_attention.version import __version__ as __version__

if TYPE_CHECKING:
    from cv_attention import backbones, blocks, data, heads, hub, maps, report, saliency, study, training
    from cv_attention.backbones import LostBlocksWarning, insert, plan, remove
    from cv_attention.drawing import overlay, overlay_slices
    from cv_attention.hub import load
    from cv_attention.maps import record, show, to_heatmap, usage

# Where each public name lives. Nothing of it, nor torch, is imported before it is used.
_MODULES = ("backbones", "blocks", "data", "heads", "hub", "maps", "report", "saliency", "study", "training")
_APPLICATION = ("data", "hub", "load", "report", "study", "training")  # which need the packages of the extra `train`
_NAMES = {
    "plan": "backbones",
    "insert": "backbones",
    "remove": "backbones",
    "LostBlocksWarning": "backbones",
    "record": "maps",
    "show": "maps",
    "to_heatmap": "maps",
    "usage": "maps",
    "overlay": "drawing",
    "overlay_slices": "drawing",
    "load": "hub",
}

__all__ = [
    "LostBlocksWarning", "backbones", "blocks", "data", "heads", "hub", "insert", "load", "maps", "overlay",
    "overlay_slices", "plan", "record", "remove", "report", "saliency", "show", "study", "to_heatmap", "training",
    "usage",
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
