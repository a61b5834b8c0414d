"""Training, testing and the run directory that both leave behind."""

from cv_attention.training.classifier import Classifier, DataFacts
from cv_attention.training.evaluation import evaluate
from cv_attention.training.fit import Prepared, fit, prepare
from cv_attention.training.run import find_checkpoint, load

__all__ = ["Classifier", "DataFacts", "Prepared", "evaluate", "find_checkpoint", "fit", "load", "prepare"]
