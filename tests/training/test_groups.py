"""Learning rates of blocks, head, backbone and of layers, against timm and by hand."""

import pytest
import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay

from cv_attention.backbones import build, insert
from cv_attention.config import LrScale, Optimizer
from cv_attention.training.optim.groups import current_rates, describe, parameter_groups
from cv_attention.training.optim.optimization import create_optimizer, create_schedule


def attended(name="resnet20", train="all"):
    torch.manual_seed(0)
    options = {"width": 4} if name == "resnet20" else {}
    model = build(name, num_classes=5, **options)
    insert(model, "se", init="identity", train=train, input_size=32)
    return model


def by_name(model, groups):
    """(rate, weight decay) of each parameter, whatever the order of the groups."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_parts_learn_at_their_own_rates():
    model = attended()
    config = Optimizer(lr=0.1, weight_decay=0.01, lr_scale=LrScale(blocks=10, head=2, backbone=0.5))
    found = by_name(model, parameter_groups(model, config))
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        rate = 1.0 if ".attention." in name else 0.2 if name.startswith("fc.") else 0.05
        assert found[name] == (pytest.approx(rate), 0.01 if parameter.ndim > 1 else 0), name


def test_without_factors_the_groups_are_those_of_timm():
    model = attended()
    expected = [{"lr": 0.1, **group} for group in param_groups_weight_decay(model, 5e-4)]
    assert by_name(model, parameter_groups(model, Optimizer())) == by_name(model, expected)


def test_biases_do_not_decay_whatever_their_shape():
    class Shifted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = torch.nn.Parameter(torch.ones(1, 3)), torch.nn.Parameter(torch.ones(1, 3))

        def forward(self, x):
            return x.mean((2, 3)) * self.weight + self.bias

    model = torch.nn.Sequential(Shifted(), torch.nn.Linear(3, 2))
    found = by_name(model, parameter_groups(model, Optimizer(lr=0.1, weight_decay=0.01)))
    assert {name: decay for name, (_, decay) in found.items()} == {
        "0.weight": 0.01, "0.bias": 0, "1.weight": 0.01, "1.bias": 0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["resnet20", "timm/resnet10t", "timm/convnext_atto"])
def test_layer_decay_is_that_of_timm(name):
    model = attended(name)
    config = Optimizer(lr=0.1, weight_decay=0.02, layer_decay=0.75)
    timm = param_groups_layer_decay(model, weight_decay=0.02, layer_decay=0.75)
    expected = by_name(model, [{**group, "lr": 0.1 * group["lr_scale"]} for group in timm])
    found = by_name(model, parameter_groups(model, config))
    assert found.keys() == expected.keys()
    for key, (rate, decay) in expected.items():
        assert found[key] == (pytest.approx(rate), decay), key


def test_our_own_resnet_decays_by_stages():
    model = attended()
    found = by_name(model, parameter_groups(model, Optimizer(lr=1.0, layer_decay=0.5)))
    expected = {"conv1.weight": 1 / 16, "layer1.2.conv1.weight": 1 / 8, "layer3.0.bn2.weight": 1 / 2, "fc.bias": 1}
    assert {name: found[name][0] for name in expected} == expected


@pytest.mark.parametrize("train", ["blocks", "blocks+head"])
def test_frozen_parameters_are_in_no_group(train):
    model = attended(train=train)
    groups = parameter_groups(model, Optimizer())
    assert {group["name"] for group in groups} == set(train.split("+"))
    assert set(by_name(model, groups)) == {n for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("schedule", ["cosine", "OneCycleLR", "CosineAnnealingLR", "triangular", "step"])
def test_schedules_keep_the_ratios(schedule):
    model = attended()
    config = Optimizer(lr=0.1, lr_scale=LrScale(blocks=5), schedule=schedule)
    optimizer = create_optimizer(config, model)
    planned = create_schedule(config, optimizer, epochs=3, steps_per_epoch=4)
    for step in range(10):
        optimizer.step()
        planned.step_update(step + 1) if hasattr(planned, "step_update") else planned.step()
        rates = current_rates(optimizer, config)
        assert rates["lr"] == rates["lr_blocks"] == pytest.approx(5 * rates["lr_backbone"])
        assert rates["lr_head"] == rates["lr_backbone"]


def test_one_line_tells_the_rates():
    line = describe(attended(), Optimizer(lr=0.1, lr_scale=LrScale(blocks=5)))
    assert line.startswith("learning rates: blocks 0.5 (")
    assert "backbone 0.1 (" in line
    assert "head 0.1 (85 parameters)" in line
    assert "\n" not in line
    assert current_rates(create_optimizer(Optimizer(), attended()), Optimizer()) == {"lr": 0.1}


def test_a_network_that_does_not_tell_its_layers_is_named():
    model = build("torchvision/resnet18", num_classes=3)
    with pytest.raises(ValueError, match=r"layer_decay is 0\.9, but ResNet does not tell its layers"):
        parameter_groups(model, Optimizer(layer_decay=0.9))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter is trainable"):
        parameter_groups(model, Optimizer())
