"""Inspects a data set before training: reads everything once, and lists what is wrong or unusual."""

from cv_attention.data.inspection.findings import Finding
from cv_attention.data.inspection.inspecting import Inspection, inspect

__all__ = ["Finding", "Inspection", "inspect"]
