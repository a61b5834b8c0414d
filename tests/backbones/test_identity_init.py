"""Blocks that start as the identity: exact to the bit, with a full gradient at once, and as fast as fresh ones."""

import copy

import pytest
import torch
from torch import nn

from cv_attention.backbones import insert
from cv_attention.backbones.insertion.identity_init import IdentityInit, as_identity
from cv_attention.blocks import CATALOGUE
from tests.blocks.cases import DEFAULTS, OPTIONS_LONG
from tests.quick import quick_first

# What each block is. Those without a method are the identity by themselves, as their papers start them.
WHOLE = [
    "se",
    "eca",
    "ese",
    "ceca",
    "ge_plus",
    "srm",
    "fca",
    "lct",
    "gsop",
    "cbam_spatial",
    "sge",
    "lka",
    "strip_pooling",
    "attention_gate",
    "ela",
    "cbam",
    "bam",
    "scse",
    "shuffle",
    "triplet",
    "coordinate",
    "gca",
    "encnet",
    "double_attention",
    "danet_position",
    "criss_cross",
    "external_attention",
    "latent",
    "bat",
    "vit",
]
BY_THEMSELVES = ["gct", "grn", "gc", "non_local", "disentangled_non_local", "danet_channel"]
BY_THEMSELVES += ["additive", "luong", "local", "gated", "hard"]
ADDED = [
    "attention_augmented",
    "mhsa",
    "window",
    "neighbourhood",
    "botnet",
    "halo",
    "lambda_layer",
    "xca",
    "mqa",
    "linear_attention",
    "focused_linear",
    "differential",
    "axial",
    "gat",
    "gatv2",
    "transformer_xl",
    "xlnet",
    "dynamic_convolution",
]
FADED = ["ge_minus", "gaussian_context", "simam", "sk", "split_attention"]
FADED += ["class_attention", "latent_pool", "query_2d"]


def made(case, channels=24, plain=False):
    """The block in an `IdentityInit`; with `plain` it has the weights of a fresh one in the same form."""
    fresh = case.build(channels)
    block, _ = as_identity(case.build(channels), (channels, 8, 8), "site", case.entry.name)
    if plain:
        block.block.load_state_dict(fresh.state_dict())
        block.block.gain = 1.0
        if block.alpha is not None:
            nn.init.constant_(block.alpha, 0.1)  # with the scale, 1
    return block.train()


def spread_out(*shape, seed=1):
    """Numbers from far below to far above 1, with zeros among them, and means that differ."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (x + 0.3) * torch.logspace(-6, 1, shape[1])[:, None, None] * (x > -0.5)


def test_the_table_is_complete():
    assert sorted([*WHOLE, *BY_THEMSELVES, *ADDED, *FADED]) == sorted(CATALOGUE)
    assert len(CATALOGUE) == 67


@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_form(case):
    name = case.entry.name
    assert made(case).form == ("added" if name in ADDED else "faded" if name in FADED else "whole")
    assert hasattr(case.build(24), "start_as_identity") == (name in WHOLE + ADDED)


@pytest.mark.parametrize("case", OPTIONS_LONG, ids=str)
def test_is_the_identity_to_the_bit(case):
    block, x = made(case), spread_out(3, 24, 14, 10)
    dtypes = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
    halves = [torch.bfloat16, torch.float16]
    if case.entry.name == "focused_linear":  # in float16 its sums vanish, so that it divides by zero, fresh ones too
        dtypes.pop()
        halves.pop()
    for dtype in dtypes:
        given = x.to(dtype, memory_format=torch.channels_last if dtype == torch.bfloat16 else torch.contiguous_format)
        for training in (True, False):
            one = copy.deepcopy(block).to(dtype).train(training)
            assert torch.equal(one(given), given)
            with torch.no_grad():
                assert torch.equal(one(given), given)
    for dtype in halves:
        with torch.autocast("cpu", dtype):
            for given in (x, x.to(dtype), x.to(memory_format=torch.channels_last)):
                y = block(given)
                assert y.dtype == given.dtype
                assert torch.equal(y, given)


@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_gradients_at_the_first_step_are_those_of_a_fresh_block(case):
    x, weights = spread_out(4, 24, 8, 8).requires_grad_(), torch.randn(4, 24, 8, 8)
    norms = {}
    for plain in (True, False):
        block = made(case, plain=plain)
        (block(x) * weights).sum().backward()
        own = [p.grad for name, p in block.named_parameters() if name != "alpha"]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in own)
        norms[plain] = sum(float(g.square().sum()) for g in own) ** 0.5
        if block.alpha is not None:
            norms[plain] = float(block.alpha.grad.norm())
    # SRM's fresh norm divides a deviation of 0 by its root of epsilon, 0.003.
    assert norms[False] > (0.002 if case.entry.name == "srm" else 0.03) * norms[True] > 0


def task(case, x):
    """What a block of other weights does, none of them zero; and how far that is from doing nothing."""
    torch.manual_seed(7)
    teacher = made(case, channels=x.shape[1], plain=True)
    with torch.no_grad():
        for name, parameter in teacher.named_parameters():
            if name == "alpha":
                parameter.mul_(torch.rand_like(parameter))
            elif parameter.ndim < 2:
                parameter.mul_(0.5).add_(torch.randn_like(parameter) * 0.5)  # half-way between the two starts
            elif parameter.any():
                parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))
            else:
                parameter.normal_(0, 0.5)
        target = teacher(x)
        return target, float((target - x).square().mean())


def loss_after(block, optimizer, x, target, steps=25):
    for _ in range(steps):
        loss = (block(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def check_speed(case, kind):
    """A short regression ends with at most four times a fresh block's loss, or at half of what no block has."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 16, 6, 6, generator=generator) + torch.randn(12, 16, 1, 1, generator=generator)
    target, without = task(case, x)
    losses = {}
    for plain in (True, False):
        block = made(case, channels=16, plain=plain)
        if kind == "sgd":
            optimizer = torch.optim.SGD(block.parameters(), 0.02, 0.9)
        else:
            optimizer = torch.optim.AdamW(block.parameters(), 1e-2, weight_decay=0)
        losses[plain] = loss_after(block, optimizer, x, target) / without
    assert losses[False] < max(4 * losses[True], 0.5), losses
    assert losses[False] < 0.95, losses


