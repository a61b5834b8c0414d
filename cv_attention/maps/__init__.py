"""Attention maps while a model runs, any map as a heatmap, and numbers from maps.

`add_adapter` says how the maps of a module that `record` does not know are seen, see ``docs/extending.md``.
"""

from cv_attention.maps.adapters import Adapter, add_adapter, by_softmax, output_of
from cv_attention.maps.adapters.layouts import tokens
from cv_attention.maps.gate_usage import BlockUsage, Usage, UsageStatistics, usage
from cv_attention.maps.heatmap import head_heatmaps, query_heatmaps, to_heatmap
from cv_attention.maps.maps_table import Maps
from cv_attention.maps.recorded import RecordedMap, Windows, place_boxes
from cv_attention.maps.recording import record
from cv_attention.maps.rollouts import rollout
from cv_attention.maps.showing import show
from cv_attention.maps.statistics import GateSummary, attention_distance, attention_entropy, gate_statistics

__all__ = [
    "Adapter", "BlockUsage", "GateSummary", "Maps", "RecordedMap", "Usage", "UsageStatistics", "Windows", "add_adapter",
    "attention_distance", "attention_entropy", "by_softmax", "gate_statistics", "head_heatmaps", "output_of",
    "place_boxes", "query_heatmaps", "record", "rollout", "show", "to_heatmap", "tokens", "usage",
]  # fmt: skip
