"""Judging saliency: many methods by many measures on a split of the run's own data set, as one table."""

from cv_attention.training.judging.run import Judged, evaluate_saliency
from cv_attention.training.judging.tables import printed, write

__all__ = ["Judged", "evaluate_saliency", "printed", "write"]
