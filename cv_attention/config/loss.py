"""Configures the loss of a classifier or a regressor."""

from dataclasses import dataclass
from typing import Literal

from cv_attention.config.bounds import bounded


@dataclass
class Loss:
    """Configures the loss of a classifier or a regressor; ``optimizer.label_smoothing`` smooths its labels.

    Attributes:
        name: ``cross_entropy``, ``bce`` (binary cross-entropy of each class by itself) or ``focal`` (Lin et al., ICCV
            2017); of numbers ``mse``, ``l1`` or ``huber``. ``auto`` is ``cross_entropy`` for one class per image,
            ``bce`` for several, and ``mse`` for numbers.
        class_weights: Weight of each class by its name, 1 for those that are not named. With one class per image it
            multiplies the loss of the images of the class; with several, that of the images that have the class
            (``pos_weight`` in torch). ``balanced`` computes the weights from the training images: N / (C n_c), or
            (N - n_c) / n_c with several classes per image, for n_c of N images and C classes. Null weights nothing.
        target_threshold: For ``bce``: smoothed or mixed labels above this count as 1, others as 0; null keeps them.
        sum_classes: For ``bce`` and ``focal``: add up the classes' losses instead of taking their mean.
        focal_gamma: Exponent of the focal loss; 0 is ``bce`` weighted by `focal_alpha`.
        focal_alpha: Weight of the images that have a class in the focal loss, of those that have not its complement to
            1; null weights both alike.

    Examples:
        >>> from cv_attention.config import Experiment, Loss
        >>> Experiment(loss=Loss("bce", class_weights="balanced")).loss.target_threshold is None
        True
    """

    name: Literal["auto", "cross_entropy", "bce", "focal", "mse", "l1", "huber"] = "auto"
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    target_threshold: float | None = bounded(None, "(0, 1)")
    sum_classes: bool = False
    focal_gamma: float = bounded(2.0, "[0, inf)")
    focal_alpha: float | None = bounded(0.25, "[0, 1]")
