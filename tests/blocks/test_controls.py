"""Controls against their equations, written out by hand, and around every block of the catalogue."""

import copy

import pytest
import torch
from torch import nn

import cv_attention as cva
from cv_attention.blocks import controls, create
from tests.blocks.cases import OPTIONS_LONG

SHOWN_ALONE = ("criss_cross", "bat")  # their maps are for the eye; the output is computed in another way


@pytest.fixture
def x():
    return torch.randn(4, 16, 5, 5, generator=torch.Generator().manual_seed(0))


def shifted(block, seed=0):
    """Moves all parameters away from where they start."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in block.parameters():
        parameter.data += torch.randn(parameter.shape, generator=generator)
    return block


def se_gate(block, x):
    """(B, C): sigmoid(W2 relu(W1 mean(x) + b1) + b2)."""
    hidden = (x.mean((2, 3)) @ block.reduce.weight.T + block.reduce.bias).relu()
    return (hidden @ block.expand.weight.T + block.expand.bias).sigmoid()


def cbam_gates(block, x):
    """The channel gate (B, C) and the spatial gate (B, H, W) of CBAM's equations."""

    def mlp(v):
        return (v @ block.reduce.weight.T + block.reduce.bias).relu() @ block.expand.weight.T + block.expand.bias

    channel = (mlp(x.mean((2, 3))) + mlp(x.amax((2, 3)))).sigmoid()
    y = x * channel[:, :, None, None]
    return channel, block.spatial.attention(y)[:, 0]


SE = {"name": "se", "reduction": 2}


def test_identity_is_its_input_and_has_the_blocks_frozen_parameters(x):
    block = controls.Identity(16, block=SE)
    assert torch.equal(block(x), x)
    assert sum(p.numel() for p in block.parameters()) == 16 * 8 + 8 + 8 * 16 + 16
    assert not any(p.requires_grad for p in block.parameters())


def test_maps_of_an_identity_are_those_of_its_block_and_change_nothing(x):
    block = controls.Identity(16, block=SE).eval()
    with cva.record(block) as maps:
        assert torch.equal(block(x), x)
    torch.testing.assert_close(maps["block.map"].values.flatten(1), se_gate(block.block, x))


def test_a_constant_gate_is_the_mean_of_the_batch(x):
    block = shifted(controls.ConstantGate(16, block=SE))
    wanted = se_gate(block.block, x).mean(0)
    torch.testing.assert_close(block(x), x * wanted[:, None, None])


def test_in_evaluation_it_is_the_running_mean_whatever_the_image(x):
    block = shifted(controls.ConstantGate(16, block=SE))
    gates = [se_gate(block.block, batch).mean(0) for batch in (x, 2 * x, 3 * x)]
    for batch in (x, 2 * x, 3 * x):
        block(batch)
    first = gates[0]
    second = first + (gates[1] - first) / 2  # the mean of few batches is their mean
    wanted = second + (gates[2] - second) / 3
    block.eval()
    torch.testing.assert_close(block(-x), -x * wanted[:, None, None])
    assert torch.equal(block(x)[:1], block(x[:1]))


def test_later_batches_weigh_a_tenth(x):
    block = shifted(controls.ConstantGate(16, block=SE))
    for _ in range(20):
        block(x)
    wanted = se_gate(block.block, x).mean(0) * 0.9 + se_gate(block.block, -x).mean(0) * 0.1
    block(-x)
    torch.testing.assert_close(block.mean_0, wanted)


def test_a_constant_spatial_gate_is_one_number(x):
    block = shifted(controls.ConstantGate(16, block="cbam_spatial"), 1)
    wanted = block.block.attention(x).mean()
    torch.testing.assert_close(block(x), x * wanted)


def test_constant_gates_still_learn(x):
    block = controls.ConstantGate(16, block=SE)
    block(x).square().sum().backward()
    assert block.block.expand.weight.grad.abs().sum() > 0


def test_a_channel_scale_multiplies_each_channel(x):
    block = controls.ChannelScale(16)
    assert torch.equal(block(x), x)
    block.weight.data = torch.arange(16.0)
    torch.testing.assert_close(block(x)[:, 3], 3 * x[:, 3])


def test_each_image_gets_the_gate_of_another_one(x):
    block = shifted(controls.ShuffledGate(16, block=SE))
    gates = se_gate(block.block, x)
    for training in (True, False):
        y = block.train(training)(x)
        for image, other in enumerate((2, 3, 0, 1)):
            torch.testing.assert_close(y[image], x[image] * gates[other][:, None, None])
    torch.testing.assert_close(block(x[:1]), x[:1] * gates[0][:, None, None])


