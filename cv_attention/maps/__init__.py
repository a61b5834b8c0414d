"""Attention maps while a model runs, and any map as a heatmap."""

from cv_attention.maps.heatmap import head_heatmaps, query_heatmaps, to_heatmap
from cv_attention.maps.record import record
from cv_attention.maps.recorded import Maps, RecordedMap
from cv_attention.maps.rollout import rollout

__all__ = ["Maps", "RecordedMap", "head_heatmaps", "query_heatmaps", "record", "rollout", "to_heatmap"]
