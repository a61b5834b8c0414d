"""Optimizers and schedules against their formulas."""

import math

import pytest
import torch
from torch import nn

from cv_attention.config import Optimizer
from cv_attention.training.optimization import create_optimizer, create_schedule


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def rates(config: Optimizer, epochs: int, steps_per_epoch: int) -> list[float]:
    optimizer = create_optimizer(config, network())
    schedule = create_schedule(config, optimizer, epochs, steps_per_epoch)
    found = []
    for step in range(epochs * steps_per_epoch):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if hasattr(schedule, "step_update"):
            schedule.step_update(step + 1)
        elif schedule is not None:
            schedule.step()
    return found


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("SGD", torch.optim.SGD), ("AdamW", torch.optim.AdamW)]
)
def test_norms_and_biases_do_not_decay(name, kind):
    model = network()
    optimizer = create_optimizer(Optimizer(name=name, lr=0.1, weight_decay=0.01), model)
    assert isinstance(optimizer, kind)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in model.named_parameters()} == {
        "0.weight": 0.01, "0.bias": 0, "1.weight": 0, "1.bias": 0, "3.weight": 0.01, "3.bias": 0,
    }  # fmt: skip


def test_cosine_follows_its_formula_step_by_step():
    found = rates(Optimizer(lr=0.4, schedule="cosine"), epochs=3, steps_per_epoch=5)
    assert found == pytest.approx([0.2 * (1 + math.cos(math.pi * t / 15)) for t in range(15)])


def test_warm_up_rises_linearly_also_over_half_an_epoch():
    config = Optimizer(lr=0.4, schedule="cosine", warmup_epochs=0.5, schedule_options={"warmup_lr": 0.0})
    assert rates(config, epochs=2, steps_per_epoch=8)[:4] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_one_cycle_gets_its_length_and_peak():
    found = rates(Optimizer(lr=0.4, schedule="OneCycleLR", schedule_options={"pct_start": 0.5}), 2, 10)
    assert max(found) == pytest.approx(0.4)
    assert found.index(max(found)) == 9
    assert found[-1] < 1e-4


def test_no_schedule_keeps_the_rate():
    assert set(rates(Optimizer(lr=0.3, schedule=None), 1, 4)) == {0.3}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Optimizer(name="sdg"), "sdg"),
        (Optimizer(options={"momentun": 0.9}), "momentun"),
        (Optimizer(name="SGD", options={"momentun": 0.9}), "momentun"),
    ],
)
def test_a_wrong_optimizer_is_named(config, words):
    with pytest.raises(ValueError, match=words):
        create_optimizer(config, network())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Optimizer(schedule="cosin"), "cosin"),
        (Optimizer(schedule="OneCycleLR", schedule_options={"pct_strat": 0.1}), "pct_strat"),
    ],
)
def test_a_wrong_schedule_is_named(config, words):
    with pytest.raises(ValueError, match=words):
        create_schedule(config, create_optimizer(Optimizer(), network()), 1, 1)
