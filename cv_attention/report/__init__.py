"""A training run as one folder of static files that opens from ``file://``: `build`."""

from cv_attention.report.write.build import build

__all__ = ["build"]
