import itertools

import pytest

from cv_attention.data.sampling import EvaluationBatches, TrainBatches

CASES = [
    (size, batch, world)
    for size, batch, world in itertools.product((1, 2, 5, 16, 33, 48, 131, 257), (1, 2, 4, 8, 16, 128), (1, 2, 4, 8))
    if size >= world and batch % world == 0
]


def indices(batches):
    return [[i for _, i in batch] for batch in batches]


@pytest.mark.parametrize(("size", "batch", "world"), CASES)
def test_training_batches_of_all_processes_make_the_single_ones(size, batch, world):
    single = indices(TrainBatches(size, batch, seed=3))
    ranks = [indices(TrainBatches(size, batch, rank=r, world_size=world, seed=3)) for r in range(world)]
    assert [len(part) for part in ranks] == [len(single)] * world
    for k, expected in enumerate(single):
        union = [i for part in ranks for i in part[k]]
        assert sorted(union) == sorted(expected)
        assert all(part[k] for part in ranks)
    seen = [i for part in single for i in part]
    assert len(set(seen)) == len(seen)
    if size < batch:
        assert sorted(seen) == list(range(size))
    else:
        assert [len(part) for part in single] == [batch] * (size // batch)


@pytest.mark.parametrize(("size", "batch", "world"), CASES)
def test_evaluation_counts_every_image_once(size, batch, world):
    samplers = [EvaluationBatches(size, batch, rank=r, world_size=world) for r in range(world)]
    ranks = [indices(sampler) for sampler in samplers]
    assert sorted(i for part in ranks for b in part for i in b) == list(range(size))
    assert len({len(part) for part in ranks}) == 1  # nobody waits for another's batch
    assert [len(sampler) for sampler in samplers] == [len(part) for part in ranks]
    share = batch // world
    assert all(0 < len(b) <= share + (b is part[-1] and world > 1) for part in ranks for b in part)
    if world == 1:
        assert [i for b in ranks[0] for i in b] == list(range(size))


def test_each_epoch_has_its_order():
    batches = TrainBatches(100, 10, seed=0)
    orders = []
    for epoch in (0, 1, 0):
        batches.set_epoch(epoch)
        assert {e for batch in batches for e, _ in batch} == {epoch}
        orders.append(indices(batches))
    assert orders[0] == orders[2] != orders[1]
    assert indices(TrainBatches(100, 10, seed=1)) != orders[0]
    assert orders[0] != [list(range(k, k + 10)) for k in range(0, 100, 10)]


def test_an_epoch_can_start_late():
    batches = TrainBatches(100, 10)
    everything = list(batches)
    batches.start = 7
    assert list(batches) == everything[7:]
    assert len(batches) == 10


@pytest.mark.parametrize("kind", [TrainBatches, EvaluationBatches])
@pytest.mark.parametrize(
    ("size", "batch", "world", "message"),
    [
        (3, 8, 4, "3 .* images cannot be shared by 4 processes"),
        (30, 6, 4, "batch_size is 6, over all 4 processes"),
        (30, 0, 1, "batch_size is 0"),
    ],
)
def test_what_cannot_be_divided(kind, size, batch, world, message):
    with pytest.raises(ValueError, match=message):
        kind(size, batch, world_size=world)
