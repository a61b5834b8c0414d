"""Compares finished runs with a reference: differences, intervals and verdicts."""

from cv_attention.comparison.compare import Comparison, compare
from cv_attention.comparison.tables import Row, Table

__all__ = ["Comparison", "Row", "Table", "compare"]
