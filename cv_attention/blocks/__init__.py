"""Attention blocks: modules from (B, C, H, W) to (B, C, H, W) that need torch alone.

    from cv_attention import blocks

    block = blocks.create("cbam", 64, reduction=8)      # by name, options checked
    block = blocks.CBAM(64, reduction=8)                # the same, by class
    blocks.CATALOGUE["cbam"].paper                      # name -> Entry: class, family, paper, year, maps
    blocks.cost("cbam", 64, 56, 56).flops               # parameters and operations, nothing computed

Public names: `CATALOGUE`, `Entry`, `create`, `resolve`, `cost`, `Cost`, `AttentionMap`, `Block`, `Gate`, and
every block's class.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cv_attention.blocks.catalogue import CATALOGUE, Entry

if TYPE_CHECKING:
    from cv_attention.blocks.base import AttentionMap, Block, Gate
    from cv_attention.blocks.construction import create, resolve
    from cv_attention.blocks.counting import Cost, cost

__all__ = ["CATALOGUE", "AttentionMap", "Block", "Cost", "Entry", "Gate", "cost", "create", "resolve"]

# Where each name lives; torch is imported with the first of them.
_NAMES = {
    "AttentionMap": "base",
    "Block": "base",
    "Gate": "base",
    "create": "construction",
    "resolve": "construction",
    "Cost": "counting",
    "cost": "counting",
    **{path.rsplit(".", 1)[1]: path.rsplit(".", 1)[0] for path in (e.path for e in CATALOGUE.values())},
}


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
