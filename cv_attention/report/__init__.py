"""A training run as one folder of static files that opens from ``file://``: `build` writes it, `Recorder` feeds it.

`build` reads run directories and needs no torch; `Recorder` makes them from any training loop.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cv_attention.report.write.build import build

if TYPE_CHECKING:
    from cv_attention.recording import Recorder
    from cv_attention.report.convert import to_coco, to_fiftyone
    from cv_attention.report.sheets import animation, figure
    from cv_attention.report.showing import Shown, show
    from cv_attention.report.watch import Watch

# Where the other names live: what writes pages needs none of it, and no torch.
_MODULES = {
    "Recorder": "cv_attention.recording",
    "Shown": "cv_attention.report.showing",
    "Watch": "cv_attention.report.watch",
    "animation": "cv_attention.report.sheets",
    "figure": "cv_attention.report.sheets",
    "show": "cv_attention.report.showing",
    "to_coco": "cv_attention.report.convert",
    "to_fiftyone": "cv_attention.report.convert",
}

__all__ = ["Recorder", "Shown", "Watch", "animation", "build", "figure", "show", "to_coco", "to_fiftyone"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