def test_frozen_weights_stay_as_drawn(x):
    torch.manual_seed(0)
    block = controls.FrozenRandom(16, block=SE)
    torch.manual_seed(0)
    plain = create(**SE, channels=16)
    given = x.clone().requires_grad_()
    y = block(given)
    assert torch.equal(y, plain(x))
    y.sum().backward()
    assert given.grad.abs().sum() > 0
    assert all(p.grad is None for p in block.parameters())


def test_uniform_spatial_attention_is_its_mean(x):
    block = shifted(controls.UniformSpatial(16, block="cbam"), 2)
    channel, spatial = cbam_gates(block.block, x)
    wanted = x * channel[:, :, None, None] * spatial.mean((1, 2))[:, None, None, None]
    torch.testing.assert_close(block(x), wanted)


def test_uniform_weights_of_pairs_are_those_of_queries_that_say_nothing(x):
    """All scores are zero where the queries are, so the softmax is uniform."""
    block = controls.UniformSpatial(16, block={"name": "mhsa", "heads": 2}).eval()
    silent = copy.deepcopy(block.block)
    for map in silent.modules():
        map._forward_hooks.clear()
    with torch.no_grad():
        silent.qkv.weight[:16] = 0
        if silent.qkv.bias is not None:
            silent.qkv.bias[:16] = 0
    torch.testing.assert_close(block(x), silent(x))


@pytest.mark.parametrize("case", OPTIONS_LONG, ids=str)
@pytest.mark.parametrize("control", [controls.ShuffledGate, controls.UniformSpatial, controls.ConstantGate])
def test_around_any_block(case, control):
    kinds = [kind for kind in case.entry.maps if kind in control.kinds]
    spec = {"name": case.entry.name, **dict(case.options)}
    if not kinds or case.entry.name in SHOWN_ALONE:
        with pytest.raises(ValueError, match=r"has none|does not multiply"):
            control(case.channels, block=spec)
        return
    block = control(case.channels, block=spec).eval()
    shown = case.build_trained()
    block.block.load_state_dict(shown.state_dict())
    x = 2 * torch.randn(4, case.channels, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), cva.record(block) as maps:
        y = block(x)
    assert y.shape == x.shape
    assert y.isfinite().all()
    changed = [maps[f"block.{name}"].values for name in block.maps() if f"block.{name}" in maps]
    assert changed
    if control is controls.UniformSpatial:
        for values in changed:
            flat = values.flatten(-2)
            torch.testing.assert_close(flat, flat[..., :1].expand_as(flat))
    if control is controls.ConstantGate:
        assert all(torch.equal(values[0], values[1]) for values in changed)
    alone = dict(case.options).get("kernel_size") == 1  # a position that sees itself alone has the weight 1
    assert control is not controls.ShuffledGate or alone or any(_differs(block, case, x, seed) for seed in range(8))


def _differs(block, case, x, seed):
    """Whether a control computes something else than the block; with one drawing of weights all gates may be dead."""
    shown = case.build_trained(seed=seed)
    block.block.load_state_dict(shown.state_dict())
    scales = torch.tensor([0.5, 1.0, 2.0, 4.0])[:, None, None, None]  # images of which even dull gates are not alike
    if seed % 2:
        scales /= 20  # softmaxes that are not saturated
    with torch.no_grad():
        return not torch.equal(block(scales * x), shown(scales * x))


@pytest.mark.parametrize("control", ["ConstantGate", "ShuffledGate", "UniformSpatial", "FrozenRandom", "Identity"])
def test_inserted_by_class_path_it_trains_and_is_copied(control):
    torch.manual_seed(0)
    network = cva.backbones.build("resnet20", num_classes=10, width=4)
    spec = {"class_path": f"cv_attention.blocks.controls.{control}", "init_args": {"block": "cbam"}}
    plan = cva.insert(network, spec, at="residual", init="identity", input_size=16)
    assert len(plan.sites) == 9
    images = torch.randn(4, 3, 16, 16)
    twin = copy.deepcopy(network)
    for one in (network, twin):
        torch.manual_seed(1)
        optimizer = torch.optim.SGD([p for p in one.parameters() if p.requires_grad], 0.1)
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(one(images), torch.tensor([0, 1, 2, 3])).backward()
            optimizer.step()
    torch.testing.assert_close(twin.eval()(images), network.eval()(images))
    fresh = cva.backbones.build("resnet20", num_classes=10, width=4)
    cva.insert(fresh, spec, at="residual", init="identity", input_size=16)
    fresh.load_state_dict(network.state_dict())
    torch.testing.assert_close(fresh.eval()(images), network(images))


def test_a_block_without_weights_cannot_be_frozen():
    with pytest.raises(ValueError, match="SimAM has none"):
        controls.FrozenRandom(16, block="simam")


def test_a_wrong_block_is_named():
    with pytest.raises(ValueError, match="did you mean 'cbam'"):
        controls.Identity(16, block="cbma")
