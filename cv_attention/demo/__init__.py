"""Shows on a local page what networks look at in a photograph: the page, and the pictures that it shows."""

from cv_attention.demo.building import page
from cv_attention.demo.explaining import Explainer, Explanation

__all__ = ["Explainer", "Explanation", "page"]
