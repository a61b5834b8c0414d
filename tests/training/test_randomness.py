"""Random states in checkpoints: every process continues with its own."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cv_attention.training.checkpoint.randomness import RandomStates, random_state, restore

CPU = torch.device("cpu")
MODULE: Any = SimpleNamespace(device=CPU)


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def drawn():
    """The next numbers of all three generators."""
    return [random.random(), random.gauss(0, 1), *np.random.rand(3).tolist(), *torch.rand(3).tolist()]


@pytest.fixture(autouse=True)
def undisturbed():
    before = random_state(CPU)
    yield
    restore(before, CPU)


def test_the_same_numbers_follow_again():
    seed(0)
    drawn()  # in the middle of a stream
    state = random_state(CPU)
    expected = drawn()
    seed(1)
    assert drawn() != expected
    restore(state, CPU)
    assert drawn() == expected


@pytest.mark.parametrize("world", [1, 3])
def test_each_process_continues_with_its_own_numbers(world):
    states, expected = [], []
    for rank in range(world):
        seed(10 + rank)
        states.append(random_state(CPU))
        expected.append(drawn())
    for rank in range(world):
        trainer: Any = SimpleNamespace(world_size=world, global_rank=rank)
        callback = RandomStates()
        callback.on_load_checkpoint(trainer, MODULE, {"random_states": states})
        seed(99)  # whatever building loaders draws meanwhile
        callback.on_train_start(trainer, MODULE)
        assert drawn() == expected[rank]
        later = drawn()
        callback.on_train_start(trainer, MODULE)  # a second training of the same trainer starts nothing again
        assert drawn() != expected[rank] != later


@pytest.mark.parametrize("states", [None, 2])
def test_states_of_another_number_of_processes_are_left_alone(states):
    trainer: Any = SimpleNamespace(world_size=3, global_rank=1)
    callback = RandomStates()
    stored = {} if states is None else {"random_states": [random_state(CPU)] * states}
    callback.on_load_checkpoint(trainer, MODULE, stored)
    seed(5)
    expected = drawn()
    seed(5)
    callback.on_train_start(trainer, MODULE)
    assert drawn() == expected
