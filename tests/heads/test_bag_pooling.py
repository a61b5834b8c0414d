"""Pooling over bags: equal to the paper's code for one bag, blind to padding and to other bags."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import cv_attention as cva
from cv_attention.heads import BagNetwork, BagPooling, Memory

HEADS = [
    "additive",
    {"name": "additive", "state": "global", "heads": 2},
    "luong",
    "gated",
    {"name": "gated", "heads": 4},
]
every_head = pytest.mark.parametrize("head", HEADS, ids=str)


def unlike(module):
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data += 0.5 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return module


def test_gated_is_the_official_code_for_every_bag():
    """GatedAttention of AMLab-Amsterdam/AttentionDeepMIL, which takes one bag at a time."""
    pool = unlike(BagPooling(8, {"name": "gated", "width": 5, "bias": True}).double())
    bags = [torch.randn(size, 8, dtype=torch.float64) for size in (4, 1, 6)]
    keep = torch.arange(6) < torch.tensor([[4], [1], [6]])
    padded = torch.full((3, 6, 8), 7.0, dtype=torch.float64)
    for place, bag in enumerate(bags):
        padded[place, : len(bag)] = bag
    pooled = pool(Memory(padded, keep=keep))
    for place, h in enumerate(bags):
        v = torch.tanh(h @ pool.block.key.weight[:, :, 0, 0].T + pool.block.key.bias)
        u = torch.sigmoid(h @ pool.block.opening.weight[:, :, 0, 0].T + pool.block.opening.bias)
        a = torch.softmax((v * u) @ pool.block.w[0], 0)
        assert_close(pooled[place], a @ h)


@every_head
def test_padding_never_has_weight_and_bags_do_not_see_each_other(head):
    torch.manual_seed(0)
    pool, values = unlike(BagPooling(8, head)), torch.randn(3, 5, 8)
    keep = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0]]).bool()
    with cva.record(pool) as maps:
        pooled = pool(Memory(values, keep=keep))
    weights = maps["map"].values
    assert weights.shape[0::2] == (3, 1)
    assert (weights.masked_select(~keep[:, None, None]) == 0).all()
    assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    other = values.masked_fill(~keep[..., None], torch.inf)
    other[0] = torch.randn(5, 8).masked_fill(~keep[0, :, None], torch.nan)
    assert torch.equal(pool(Memory(other, keep=keep))[1:], pooled[1:])
    alone = pool(Memory(values[2:, [1, 3]]))
    assert_close(alone[0], pooled[2])


@every_head
def test_padding_has_no_gradient_and_all_parameters_learn(head):
    pool, values = unlike(BagPooling(8, head)), torch.randn(2, 4, 8, requires_grad=True)
    keep = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]).bool()
    pool(Memory(values, keep=keep)).square().sum().backward()
    assert (values.grad[0, 2:] == 0).all()
    assert (values.grad[keep].abs().sum(-1) > 0).all()
    assert all(parameter.grad.abs().max() > 0 for parameter in pool.parameters())


def test_without_a_head_the_mean_is_taken_as_by_a_fresh_head():
    values, keep = torch.randn(2, 3, 8), torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    means = torch.stack([values[0, :2].mean(0), values[1].mean(0)])
    assert_close(BagPooling(8, None)(Memory(values, keep=keep)), means)
    assert_close(BagPooling(8, "gated")(Memory(values, keep=keep)), means)


def test_a_network_takes_only_real_images():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(12, 8))
    network = unlike(BagNetwork(encoder, 8, 2, "gated"))
    images, keep = torch.randn(3, 3, 2, 2), torch.tensor([[True, False], [True, True]])
    expected = [network(images[:1]), network(images[1:])]
    assert_close(network(images, keep), torch.cat(expected))


def test_an_empty_bag_and_other_heads():
    keep = torch.tensor([[True, True], [False, False]])
    with pytest.raises(ValueError, match="bag 1 of 2 is empty: all of its 2 places are padding"):
        BagPooling(8, "gated")(Memory(torch.randn(2, 2, 8), keep=keep))
    for head in ("local", "hard", "latent_pool", "se"):
        with pytest.raises(ValueError, match="bags are pooled by additive, luong, gated or by their mean"):
            BagPooling(8, head)
    with pytest.raises(ValueError, match="did you mean 'gated'"):
        BagPooling(8, "gatd")
