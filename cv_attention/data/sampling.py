"""Which images a process loads, batch by batch; each process computes the whole order and takes its part."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from cv_attention.data.images import Draw


class TrainBatches(Sampler[list[Draw]]):
    """Shuffled batches: the k-th batches of all processes together are the k-th batch of a single process.

    The order is a permutation drawn from (seed, epoch); process r of W takes every W-th image of it, from the
    r-th on. The images that do not fill a last batch are left out of that epoch, unless there is only one
    batch.

    Args:
        size: Number of images.
        batch_size: Images of a batch over all processes.
        rank: Number of this process.
        world_size: Number of processes.
        seed: Seed of the order.

    Attributes:
        epoch: Epoch whose order is drawn; Lightning sets it through `set_epoch`.
        start: Number of batches to skip, for going on in the middle of an epoch.

    Raises:
        ValueError: if there are fewer images than processes, or the batch cannot be divided among them.
    """

    def __init__(self, size: int, batch_size: int, *, rank: int = 0, world_size: int = 1, seed: int = 0):
        _check(size, batch_size, world_size, "training")
        self.size = size
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.seed = seed
        self.epoch = 0
        self.start = 0

    @property
    def sampler(self) -> "TrainBatches":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Makes the next iteration that of `epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(self.size // self.batch_size, 1)

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch = self.epoch
        order = np.random.default_rng((self.seed, epoch)).permutation(self.size)
        for k in range(self.start, len(self)):
            batch = order[k * self.batch_size : (k + 1) * self.batch_size]
            yield [(epoch, i) for i in batch[self.rank :: self.world_size].tolist()]


class EvaluationBatches(Sampler[list[Draw]]):
    """Batches in which every image occurs exactly once over all processes: none is repeated or left out.

    All processes have the same number of batches, none of them empty, because a process that runs out of
    batches would leave the others waiting where they synchronise. A process's last batch may therefore hold
    one image more than the others.

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
        raise ValueError(f"{size} {name} images cannot be shared by {world_size} processes")
    if batch_size < 1 or batch_size % world_size:
        raise ValueError(
            f"data.batch_size is {batch_size}, over all {world_size} processes: it must be a multiple of that"
        )
