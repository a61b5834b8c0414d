"""Names many images by a few labelled ones that a trained network is shown, and shows which of them decided."""

from cv_attention.recall_export.run import LeftOut, RecalledImages, leave_one_out, recall_images
from cv_attention.recall_export.support import Support, open_support

__all__ = ["LeftOut", "RecalledImages", "Support", "leave_one_out", "open_support", "recall_images"]
