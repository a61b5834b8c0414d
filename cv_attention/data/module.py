"""Defines the base class of data modules: splits, their batches, and what a training run records about them."""

from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import torch
from lightning import LightningDataModule

from cv_attention.data.loading import Loader
from cv_attention.data.selection.sampling import EvaluationBatches, TrainBatches
from cv_attention.data.statistics import Statistics

_LOADERS: WeakKeyDictionary[Any, WeakSet[Loader]] = WeakKeyDictionary()  # not in the modules, which are pickled


class Split(Protocol):
    """One split: a torch data set that makes whole batches."""

    @property
    def resident(self) -> bool:
        """Whether batches are made from images in memory, which no worker process could speed up."""
        ...

    def __len__(self) -> int: ...

    def batch(self, draws: list[tuple[int, int]], device: torch.device | str = "cpu") -> dict[str, Any]:
        """Makes a batch on `device` from pairs (epoch, index); the epoch is 0 outside of training.

        What is random about an image should depend on (epoch, index) and a seed alone. Then a resumed run sees the
        images that it would have seen.
        """
        ...


class DataModule(LightningDataModule):
    """Base class of data modules: a LightningDataModule of images with what training needs to know of them.

    Derive your own data module from it. Its ``__init__`` calls this one, and its `setup` sets the attributes below
    once. Batches are dicts with ``image``, uint8 (B, 3, H, W), ``index``, int64 (B,), the positions in the split, and
    whatever the task needs. The loaders shuffle by seed and epoch, divide the images over processes, and let a run
    resume in the middle of an epoch. Train with ``use_distributed_sampler=False``, as `training.prepare` does.

    Args:
        batch_size: Images of a batch over all processes.
        workers: Number of processes that load images which are not `resident`; 0 loads in the main process.
        seed: Seed of the order of training images.

    Attributes:
        splits: The splits ``train``, ``val`` and ``test``. A split that is not `resident` also needs
            ``__getitems__(draws)``, which torch's DataLoader calls for a batch.
        mean: Mean of red, green and blue, of pixels in [0, 1].
        std: Standard deviation of the same.
        image_size: Height and width of validation and test images.
        bits: Range of images of more than 8 bits; None without such.
        left_out: What was said of each broken image that is left out, by split.

    Examples:
        >>> import torch
        >>> from cv_attention import data
        >>> class Noise(torch.utils.data.Dataset):
        ...     resident = True  # in memory
        ...     def __len__(self):
        ...         return 10
        ...     def batch(self, draws, device="cpu"):
        ...         index = torch.tensor([index for epoch, index in draws])
        ...         images = torch.zeros(len(draws), 3, 8, 8, dtype=torch.uint8)
        ...         return {"image": images, "label": index % 2, "index": index}
        >>> class NoiseData(data.DataModule):
        ...     def setup(self, stage=None):
        ...         self.splits = {"train": Noise(), "val": Noise(), "test": Noise()}
        ...         self.mean, self.std, self.image_size = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), (8, 8)
        >>> module = NoiseData(batch_size=4)
        >>> module.setup()
        >>> [len(batch["index"]) for batch in module.val_dataloader()]
        [4, 4, 2]
    """

    mean: Statistics
    std: Statistics
    image_size: tuple[int, int]
    bits: int | None

    def __init__(self, *, batch_size: int, workers: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.splits: dict[str, Any] = {}
        self.bits = None
        self.left_out: dict[str, tuple[str, ...]] = {}

    def setup(self, stage: str | None = None) -> None:
        """Sets the attributes, whatever the `stage`; a subclass implements it, and Lightning calls it several times."""
        raise NotImplementedError(f"{type(self).__name__} must implement setup()")

    @property
    def source(self) -> str:
        """Where the images come from, for messages; by default the name of the class."""
        return type(self).__name__

    def describe(self) -> str:
        """Returns one or two lines for the start of a run: the number of images of each split, and their size."""
        counts = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        height, width = self.image_size
        return f"{self.source}: {counts} images, {height}×{width}"

    def fingerprint(self) -> dict[str, Any]:
        """Returns plain values that identify the images, for ``summary.json``.

        Where there is a text ``fingerprint`` among them, a resumed run says whether the images have changed.
        """
        return {"images": {name: len(split) for name, split in self.splits.items()}}

    def described(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the data: `fingerprint`, and what no configuration says of it."""
        return {"module": type(self).__name__, "batch_size": self.batch_size, **self.fingerprint()}

    def train_dataloader(self) -> Loader:
        """Returns shuffled batches of the training split."""
        split = self.splits["train"]
        batches = TrainBatches(
            len(split), self.batch_size, seed=self.seed, labels=self.balancing_labels(), **self._process()
        )
        return self._loader(split, batches)

    def balancing_labels(self) -> np.ndarray | None:
        """Returns the labels (N,) of the training images where every class is to be drawn equally often, else None."""
        return None

    def training_targets(self) -> np.ndarray | None:
        """Returns what is learned of each training image, see `data.sources.images.Images.labels`; None if unknown."""
        return None

    def val_dataloader(self) -> Loader:
        """Returns batches with every validation image once over all processes."""
        return self._evaluation("val")

    def test_dataloader(self) -> Loader:
        """Returns batches with every test image once over all processes."""
        return self._evaluation("test")

    def close(self) -> None:
        """Ends the worker processes of all loaders that this module has made; loaders start new ones where needed."""
        for loader in list(_LOADERS.get(self, ())):
            loader.close()

    def _evaluation(self, name: Literal["val", "test"]) -> Loader:
        split = self.splits[name]
        return self._loader(split, EvaluationBatches(len(split), self.batch_size, name=name, **self._process()))

    def _process(self) -> dict[str, int]:
        trainer = self.trainer
        return {"rank": trainer.global_rank, "world_size": trainer.world_size} if trainer else {}

    def _loader(self, split: Any, batches: TrainBatches | EvaluationBatches) -> Loader:
        device = self.trainer.strategy.root_device if self.trainer else "cpu"
        loader = Loader(split, batches, workers=self.workers, device=device)
        _LOADERS.setdefault(self, WeakSet()).add(loader)
        return loader
