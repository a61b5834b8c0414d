"""Strips with a memory: transformers' XLNet, strip after strip, and how far values and gradients reach."""

import pytest
import torch
from torch.testing import assert_close
from transformers import XLNetConfig, XLNetModel
from transformers.models.xlnet.modeling_xlnet import XLNetRelativeAttention

from cv_attention import blocks, record
from tests.blocks.cases import Case, feature_map

every_block = pytest.mark.parametrize("name", ["transformer_xl", "xlnet"])


def trained(name, seed=0, **options):
    return Case(blocks.CATALOGUE[name], tuple(options.items())).build_trained(seed=seed).double()


@pytest.mark.parametrize("height", [2, 4])
def test_scores_are_xlnets(height):
    """Without and with a memory; what follows the sum over the values, a norm and a residual, is not part of ours."""
    ours = trained("xlnet", heads=2, rows=2).float()
    config = XLNetConfig(d_model=8, n_head=2, d_inner=8, n_layer=1, vocab_size=2, dropout=0.0)
    theirs = XLNetRelativeAttention(config).eval()
    key, value = ours.key_value.weight.chunk(2)
    with torch.no_grad():
        pairs = zip("qkvr", (ours.query.weight, key, value, ours.position.weight), strict=True)
        for name, weight in pairs:  # (out, in) there is (in, heads, d)
            getattr(theirs, name).copy_(weight.t().unflatten(1, (2, -1)))
        theirs.o.copy_(ours.project.weight.unflatten(1, (2, -1)))
        theirs.r_w_bias.copy_(ours.content_bias)
        theirs.r_r_bias.copy_(ours.position_bias)
        theirs.seg_embed.zero_()
    x = feature_map(2, 8, height, 3)
    tokens = x.flatten(2).permute(2, 0, 1)
    memory, own = tokens[:-6], tokens[-6:]
    places = XLNetModel(config).relative_positional_encoding(6, len(tokens), bsz=2)
    keys = (torch.einsum("ibh,hnd->ibnd", tokens, getattr(theirs, name)) for name in "kv")
    query = torch.einsum("ibh,hnd->ibnd", own, theirs.q)
    mixed = theirs.rel_attn_core(query, *keys, torch.einsum("ibh,hnd->ibnd", places, theirs.r))
    expected = torch.einsum("ibnd,hnd->ibh", mixed, theirs.o)
    assert len(memory) == 3 * (height - 2)
    assert_close(ours(x)[:, :, -2:].flatten(2).permute(2, 0, 1), expected, rtol=1e-5, atol=1e-6)


@every_block
@pytest.mark.parametrize(("rows", "memory", "height"), [(1, 0, 3), (2, 1, 6), (2, 2, 7), (3, 1, 8), (4, 2, 3)])
def test_strip_after_strip_is_the_whole(name, rows, memory, height):
    block = trained(name, rows=rows, memory=memory)
    x = feature_map(2, 8, height, 5, dtype=torch.float64)
    state, found = None, []
    for strip in x.split(rows, 2):
        y, state = block.stream(strip, state)
        assert state.shape[2] <= memory * rows
        found.append(y)
    assert_close(torch.cat(found, 2), block(x))


@every_block
def test_streams_gradients_are_those_of_the_whole(name):
    block, x = trained(name), feature_map(1, 8, 6, 3, dtype=torch.float64).requires_grad_()
    weight = feature_map(1, 8, 6, 3, seed=2, dtype=torch.float64)
    wanted, state, found = (x, *block.parameters()), None, []
    expected = torch.autograd.grad((block(x) * weight).sum(), wanted)
    for strip in x.split(2, 2):
        y, state = block.stream(strip, state)
        found.append(y)
    assert_close(torch.autograd.grad((torch.cat(found, 2) * weight).sum(), wanted), expected)


