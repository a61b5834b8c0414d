"""Exports readings of many images: texts, confidences, and pictures of where each character was read."""

from cv_attention.reading_export.run import ReadImages, read_images

__all__ = ["ReadImages", "read_images"]
