"""Attention maps while a model runs, any map as a heatmap, and numbers from maps."""

from cv_attention.maps.heatmap import head_heatmaps, query_heatmaps, to_heatmap
from cv_attention.maps.record import record
from cv_attention.maps.recorded import Maps, RecordedMap, Windows
from cv_attention.maps.rollout import rollout
from cv_attention.maps.statistics import GateSummary, attention_distance, attention_entropy, gate_statistics
from cv_attention.maps.usage import BlockUsage, Usage, usage

__all__ = [
    "BlockUsage", "GateSummary", "Maps", "RecordedMap", "Usage", "Windows", "attention_distance", "attention_entropy",
    "gate_statistics", "head_heatmaps", "query_heatmaps", "record", "rollout", "to_heatmap", "usage",
]  # fmt: skip
