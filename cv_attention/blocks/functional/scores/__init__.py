"""Scores: what a query and a key make of each other before the softmax, one file per kind.

Most functions take queries (..., Q, d) and keys (..., K, d') first, then their weights, and return (..., Q, K). A new
kind is one file here with a function ``<kind>_scores``, exported below, and its equation rewritten plainly in
`tests/blocks/functional/test_scores.py`.
"""

from cv_attention.blocks.functional.scores.additive import additive_scores
from cv_attention.blocks.functional.scores.concat import concat_scores
from cv_attention.blocks.functional.scores.dot import dot_scores
from cv_attention.blocks.functional.scores.gated import gated_scores
from cv_attention.blocks.functional.scores.general import general_scores
from cv_attention.blocks.functional.scores.local import local_scores

__all__ = ["additive_scores", "concat_scores", "dot_scores", "gated_scores", "general_scores", "local_scores"]
