"""Optimizers and schedules against their formulas."""

import math

import pytest
import torch
from torch import nn

from cv_attention.config import Optimizer
from cv_attention.training.optim.optimization import create_optimizer, create_schedule


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


def test_triangular_rises_and_falls_in_straight_lines():
    found = rates(Optimizer(lr=0.4, schedule="triangular", warmup_epochs=1, schedule_options={"div_factor": 4}), 4, 5)
    up = [0.1 + 0.3 * t / 4 for t in range(5)]
    assert found == pytest.approx([*up, *(0.4 * (1 - t / 15) for t in range(1, 16))], abs=1e-6)


def test_step_falls_by_its_factor():
    options = {"decay_epochs": 2, "decay_rate": 0.2}
    found = rates(Optimizer(lr=1.0, schedule="step", schedule_options=options), epochs=5, steps_per_epoch=3)
    assert found == pytest.approx([0.2 ** (t // 6) for t in range(15)])


def test_nesterov_is_the_momentum_of_sgd():
    """timm's ``sgd`` takes torch's Nesterov step, written out: v = m v + g, w -= lr (g + m v)."""
    weight = nn.Linear(3, 1, bias=False)
    w, v = weight.weight.detach().clone(), torch.zeros(1, 3)
    optimizer = create_optimizer(Optimizer(lr=0.1, weight_decay=0.0, options={"momentum": 0.8}), weight)
    for step in range(3):
        g = torch.full((1, 3), float(step + 1))
        weight.weight.grad = g.clone()
        optimizer.step()
        v = 0.8 * v + g
        w = w - 0.1 * (g + 0.8 * v)
    torch.testing.assert_close(weight.weight.detach(), w)


def test_muon_takes_orthogonal_steps_on_convolutions_and_adam_steps_on_the_rest():
    torch.manual_seed(0)
    model = network()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = create_optimizer(Optimizer(name="muon", lr=0.01, weight_decay=0.0), model)
    model(torch.randn(8, 3, 3, 3)).square().sum().backward()
    optimizer.step()
    steps = {name: (parameter - before[name]).detach() for name, parameter in model.named_parameters()}
    singular = torch.linalg.svdvals(steps["0.weight"].flatten(1))
    assert singular.max() < 2 * singular.min()  # a gradient's differ by far more
    assert steps["0.bias"].norm() > 0


@pytest.mark.parametrize("name", ["lookahead_sgd", "nadamw", "lion", "RMSprop", "Adamax"])
def test_any_optimizer_steps(name):
    model = network()
    optimizer = create_optimizer(Optimizer(name=name, lr=0.01), model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model(torch.randn(4, 3, 3, 3)).square().sum().backward()
    optimizer.step()
    after = [parameter.detach() for parameter in model.parameters()]
    assert all(value.isfinite().all() for value in after)
    assert any(not torch.equal(one, other) for one, other in zip(after, before, strict=True))
    assert create_schedule(Optimizer(warmup_epochs=1), optimizer, 2, 5) is not None


def test_no_schedule_keeps_the_rate():
    assert set(rates(Optimizer(lr=0.3, schedule=None), 1, 4)) == {0.3}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Optimizer(name="sdg"), "sdg"),
        (Optimizer(options={"momentun": 0.9}), "momentun"),
        (Optimizer(name="SGD", options={"momentun": 0.9}), "momentun"),
        (Optimizer(name="Muon"), "takes matrices alone; use muon"),
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
        (Optimizer(warmup_epochs=-1), "warmup_epochs must lie between 0 and the training's 1 epochs, got -1"),
        (Optimizer(warmup_epochs=2), "got 2"),
        (Optimizer(warmup_epochs=0.5, schedule="CosineAnnealingLR"), "torch's schedules do not warm up"),
        (Optimizer(warmup_epochs=0.5, schedule=None), "needs a schedule"),
    ],
)
def test_a_wrong_schedule_is_named(config, words):
    with pytest.raises(ValueError, match=words):
        create_schedule(config, create_optimizer(Optimizer(), network()), 1, 1)
