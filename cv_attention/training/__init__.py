"""Training, testing and the run directory that both leave behind."""

from cv_attention.training.checkpoints import find_checkpoint, load
from cv_attention.training.classifier import Classifier, DataFacts
from cv_attention.training.evaluation import evaluate
from cv_attention.training.fit import fit
from cv_attention.training.interruption import Terminated
from cv_attention.training.launched import LostProcess
from cv_attention.training.losses import NonFiniteLoss
from cv_attention.training.opening import open_pretrained
from cv_attention.training.preparation import Prepared, prepare
from cv_attention.training.saving import NotWritten
from cv_attention.training.settling import NothingTrained

__all__ = [
    "Classifier", "DataFacts", "LostProcess", "NonFiniteLoss", "NotWritten", "NothingTrained", "Prepared", "Terminated",
    "evaluate", "find_checkpoint", "fit", "load", "open_pretrained", "prepare",
]  # fmt: skip
