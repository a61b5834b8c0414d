"""Loads images and labels: data sets, splits, augmentation and batches.

`create` makes a LightningDataModule of a configuration, `read_image` decodes an image of any kind.
"""

from typing import TYPE_CHECKING, Any

from cv_attention.config import BAG_SOURCES, TEXT_SOURCES, Data
from cv_attention.data.decoding.decode import ImageError, read_image

if TYPE_CHECKING:
    import numpy as np

    from cv_attention.data.bags import BagData
    from cv_attention.data.datamodule import ImageData
    from cv_attention.data.episodes import EpisodeData
    from cv_attention.data.module import DataModule
    from cv_attention.data.text_data import TextData

__all__ = ["DataModule", "ImageError", "create", "read_image", "training_labels"]


def create(config: Data, *, seed: int | None = None) -> "ImageData | BagData | EpisodeData | TextData":
    """Creates the Lightning datamodule of a configuration.

    Args:
        config: The data set, its splits and its transforms.
        seed: Seed of shuffling and augmentation; None takes `config.seed`, which also decides the held-out
            split.

    Returns:
        A `DataModule` of the data set; `prepare_data` and `setup` open it. Images that show texts come as `TextData`,
        sequences of images as `EpisodeData`.

    Raises:
        ValueError: if a value of the configuration, or the name or an argument of a transform, is wrong.

    Examples:
        >>> from cv_attention import config, data
        >>> digits = config.Digits(train=40, val=10, test=10, canvas=32, digit=16)
        >>> module = data.create(config.Data(root="data", batch_size=8, digits=digits), seed=0)
        >>> module.prepare_data()
        >>> module.setup()
        >>> module.describe()
        'cluttered_digits: 40 train, 10 val, 10 test images of 10 classes, 32×32'
        >>> next(iter(module.val_dataloader()))["image"].shape
        torch.Size([8, 3, 32, 32])
    """
    if config.name in BAG_SOURCES:
        from cv_attention.data.bags import BagData

        return BagData(config, seed=seed)
    if config.name == "episodes":
        from cv_attention.data.episodes import EpisodeData

        return EpisodeData(config, seed=seed)
    if config.name in TEXT_SOURCES:
        from cv_attention.data.text_data import TextData

        return TextData(config, seed=seed)
    from cv_attention.data.datamodule import ImageData

    return ImageData(config, seed=seed)


def training_labels(config: Data) -> "np.ndarray":
    """Returns the labels of the training split, before validation images are held out, in the order of fold indices.

    Args:
        config: The data set.

    Returns:
        int64 (N,); of images with texts, a checksum of each text.

    Raises:
        FileNotFoundError: if the data does not exist.
        ValueError: if a value of the configuration is invalid.

    Examples:
        >>> from cv_attention import config, data
        >>> digits = config.Digits(train=40, val=10, test=10, canvas=32, digit=16)
        >>> labels = data.training_labels(config.Data(root="data", digits=digits))
        >>> labels.shape, labels.dtype
        ((40,), dtype('int64'))
    """
    return divisible(config)[0]


def divisible(config: Data) -> "tuple[np.ndarray, np.ndarray | None]":
    """Returns what `folds.write` takes of a training split: labels, and groups that stay together, or None.

    A group is an image with several texts, or what the column ``data.table.group`` says.
    """
    if config.name in TEXT_SOURCES:
        from cv_attention.data import text_data

        text_data.TextData(config)
        images = text_data.load(config).images["train"]
        return images.checksums(), images.rows
    if config.name in BAG_SOURCES:
        from cv_attention.data.bags import bag_data

        bag_data.BagData(config)
        return bag_data.load(config)[1]["train"].labels, None
    from cv_attention.data.datamodule import ImageData, load

    ImageData(config).prepare_data()
    images = load(config)[1]["train"]
    return images.labels, images.groups


def __getattr__(name: str) -> Any:
    if name == "DataModule":  # which needs Lightning
        from cv_attention.data.module import DataModule

        return DataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
