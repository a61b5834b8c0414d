"""Defines the facts of a data set that a trained network carries along."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """Facts of the data set that a network needs.

    Attributes:
        class_names: Name of each class, in the order of the logits.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        image_size: Height and width of the images in pixels.
        class_ids: Other names of the same classes, such as WordNet's, by which a pretrained network's data are found;
            empty for a network trained here, whose data must have `class_names`.
    """

    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: tuple[int, int]
    class_ids: tuple[str, ...] = ()
