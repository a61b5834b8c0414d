"""Scores: what a query and a key make of each other before the softmax, one file per kind.

Every function takes queries (..., Q, d) and keys (..., K, d') first, then its weights, and returns (..., Q, K). A new
kind (additive, general, gated) is one file here with a function ``<kind>_scores``, exported below, and its equation
rewritten plainly in `tests/blocks/functional/test_scores.py`.
"""

from cv_attention.blocks.functional.scores.concat import concat_scores
from cv_attention.blocks.functional.scores.dot import dot_scores

__all__ = ["concat_scores", "dot_scores"]
