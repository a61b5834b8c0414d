"""Opens one split of a folder by the names of a pretrained network's classes."""

from lightning import LightningDataModule

from cv_attention.config import Data
from cv_attention.data.loading import Loader
from cv_attention.data.selection.named_classes import named_split
from cv_attention.data.selection.sampling import EvaluationBatches
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.rundir.facts import DataFacts


class NamedData(LightningDataModule):
    """One split of a folder whose classes a pretrained network knows by name; see `named_split`.

    Args:
        config: Where the images are, and how they are prepared.
        facts: The names and ids of the network's classes.
        split: ``train``, ``val`` or ``test``.
    """

    def __init__(self, config: Data, facts: DataFacts, split: str) -> None:
        super().__init__()
        self.config, self.class_names, self.split = config, list(facts.class_names), split
        self.splits: dict[str, ImageSet] = {split: named_split(config, split, facts.class_names, facts.class_ids)}

    def test_dataloader(self) -> Loader:
        """Returns batches with every image once."""
        images = self.splits[self.split]
        batches = EvaluationBatches(len(images), self.config.batch_size, name="test")
        device = self.trainer.strategy.root_device if self.trainer else "cpu"
        return Loader(images, batches, workers=self.config.workers, device=device)
