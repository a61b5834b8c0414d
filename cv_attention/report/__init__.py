"""Builds the HTML report of a training run: one folder of static files that opens from ``file://``."""

from cv_attention.report.writer import build

__all__ = ["build"]
