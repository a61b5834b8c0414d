"""Opens a pretrained network as if it came from a training run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from cv_attention import backbones
from cv_attention.backbones.models.new_head import logit_layers
from cv_attention.backbones.models.preprocessing import pretrained_classes
from cv_attention.config import Data, Experiment, Model, Trainer
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.rundir.facts import DataFacts
from cv_attention.training import preprocessing
from cv_attention.training.checkpoint import initial
from cv_attention.training.checkpoint.checkpoints import find_checkpoint
from cv_attention.training.class_names import known_classes
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.network import NotDownloaded

_TRIED = (480, 640)  # an image on which the transforms are tried


def open_pretrained(model: Model, data: Data) -> Classifier:
    """Builds a pretrained network with its own preprocessing and class names, ready to be tested or explained.

    Computes in float32. What `data` leaves open (mean, std, transforms) is what the weights expect.

    Args:
        model: The network: ``pretrained``, or with ``weights`` from a file of another program.
        data: Location of labelled images, and overrides of the preprocessing that the weights expect.

    Returns:
        The network in eval mode, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the backbone is unknown, its weights cannot be downloaded, the file holds no weights of this
            network, or it belongs to a run of ours, which has its own way to be opened.

    Examples:
        >>> from cv_attention import config, training
        >>> model = config.Model(backbone="timm/resnet18", pretrained=True)
        >>> photos = config.Data(name="folder", root="photos")
        >>> classifier = training.open_pretrained(model, photos)  # doctest: +SKIP
        >>> len(classifier.facts.class_names)  # doctest: +SKIP
        1000
    """
    if model.weights:
        path = find_checkpoint(Path(model.weights).expanduser())
        if initial.stated(path) is not None:
            raise ValueError(
                f"{path} was trained here and knows its network: give it in place of --model and --weights"
            )
        classes = _classes_of(path, model)
    else:
        classes = pretrained_classes(model.backbone, model.options)
    experiment = Experiment(data=data, model=model, trainer=Trainer(precision="32-true"))
    experiment, _ = preprocessing.adopt(experiment)
    mean, std = experiment.data.mean, experiment.data.std
    if mean is None or std is None:
        raise ValueError(f"nothing is known of how {model.backbone} wants its images: give data.mean and data.std")
    names, ids = known_classes(classes)
    facts = DataFacts(names, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), _size(experiment.data), ids)
    try:
        classifier = Classifier(experiment, facts)
    except NotDownloaded as error:
        raise ValueError(f"{error.args[0]}; give a file of them in place of pretrained") from error
    if model.weights:
        initial.load(classifier.network, model, list(names))
    return classifier.eval()


def _classes_of(path: Path, model: Model) -> int:
    """Counts the logits of the classifier in a file."""
    state, _ = initial.read(path)
    network = backbones.build(model.backbone, **model.options)
    if model.weights_by == "position":
        state = initial.by_position(state, network, path)
    for name in logit_layers(network):
        weight = state.get(f"{name}.weight")
        if isinstance(weight, Tensor):
            return len(weight)
    initial.load(network, replace(model, train="all"), [])  # says what does not fit
    raise ValueError(f"{path} has no head: it lacks {', '.join(f'{name}.weight' for name in logit_layers(network))}")


def _size(data: Data) -> tuple[int, int]:
    """(H, W) of images after the evaluation transforms."""
    image, _ = Pipeline(data.eval_transforms, "data.eval_transforms")(np.zeros((*_TRIED, 3), np.uint8), (0, 0, 0))
    return image.shape[0], image.shape[1]
