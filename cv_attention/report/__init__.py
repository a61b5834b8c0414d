"""A training run as one folder of static files that opens from ``file://``: `build`."""

from cv_attention.report.writer import build

__all__ = ["build"]
