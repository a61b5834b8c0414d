"""Measures saliency maps: faithfulness, localization, agreement and sanity checks."""

import warnings
from typing import Any

from cv_attention.saliency.metrics._mosaics import Mosaics, grid_pointing_game, mosaics
from cv_attention.saliency.metrics._road import Road, road
from cv_attention.saliency.metrics.agreement import rank_correlation, structural_similarity
from cv_attention.saliency.metrics.composite import Arcc, arcc
from cv_attention.saliency.metrics.concentration import complexity, sparseness
from cv_attention.saliency.metrics.confidence import Confidence, confidence_change
from cv_attention.saliency.metrics.faithfulness import Curve, deletion_auc, insertion_auc
from cv_attention.saliency.metrics.pointing import energy_pointing_game, pointing_game, relevance_rank_accuracy
from cv_attention.saliency.metrics.randomisation import Rise, efficient_randomisation, smooth_randomisation
from cv_attention.saliency.metrics.sanity import Randomised, cascading_randomisation
from cv_attention.saliency.metrics.selecting import selectivity
from cv_attention.saliency.metrics.sensitivity import infidelity, max_sensitivity

__all__ = [
    "Arcc", "Confidence", "Curve", "Mosaics", "Randomised", "Rise", "Road", "arcc", "cascading_randomisation",
    "complexity", "confidence_change", "deletion_auc", "efficient_randomisation", "energy_pointing_game",
    "grid_pointing_game", "infidelity", "insertion_auc", "max_sensitivity", "mosaics", "pointing_game",
    "rank_correlation", "relevance_rank_accuracy", "road", "selectivity", "smooth_randomisation", "sparseness",
    "structural_similarity",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in ("bootstrap", "Interval"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cv_attention import statistics

    where = f"cv_attention.statistics.{name}"
    warnings.warn(f"{__name__}.{name} is deprecated; use {where}", DeprecationWarning, stacklevel=2)
    return getattr(statistics, name)
