"""A training run as one folder of static files that opens from ``file://``: `build` writes it, `Recorder` feeds it.

from cv_attention import report

report.build(["runs/a", "runs/b"], "comparison")                        # from run directories; needs no torch
with report.Recorder("runs/mine", images, labels, class_names) as recorder:  # from any training loop
    recorder.log(model, epoch, val_accuracy=accuracy)
"""

from typing import TYPE_CHECKING, Any

from cv_attention.report.write.build import build

if TYPE_CHECKING:
    from cv_attention.recording import Recorder

__all__ = ["Recorder", "build"]


def __getattr__(name: str) -> Any:
    if name == "Recorder":  # which runs models: what reads and writes pages needs no torch
        from cv_attention.recording import Recorder

        return Recorder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
