"""Defines targets for any kind of output: callables from what the model returns to one score per image.

A target of your own is any such function, for example ``lambda output: output["depth"].mean((1, 2, 3))``.
"""

from cv_attention.saliency.targets.boxes import box
from cv_attention.saliency.targets.classes import character, class_score, difference, multi_label, regression
from cv_attention.saliency.targets.dense import segment
from cv_attention.saliency.targets.embeddings import similarity, text

__all__ = [
    "box", "character", "class_score", "difference", "multi_label", "regression", "segment", "similarity", "text",
]  # fmt: skip
