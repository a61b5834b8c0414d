"""Converts runs and saliency exports to the layouts of other programs: FiftyOne's and COCO's."""

from cv_attention.report.convert.coco import to_coco
from cv_attention.report.convert.fiftyone import to_fiftyone

__all__ = ["to_coco", "to_fiftyone"]