@pytest.mark.parametrize("kind", quick_first(["sgd", "adamw"]))
@pytest.mark.parametrize("name", ["se", "cbam", "mhsa", "double_attention", "simam", "sk"])
def test_learns_as_fast_as_a_fresh_block(name, kind):
    check_speed(next(case for case in DEFAULTS if case.entry.name == name), kind)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_every_block_learns_as_fast_as_a_fresh_one(case, kind):
    check_speed(case, kind)


class Doubling(nn.Module):
    """A user's block that says itself how it starts: ``added`` with a zero layer, ``whole`` with the input added."""

    def __init__(self, channels, whole=False, start=True):
        super().__init__()
        self.conv, self.whole, self.start = nn.Conv2d(channels, channels, 1), whole, start

    def start_as_identity(self):
        if self.start:
            nn.init.zeros_(self.conv.weight)
            nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        return x + self.conv(x) if self.whole else self.conv(x)


@pytest.mark.parametrize(("whole", "form"), [(True, "whole"), (False, "added")])
def test_a_users_block_may_say_how_it_starts(whole, form):
    model, image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)), torch.randn(2, 3, 8, 8)
    plain = model(image)
    insert(model, lambda channels: Doubling(channels, whole), "0", init="identity", input_size=8)
    assert torch.equal(model(image), plain)
    assert model[0].attention.form == form
    assert model[0].attention.alpha is None
    model(image).square().sum().backward()
    assert model[0].attention.block.conv.weight.grad.abs().min() > 0


def test_a_block_that_says_so_wrongly_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(ValueError, match=r"'0': after start_as_identity\(\) it returns neither its input nor zeros"):
        insert(model, lambda channels: Doubling(channels, start=False), "0", init="identity", input_size=8)
    broken = type("Broken", (Doubling,), {"start_as_identity": lambda self: self.missing})
    with pytest.raises(ValueError, match=r"'0': start_as_identity\(\) fails: AttributeError"):
        insert(model, broken, "0", init="identity", input_size=8)
    assert not hasattr(model[0], "attention")


def test_alpha_is_one_number_per_channel_with_a_scale():
    block, x = IdentityInit(nn.ReLU(), 3, "faded"), torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        block.alpha.copy_(torch.tensor([0.0, 0.1, 0.05]))
    expected = torch.stack([x[:, 0], x[:, 1].relu(), (x[:, 2] + x[:, 2].relu()) / 2], 1)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("name", ["se", "sk"])
def test_a_checkpoint_of_the_earlier_form_is_refused(name):
    model = nn.Sequential(nn.Conv2d(3, 8, 3))
    insert(model, name, "0", init="identity", input_size=8)
    state = model.state_dict() | {"0.attention.alpha": torch.zeros(1)}
    with pytest.raises((ValueError, RuntimeError), match=r"0\.attention\.alpha"):
        model.load_state_dict(state)
    again = copy.deepcopy(model)
    again.load_state_dict(model.state_dict(), strict=True)


@pytest.mark.parametrize("form", ["whole", "added", "faded"])
def test_no_form_takes_the_earlier_ones_weights_unnoticed(form):
    with pytest.raises(ValueError, match=r"alpha has the shape \(1,\).* in the form of an earlier version"):
        IdentityInit(nn.ReLU(), 3, form).load_state_dict({"alpha": torch.zeros(1)}, strict=False)


def test_the_start_adds_nothing_to_a_blocks_state():
    """The tests of the blocks themselves show that nothing else changed."""
    for case in DEFAULTS:
        block = case.build(24)
        keys = list(block.state_dict())
        assert getattr(block, "start", 1.0) == getattr(block, "gain", 1.0) == 1.0
        if hasattr(block, "start_as_identity"):
            block.start_as_identity()
            assert list(block.state_dict()) == keys


def test_an_untouched_gate_is_drawn_uniform():
    import numpy as np

    import cv_attention as cva

    model, image = nn.Sequential(nn.Conv2d(3, 8, 3)), torch.randn(1, 3, 9, 9)
    cva.insert(model, "cbam", "0", init="identity", input_size=9)
    with cva.record(model.eval()) as maps:
        model(image)
    gate = maps["0.attention.block.spatial.map"]
    assert (gate.values == 0.5).all()  # the paper's map, not divided by its start
    picture = cva.overlay(np.zeros((9, 9, 3), np.uint8), cva.to_heatmap(gate, 9))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1
