"""Evaluates saliency methods by many measures on a data split, as one table."""

from cv_attention.judging.run import Judged, evaluate_saliency
from cv_attention.judging.tables import printed, write

__all__ = ["Judged", "evaluate_saliency", "printed", "write"]
