"""Evaluates saliency methods by many measures on a data split, as one table."""

from cv_attention.judging.measures import Case, Measure
from cv_attention.judging.run import Judged, evaluate_saliency
from cv_attention.judging.tables import printed, write

__all__ = ["Case", "Judged", "Measure", "evaluate_saliency", "printed", "write"]
