"""Evaluates saliency methods by many measures on a data split, as one table."""

from cv_attention.judging.judged import Judged
from cv_attention.judging.measures import Case, Measure
from cv_attention.judging.recommendation import Verdict
from cv_attention.judging.run import evaluate_saliency
from cv_attention.judging.tables import printed, write
from cv_attention.judging.tuning import Tuned, tune_saliency

__all__ = [
    "Case", "Judged", "Measure", "Tuned", "Verdict", "evaluate_saliency", "printed", "tune_saliency", "write",
]  # fmt: skip
