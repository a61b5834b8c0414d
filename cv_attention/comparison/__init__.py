"""Compares finished runs with a reference: differences, intervals and verdicts.

found = cv_attention.comparison.compare([Path("runs/plain-0"), Path("runs/se-0"), ...], split="val")
"""

from cv_attention.comparison.compare import Comparison, compare
from cv_attention.comparison.tables import Row, Table

__all__ = ["Comparison", "Row", "Table", "compare"]
