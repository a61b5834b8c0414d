"""Which process exports which images: each exactly once, whatever the number of processes."""

import itertools

import pytest

from cv_attention.exporting.batches import ShardBatches


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
