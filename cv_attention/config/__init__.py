"""The configuration of an experiment, as one tree of typed dataclasses with their bounds. Imports no torch.

A YAML file, dotted options on the command line, a run's ``config.yaml`` and a checkpoint all hold this same tree.
"""

from cv_attention.config.data import BAG_SOURCES, SOURCES, TEXT_SOURCES, TORCHVISION, Data, Transform, is_source
from cv_attention.config.experiment import Experiment
from cv_attention.config.exports.reading import ReadingExport
from cv_attention.config.exports.recall import RecallExport
from cv_attention.config.exports.saliency import PictureFormat, SaliencyExport
from cv_attention.config.log import Log
from cv_attention.config.loss import Loss
from cv_attention.config.lr_scale import LrScale
from cv_attention.config.model import BlockSpec, HeadSpec, Model
from cv_attention.config.optimizer import Optimizer
from cv_attention.config.sources.digits import Bags, Digits
from cv_attention.config.sources.episodes import Episodes
from cv_attention.config.sources.strings import Strings
from cv_attention.config.sources.table import Table
from cv_attention.config.sources.text import Text
from cv_attention.config.subset import Subset
from cv_attention.config.trainer import Trainer

__all__ = [
    "BAG_SOURCES", "SOURCES", "TEXT_SOURCES", "TORCHVISION", "Bags", "BlockSpec", "Data", "Digits", "Episodes",
    "Experiment", "HeadSpec", "Log", "Loss", "LrScale", "Model", "Optimizer", "PictureFormat", "ReadingExport",
    "RecallExport", "SaliencyExport", "Strings", "Subset", "Table", "Text", "Trainer", "Transform", "is_source",
]  # fmt: skip
