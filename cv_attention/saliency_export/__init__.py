"""Exports saliency maps of many images: sources, batches, maps, pictures and output folder."""

from cv_attention.saliency_export.run import Exported, export_saliency

__all__ = ["Exported", "export_saliency"]
