"""Training, testing and the run directory that both leave behind."""

from cv_attention.rundir.facts import DataFacts, EpisodeFacts, ImageFacts, LabelFacts, TextFacts, ValueFacts
from cv_attention.training.callbacks.losses import NonFiniteLoss
from cv_attention.training.checkpoint.checkpoints import find_checkpoint
from cv_attention.training.checkpoint.saving import NotWritten
from cv_attention.training.evaluation import evaluate
from cv_attention.training.fitting import fit
from cv_attention.training.loading import load
from cv_attention.training.opening import open_pretrained
from cv_attention.training.preparation import Prepared, prepare
from cv_attention.training.settling import NothingTrained
from cv_attention.training.stopping.interruption import Terminated
from cv_attention.training.stopping.launched import LostProcess
from cv_attention.training.tasks.bags import BagClassifier
from cv_attention.training.tasks.choosing import task_of
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.labels.multi_label import MultiLabelClassifier
from cv_attention.training.tasks.network import build_network
from cv_attention.training.tasks.policy import Reinforce, draws_of
from cv_attention.training.tasks.reading.transcriber import Transcriber
from cv_attention.training.tasks.recall.recaller import Recaller
from cv_attention.training.tasks.selection import Criterion
from cv_attention.training.tasks.task import Task
from cv_attention.training.tasks.values.regressor import Regressor

__all__ = [
    "BagClassifier", "Classifier", "Criterion", "DataFacts", "EpisodeFacts", "ImageFacts", "LabelFacts", "LostProcess",
    "MultiLabelClassifier", "NonFiniteLoss", "NotWritten", "NothingTrained", "Prepared", "Recaller", "Regressor",
    "Reinforce", "Task", "Terminated", "TextFacts", "Transcriber", "ValueFacts", "build_network", "draws_of",
    "evaluate", "find_checkpoint", "fit", "load", "open_pretrained", "prepare", "task_of",
]  # fmt: skip
