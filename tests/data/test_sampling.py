import itertools

import numpy as np
import pytest

from cv_attention import data
from cv_attention.config import Data, Digits
from cv_attention.data.selection.sampling import EvaluationBatches, TrainBatches

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
        (3, 8, 4, "3 .* images cannot be divided among 4 processes"),
        (30, 6, 4, "batch_size is 6, the total over all 4 processes"),
        (30, 0, 1, "batch_size is 0"),
    ],
)
def test_what_cannot_be_divided(kind, size, batch, world, message):
    with pytest.raises(ValueError, match=message):
        kind(size, batch, world_size=world)


LABELS = np.repeat([0, 1, 2], [40, 7, 3])


@pytest.mark.parametrize("epoch", [0, 3])
def test_balanced_batches_hold_every_class_equally_often(epoch):
    batches = TrainBatches(50, 10, seed=1, labels=LABELS)
    batches.set_epoch(epoch)
    drawn = np.array([i for batch in indices(batches) for i in batch])
    assert sorted(np.bincount(LABELS[drawn])) == [16, 17, 17]
    for label in range(3):  # and within a class, every image as often as any other
        counts = np.bincount(drawn[LABELS[drawn] == label], minlength=50)[label == LABELS]
        assert counts.max() - counts.min() <= 1


def test_an_image_drawn_again_is_augmented_anew():
    batches = TrainBatches(50, 10, seed=1, labels=LABELS)
    draws = [draw for batch in batches for draw in batch]
    assert len(set(draws)) == len(draws) == 50
    assert max(epoch for epoch, _ in draws) >> 32 == 5  # three images share 16 or 17 draws
    assert {epoch & 0xFFFFFFFF for epoch, _ in draws} == {0}


def test_balanced_batches_are_shared_and_resumed_like_others():
    def batches(rank=0, world=1, start=0):
        found = TrainBatches(50, 10, rank=rank, world_size=world, seed=1, labels=LABELS)
        found.start = start
        return list(found)

    whole = batches()
    for k, expected in enumerate(whole):
        assert sorted(batches(0, 2)[k] + batches(1, 2)[k]) == sorted(expected)
    assert batches(start=3) == whole[3:]


def test_balanced_data_where_it_is_balanced_already_draws_every_image_once():
    batches = TrainBatches(12, 4, seed=0, labels=np.arange(12) % 3)
    assert sorted(i for batch in indices(batches) for i in batch) == list(range(12))


def test_a_loader_resumed_twice_within_an_epoch_counts_on():
    config = Data(batch_size=4, digits=Digits(train=24, val=10, test=10, canvas=32, digit=16))

    def loader(state=None):
        module = data.create(config, seed=0)
        module.setup("fit")
        made = module.train_dataloader()
        if state:
            made.load_state_dict(state)
        return made

    whole = [batch["index"].tolist() for batch in loader()]
    seen, state = [], None
    for count in (2, 1, 3):
        part = loader(state)
        for batch, _ in zip(part, range(count), strict=False):
            seen.append(batch["index"].tolist())
            state = part.state_dict()
        assert state["batches"] == len(seen)
    assert seen == whole