def influence(layers, x, row):
    """By row of the input: whether a change moves the output in `row`, and whether a gradient comes back from there."""
    moved = []
    with torch.no_grad():
        before = layers(x)[:, :, row]
        for changed in range(x.shape[2]):
            other = x.clone()
            other[:, :, changed] += 1
            moved.append(not torch.equal(layers(other)[:, :, row], before))
    leaf = x.clone().requires_grad_()
    layers(leaf)[:, :, row].sum().backward()
    return moved, (leaf.grad.abs().sum((0, 1, 3)) != 0).tolist()


@every_block
@pytest.mark.parametrize(("memory", "depth"), [(1, 1), (1, 2), (2, 2), (0, 2)])
def test_the_reach_is_layers_times_memory(name, memory, depth):
    """Six strips of one row: values come from exactly so many above, gradients go only where the memory passes them."""
    x = feature_map(1, 8, 6, 4, dtype=torch.float64)
    reach = [row >= 5 - memory * depth for row in range(6)]
    for detach in (True, False):
        made = [trained(name, seed=layer, rows=1, memory=memory, detach=detach) for layer in range(depth)]
        moved, gradients = influence(torch.nn.Sequential(*made), x, 5)
        assert moved == reach
        assert gradients == ([row == 5 for row in range(6)] if detach else reach)


def test_no_position_depends_on_a_later_one():
    block, x = trained("transformer_xl"), feature_map(1, 8, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        before = block(x).flatten(2)
        for place in range(12):
            other = x.clone()
            other.view(1, 8, 12)[:, :, place] += 1
            same = (block(other).flatten(2) == before).all(1)[0]
            assert same[:place].all()
            assert not same[place]


def test_the_first_position_sees_itself_alone():
    """Where all scores of a query are masked, as in transformers' XLNet, a softmax would be uniform, a leak."""
    for name, seen in (("transformer_xl", 1), ("xlnet", 6)):
        block = trained(name)
        with record(block) as maps:
            block(feature_map(1, 8, 4, 3, dtype=torch.float64))
        assert (maps["map"].dense().values[0, 0, 0] > 0).sum() == seen


def test_both_directions_are_xlnet():
    """What a causal option turned off gives."""
    xlnet, other = trained("xlnet"), trained("transformer_xl", causal=False)
    other.load_state_dict(xlnet.state_dict())
    x = feature_map(2, 8, 5, 4, dtype=torch.float64)
    assert_close(other(x), xlnet(x), rtol=0, atol=0)


@every_block
def test_a_longer_memory_changes_nothing_beyond_the_image(name):
    x = feature_map(2, 8, 4, 5, dtype=torch.float64)
    block, longer = trained(name, memory=1), trained(name, memory=9)
    longer.load_state_dict(block.state_dict())
    assert_close(longer(x), block(x))


@every_block
def test_maps_are_windows_that_sum_to_one(name):
    block = trained(name, rows=2, memory=1)
    with record(block) as maps:
        block(feature_map(1, 8, 5, 3, dtype=torch.float64))
    assert maps["map"].values.shape == (1, 4, 15, 4, 3)
    total = maps["map"].dense().values.sum((3, 4))
    assert_close(total, torch.ones_like(total))


@every_block
def test_cost_is_linear_in_the_height(name):
    costs = [blocks.cost(name, 16, height, 8).products for height in (8, 16, 32, 64)]
    steps = [costs[index + 1] - costs[index] for index in range(3)]
    assert steps[1] == 2 * steps[0]
    assert steps[2] == 2 * steps[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b, x: b.stream(x), r"at most 2 rows.*\(1, 8, 4, 5\)"),
        (lambda b, x: b.stream(x[:, :, :2], x[..., :4]), r"\(1, 8, 4, 4\)"),
        (lambda b, x: b.stream(x[:, :, :2], x[:, :, :1]), "fewer than 2 rows"),
        (lambda b, x: blocks.create("xlnet", 8, memory=-1), "memory=-1"),
        (lambda b, x: blocks.create("xlnet", 8, rows=0), "rows=0"),
    ],
)
def test_bad_strips_are_said(call, message):
    with pytest.raises(ValueError, match=message):
        call(blocks.create("transformer_xl", 8), feature_map(1, 8, 4, 5))
