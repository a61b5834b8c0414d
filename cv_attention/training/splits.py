"""Opens the images that a trained network is tested or explained on."""

from collections.abc import Sequence
from typing import Any

from lightning import LightningDataModule

from cv_attention import data
from cv_attention.data.loading import Loader
from cv_attention.data.selection.named_classes import named_split
from cv_attention.data.selection.sampling import EvaluationBatches
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.suggest import suggest
from cv_attention.training.tasks.classifier import Classifier

_SPLITS = ("train", "val", "test")
_SHOWN = 20  # class names in a message


class NamedData(LightningDataModule):
    """One split of a folder whose classes a pretrained network knows by name; see `named_split`.

    Args:
        classifier: The network.
        split: ``train``, ``val`` or ``test``.
    """

    def __init__(self, classifier: Classifier, split: str) -> None:
        super().__init__()
        config, facts = classifier.experiment.data, classifier.facts
        self.config, self.class_names, self.split = config, list(facts.class_names), split
        self.splits: dict[str, ImageSet] = {split: named_split(config, split, facts.class_names, facts.class_ids)}

    def test_dataloader(self) -> Loader:
        """Every image once."""
        images = self.splits[self.split]
        batches = EvaluationBatches(len(images), self.config.batch_size, name="test")
        device = self.trainer.strategy.root_device if self.trainer else "cpu"
        return Loader(images, batches, workers=self.config.workers, device=device)


def open_data(classifier: Classifier, root: str | None, split: str) -> Any:
    """Opens the images that a network is tested or explained on, as a datamodule with `splits`.

    Args:
        classifier: The network.
        root: Where the data set lies now; None where it lay in training.
        split: The split that is wanted: ``train``, ``val`` or ``test``.

    Raises:
        FileNotFoundError: if the data set is missing.
        ValueError: if there is no such split, or the data set has other classes than the network knows.
    """
    if split not in _SPLITS:
        raise ValueError(f"unknown split {split!r}{suggest(split, _SPLITS)}")
    config, facts = classifier.experiment.data, classifier.facts
    config.root = root or config.root
    if facts.class_ids:
        return NamedData(classifier, split)
    datamodule = data.create(config, seed=classifier.experiment.seed)
    datamodule.prepare_data()
    datamodule.setup()
    check_classes(datamodule.class_names, facts.class_names, config.root)
    return datamodule


def check_classes(names: Sequence[str], known: Sequence[str], root: str) -> None:
    """Raises ValueError unless a data set has exactly the classes that a network knows, in their order."""
    if list(names) != list(known):
        raise ValueError(f"{root} has the classes {_listed(names)}; the network knows {_listed(known)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
