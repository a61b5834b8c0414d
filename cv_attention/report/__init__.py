"""A training run as one folder of static files that opens from ``file://``: `build` writes it, `Recorder` feeds it.

`build` reads run directories and needs no torch; `Recorder` makes them from any training loop.
"""

from typing import TYPE_CHECKING, Any

from cv_attention.report.convert import to_coco, to_fiftyone
from cv_attention.report.sheets import animation, figure
from cv_attention.report.showing import Shown, show
from cv_attention.report.watch import Watch
from cv_attention.report.write.build import build

if TYPE_CHECKING:
    from cv_attention.recording import Recorder

__all__ = ["Recorder", "Shown", "Watch", "animation", "build", "figure", "show", "to_coco", "to_fiftyone"]


def __getattr__(name: str) -> Any:
    if name == "Recorder":  # which runs models: what reads and writes pages needs no torch
        from cv_attention.recording import Recorder

        return Recorder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
