"""Loads images and labels: data sets, splits, augmentation and batches.

module = cv_attention.data.create(config)       # a LightningDataModule; config is cv_attention.config.Data
image = cv_attention.data.read_image("cat.jpg")  # uint8 (H, W, 3) RGB, for any kind of image
"""

from typing import TYPE_CHECKING, Any

from cv_attention.config import Data
from cv_attention.data.decoding.decode import ImageError, read_image

if TYPE_CHECKING:
    import numpy as np

    from cv_attention.data.datamodule import ImageData
    from cv_attention.data.module import DataModule

__all__ = ["DataModule", "ImageError", "create", "read_image", "training_labels"]


def create(config: Data, *, seed: int | None = None) -> "ImageData":
    """Creates the Lightning datamodule of a configuration.

    Args:
        config: The data set, its splits and its transforms.
        seed: Seed of shuffling and augmentation; None takes `config.seed`, which also decides the held-out
            split.

    Raises:
        ValueError: if a value of the configuration, or the name or an argument of a transform, is wrong.
    """
    from cv_attention.data.datamodule import ImageData

    return ImageData(config, seed=seed)


def training_labels(config: Data) -> "np.ndarray":
    """Returns the labels (N,) of the training split before holding out validation, in the order of fold indices.

    Raises:
        FileNotFoundError: if the data does not exist.
        ValueError: if a value of the configuration is invalid.
    """
    from cv_attention.data.datamodule import ImageData, load

    ImageData(config).prepare_data()
    return load(config)[1]["train"].labels


def __getattr__(name: str) -> Any:
    if name == "DataModule":  # which needs Lightning
        from cv_attention.data.module import DataModule

        return DataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
