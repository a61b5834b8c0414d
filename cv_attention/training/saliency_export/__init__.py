"""Saliency of many images: sources, batches, maps, pictures and the folder that they go to."""

from cv_attention.training.saliency_export.run import Exported, export_saliency

__all__ = ["Exported", "export_saliency"]
