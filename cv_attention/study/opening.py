"""Opens the images of an arm as its training runs do."""

from typing import TYPE_CHECKING

from cv_attention.config import Experiment

if TYPE_CHECKING:
    from cv_attention.data import DataModule


def prepared(experiment: Experiment) -> Experiment:
    """Fills in the preprocessing that pretrained weights expect, as a training run does."""
    from cv_attention.training import preprocessing

    return preprocessing.adopt(experiment)[0]


def open_images(experiment: Experiment) -> "DataModule":
    """Opens the splits of an experiment, with the preprocessing that its pretrained weights expect.

    Args:
        experiment: The configuration of an arm.

    Raises:
        ValueError: if the images do not fit the configuration.
        FileNotFoundError: if the images or weights do not exist.
    """
    from cv_attention import data

    module = data.create(prepared(experiment).data, seed=0)
    module.prepare_data()
    module.setup()
    return module
