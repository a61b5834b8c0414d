"""Which process exports which images: each exactly once, whatever the number of processes."""

import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from cv_attention.exporting.batches import Batch, Batches, Sample, ShardBatches
from cv_attention.exporting.progress import ImageProgress


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_processes_share_the_images_without_overlap(world_size):
    left = [0, 2, 3, 4]  # shard 1 is done already
    parts = [
        list(ShardBatches(47, 10, 4, left, rank=rank, world_size=world_size)) for rank in range(world_size)
    ]  # fmt: skip
    numbers = sorted(number for part in itertools.chain(*parts) for number in part.numbers)
    assert numbers == [*range(10), *range(20, 47)]
    shards = [{part.shard for part in mine} for mine in parts]
    assert sum(map(len, shards)) == len(set().union(*shards)) == len(left)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    alone = list(ShardBatches(47, 10, 4, left))
    assert sorted(itertools.chain(*parts), key=lambda part: part.numbers[0]) == alone


def test_images_that_cannot_be_written_to_are_stacked_without_a_word():
    """PIL's arrays are read-only, and torch warns of such once, in the middle of a command's output."""
    pixels = [np.full((4, 6, 3), value, np.uint8) for value in (3, 7)]
    for image in pixels:
        image.flags.writeable = False
    samples = [Sample(number, image, 6, 4, None, 6) for number, image in enumerate(pixels)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = Batch(next(iter(ShardBatches(2, 2, 2, [0]))), samples, {})
    assert batch.images is not None
    assert batch.images.shape == (2, 3, 4, 6)
    assert batch.images[:, 0, 0, 0].tolist() == [3, 7]


@pytest.mark.parametrize("sizes", [(4, 4, 3), (1,), (7, 2)])
def test_the_progress_bar_counts_images_not_batches(sizes):
    batches = Batches.__new__(Batches)
    batches.parts = [SimpleNamespace(numbers=range(size)) for size in sizes]  # pyright: ignore
    trainer, progress = SimpleNamespace(is_global_zero=True, predict_dataloaders=batches), ImageProgress("explained")
    progress.on_predict_start(trainer, None)  # pyright: ignore
    assert progress._bar is not None
    done = []
    for number, size in enumerate(sizes):
        progress.on_predict_batch_end(trainer, None, size, None, number)
        done.append(progress._bar.tasks[0].completed)
    progress.on_predict_end(trainer, None)  # pyright: ignore
    assert done == [sum(sizes[: number + 1]) for number in range(len(sizes))]
    assert progress._bar.tasks[0].total == sum(sizes)
