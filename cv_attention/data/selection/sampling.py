"""Samples the images that each process loads, batch by batch."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from cv_attention.data.sources.image_set import Draw

_REPEATED = 32  # bits of the epoch number that count earlier draws of an image in that epoch


class TrainBatches(Sampler[list[Draw]]):
    """Samples shuffled batches: the k-th batches of all processes together are the k-th batch of a single process.

    The order is a permutation drawn from (seed, epoch); process r of W takes every W-th image of it, starting with
    the r-th. The images that do not fill a last batch are left out of that epoch, unless there is only one
    batch.

    Args:
        size: Number of images.
        batch_size: Images of a batch over all processes.
        rank: Number of this process.
        world_size: Number of processes.
        seed: Seed of the order.
        labels: Class indices (N,), to draw every class equally often in each epoch, repeating images of small classes
            and omitting some of large ones; None draws every image once.

    Attributes:
        epoch: Epoch whose order is drawn; Lightning sets it through `set_epoch`.
        start: Number of batches to skip, for resuming in the middle of an epoch.

    Raises:
        ValueError: if there are fewer images than processes, or the batch cannot be divided among them.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        labels: np.ndarray | None = None,
    ):
        _check(size, batch_size, world_size, "training")
        self.labels = labels
        self.size = size
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.seed = seed
        self.epoch = 0
        self.start = 0

    @property
    def sampler(self) -> "TrainBatches":
        """Returns the object on which Lightning calls `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(self.size // self.batch_size, 1)

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch = self.epoch
        random = np.random.default_rng((self.seed, epoch))
        if self.labels is None:
            order, repeats = random.permutation(self.size), np.zeros(self.size, np.int64)
        else:
            order = balanced(self.labels, random)
            repeats = _repeats(order)
        for k in range(self.start, len(self)):
            mine = slice(k * self.batch_size + self.rank, (k + 1) * self.batch_size, self.world_size)
            # An image drawn again in the same epoch is augmented with an otherwise unused epoch number.
            epochs = epoch + (repeats[mine] << _REPEATED)
            yield list(zip(epochs.tolist(), order[mine].tolist(), strict=True))


def balanced(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draws as many images as there are, every class equally often (or once more), in random order.

    Within a class every image is drawn as often as any other (or once more).
    """
    classes = np.unique(labels)
    shares = np.full(len(classes), len(labels) // len(classes))
    shares[random.permutation(len(classes))[: len(labels) % len(classes)]] += 1
    drawn = []
    for label, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == label)
        rounds = [random.permutation(members) for _ in range(-(-share // len(members)))]
        drawn += [np.concatenate([members[:0], *rounds])[:share]]
    return random.permutation(np.concatenate(drawn))


def _repeats(order: np.ndarray) -> np.ndarray:
    """Returns for each position how often its image has occurred before."""
    by_image = np.argsort(order, kind="stable")
    images = order[by_image]
    begins = np.r_[True, images[1:] != images[:-1]]
    first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    repeats = np.empty(len(order), np.int64)
    repeats[by_image] = np.arange(len(order)) - first
    return repeats


class EvaluationBatches(Sampler[list[Draw]]):
    """Samples every image exactly once over all processes, without repeating or omitting any.

    All processes have the same number of batches, none of them empty, because a process that runs out of
    batches would leave the others waiting at the next synchronisation. The last batch of a process may therefore
    have one image more than the others.

    Args:
        size: Number of images.
        batch_size: Images of a batch over all processes.
        rank: Number of this process.
        world_size: Number of processes.
        name: The split, for messages.

    Raises:
        ValueError: if there are fewer images than processes, or the batch cannot be divided among them.
    """

    def __init__(self, size: int, batch_size: int, *, rank: int = 0, world_size: int = 1, name: str = "test"):
        _check(size, batch_size, world_size, name)
        self.mine = range(rank, size, world_size)
        self.share = batch_size // world_size
        self.count = -(-(size // world_size) // self.share)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[Draw]]:
        for k in range(self.count):
            end = (k + 1) * self.share if k < self.count - 1 else len(self.mine)
            yield [(0, i) for i in self.mine[k * self.share : end]]


def _check(size: int, batch_size: int, world_size: int, name: str) -> None:
    if size < world_size:
        raise ValueError(f"{size} {name} images cannot be divided among {world_size} processes")
    if batch_size < 1 or batch_size % world_size:
        raise ValueError(
            f"data.batch_size is {batch_size}, the total over all {world_size} processes: it must be a multiple of that"
        )
