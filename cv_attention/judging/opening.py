"""Opens the network whose saliency maps are judged."""

from collections.abc import Collection
from pathlib import Path

from cv_attention.training.checkpoint.checkpoints import OtherTask, name_of
from cv_attention.training.checkpoint.finite import require_finite
from cv_attention.training.loading import load
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.labels.multi_label import MultiLabelClassifier


def open_classifier(checkpoint: Path | Classifier, trust: Collection[str]) -> Classifier:
    """Opens a network that tells the one class of each image.

    Args:
        checkpoint: A checkpoint, or an open network, which is returned.
        trust: Modules and classes that the checkpoint may name; see `load`.

    Raises:
        ValueError: if it was trained for something else: measures follow the softmax of one class, and mosaics need
            images without the other classes.
    """
    try:
        classifier = load(checkpoint, trust)
    except OtherTask as error:
        try:
            classifier = load(checkpoint, trust, task=MultiLabelClassifier)
        except OtherTask:
            raise error from None
    if isinstance(classifier, MultiLabelClassifier):
        raise ValueError(
            f"{name_of(checkpoint)} finds several classes in an image, but measures of saliency are of networks that "
            "tell the one class of each; cv-attention saliency shows the maps of a class that you name (--target)"
        )
    return require_finite(classifier, checkpoint)
