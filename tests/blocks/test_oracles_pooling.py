"""Attention poolings equal torch's attention and the papers' code, with the same weights."""

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.layers import AttentionPool2d, AttentionPoolLatent
from timm.models.cait import LayerScaleBlockClassAttn
from torch import nn
from torch.testing import assert_close

from cv_attention import blocks
from cv_attention.blocks.functional import softmax_gate
from tests.blocks.cases import feature_map, hooked

GATES = [
    ("additive", {}),
    ("additive", {"state": "global"}),
    ("luong", {}),
    ("luong", {"state": "learned"}),
    ("luong", {"score": "dot"}),
    ("luong", {"score": "concat"}),
    ("local", {}),
    ("gated", {}),
    ("gated", {"gated": False, "bias": True}),
]
every_gate = pytest.mark.parametrize(("name", "options"), GATES, ids=str)


def unlike(module, seed=1):
    """Moves every parameter away from its initial value, so that nothing is zero."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module


def pooled(block, x):
    """What global average pooling makes of the block's output."""
    return block(x).mean((2, 3))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("score", "state"), [("dot", "learned"), ("general", "learned"), ("general", "global")])
def test_luong_is_torchs_attention_with_one_query(score, state, heads):
    block = unlike(blocks.LuongPool(8, score=score, state=state, heads=heads)).double()
    x = feature_map(2, 8, 4, 5, dtype=torch.float64)
    values = x.reshape(2, heads, 8 // heads, 20).transpose(2, 3)
    query = values.mean(2, keepdim=True) if state == "global" else block.state[None, :, None].expand(2, -1, -1, -1)
    if score == "general":
        query = query @ block.weight
    expected = F.scaled_dot_product_attention(query, values, values, scale=1.0)
    assert_close(pooled(block, x), expected.flatten(1))


@pytest.mark.parametrize("gated", [True, False])
def test_gated_is_the_official_code(gated):
    """GatedAttention and Attention of AMLab-Amsterdam/AttentionDeepMIL, for one bag."""
    block = unlike(blocks.GatedPool(8, width=5, gated=gated, bias=True)).double()
    x = feature_map(1, 8, 4, 5, dtype=torch.float64)
    bag = x[0].flatten(1).T
    scores = torch.tanh(F.linear(bag, block.key.weight[:, :, 0, 0], block.key.bias))
    if gated:
        scores = scores * torch.sigmoid(F.linear(bag, block.opening.weight[:, :, 0, 0], block.opening.bias))
    weights = F.softmax(F.linear(scores, block.w).T, dim=1)
    assert_close(pooled(block, x), weights @ bag)


def copy(ours, theirs, *more):
    """Copies the weights of a layer, or of several stacked one below the other."""
    for name, parameter in ours.named_parameters():
        sources = [dict(layer.named_parameters())[name] for layer in (theirs, *more)]
        parameter.data.copy_(torch.cat(sources) if more else sources[0])


def everywhere(vector, x):
    return vector[:, :, None, None].expand_as(x)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_class_attention_is_timms_cait(layers):
    theirs = [unlike(LayerScaleBlockClassAttn(8, 2, qkv_bias=True, norm_layer=norm)) for _ in range(layers)]
    ours = blocks.ClassAttention(8, heads=2, layers=layers)
    x = feature_map(3, 8, 4, 5)
    for mine, other in zip(ours.layers, theirs, strict=True):
        copy(mine.norm1, other.norm1)
        copy(mine.norm2, other.norm2)
        copy(mine.query, other.attn.q)
        copy(mine.key_value, other.attn.k, other.attn.v)
        copy(mine.project, other.attn.proj)
        copy(mine.mlp[0], other.mlp.fc1)
        copy(mine.mlp[2], other.mlp.fc2)
        mine.gamma1.data.copy_(other.gamma_1)
        mine.gamma2.data.copy_(other.gamma_2)
    with torch.no_grad():
        tokens, z = x.flatten(2).transpose(1, 2), ours.token.expand(3, -1, -1)
        for other in theirs:
            z = other(tokens, z)
        assert_close(ours(x), everywhere(z[:, 0], x))
        with hooked(ours) as maps:
            assert_close(ours(x), everywhere(z[:, 0], x))
    assert [map_.shape for _, map_ in maps] == [(3, 2, 1, 4, 5)] * layers


def norm(width, **factory):
    return nn.LayerNorm(width, eps=1e-6, **factory)


def test_class_attention_starts_as_timms_cait():
    model = timm.create_model("cait_xxs24_224", pretrained=False)
    ours = blocks.ClassAttention(192)
    assert len(ours.layers) == len(model.blocks_token_only)
    assert (ours.layers[0].gamma1 == model.blocks_token_only[0].gamma_1).all()


@pytest.mark.parametrize("qkv_bias", [True, False])
@pytest.mark.parametrize("normed", [True, False])
def test_latent_pool_is_timms(normed, qkv_bias):
    theirs = unlike(AttentionPoolLatent(8, num_heads=2, qkv_bias=qkv_bias, norm_layer=norm if normed else None))
    ours = blocks.LatentPool(8, heads=2, norm=normed, qkv_bias=qkv_bias)
    ours.latent.data.copy_(theirs.latent)
    pairs = [(ours.query, theirs.q), (ours.key_value, theirs.kv), (ours.project, theirs.proj), (ours.norm, theirs.norm)]
    for mine, other in [*pairs, (ours.mlp[0], theirs.mlp.fc1), (ours.mlp[2], theirs.mlp.fc2)]:
        copy(mine, other)
    x = feature_map(3, 8, 4, 5)
    with torch.no_grad():
        assert_close(ours(x), everywhere(theirs(x.flatten(2).transpose(1, 2)), x))


@pytest.mark.parametrize("size", [(7, 7), (4, 5), (14, 9)])
def test_query_2d_is_timms(size):
    theirs = unlike(AttentionPool2d(8, feat_size=7, num_heads=2, qkv_separate=True))
    ours = blocks.QueryPool2d(8, heads=2)
    ours.position.data.copy_(theirs.pos_embed)
    copy(ours.query, theirs.q)
    copy(ours.key_value, theirs.k, theirs.v)
    copy(ours.project, theirs.proj)
    x = feature_map(3, 8, *size)
    with torch.no_grad():
        assert_close(ours(x), everywhere(theirs(x), x))


@pytest.mark.parametrize(("name", "others"), [("class_attention", True), ("latent_pool", False), ("query_2d", True)])
def test_maps_of_one_query_leave_out_what_is_no_position(name, others):
    block, x = unlike(blocks.create(name, 8)), feature_map(2, 8, 4, 5)
    with hooked(block) as maps, torch.no_grad():
        block(x)
    for kind, map_ in maps:
        assert (kind, map_.shape) == ("pairwise", (2, 4, 1, 4, 5))
        total = map_.sum((3, 4))
        assert (total < 1).all() if others else torch.allclose(total, torch.ones_like(total))


@every_gate
def test_heads_are_blocks_for_their_channels(name, options):
    if name == "local":
        pytest.skip("the centres of its heads are predicted from all channels")
    both = unlike(blocks.create(name, 8, heads=2, width=3, **options)).double()
    x = feature_map(2, 8, 4, 5, dtype=torch.float64)
    with hooked(both) as maps, torch.no_grad():
        y = both(x)
    assert [kind for kind, _ in maps] == ["joint"]
    assert_close(x * maps[0][1], y)
    for head in range(2):
        one = blocks.create(name, 4, width=3, **options).double()
        with torch.no_grad():
            for target, source in zip(one.parameters(), both.parameters(), strict=True):
                target.copy_(source.reshape(2, *target.shape)[head] if source.shape != target.shape else source[head])
        assert_close(one(x[:, 4 * head : 4 * head + 4]), y[:, 4 * head : 4 * head + 4])


@every_gate
def test_a_fresh_block_is_the_identity_for_any_number_of_positions(name, options):
    for heads in (1, 2):
        block = blocks.create(name, 8, heads=heads, **options)
        for positions in range(1, 200):
            x = feature_map(1, 8, 1, positions)
            assert torch.equal(block(x), x), f"{positions} positions, {heads} heads"


def test_n_times_a_softmax_would_not_be():
    assert any((n * torch.zeros(n).softmax(0) != 1).any() for n in range(1, 200))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_softmax_gate_is_n_times_torchs_softmax(dtype):
    scores = (300 * feature_map(3, 4, 7)).to(dtype)  # their exponentials leave the range of float32
    gate = softmax_gate(scores)
    assert gate.dtype == torch.float32
    assert_close(gate, 7 * scores.float().softmax(-1))


@every_gate
def test_the_map_has_mean_one_and_no_negative_weights(name, options):
    block, x = unlike(blocks.create(name, 8, **options)), feature_map(3, 8, 7, 7)
    with hooked(block) as maps, torch.no_grad():
        block(x)
    [(kind, map_)] = maps
    assert (kind, map_.shape) == ("spatial", (3, 1, 7, 7))
    assert (map_ >= 0).all()
    assert map_.std() > 0.01
    assert_close(map_.mean((2, 3)), torch.ones(3, 1))


@every_gate
def test_weights_of_half_precision_are_computed_in_float32(name, options):
    block, x = unlike(blocks.create(name, 8, **options)), feature_map(2, 8, 5, 7)
    x = x.bfloat16().float()
    with hooked(block) as maps, torch.no_grad():
        block(x)
        with torch.autocast("cpu", torch.bfloat16):
            block(x)
        block.bfloat16()(x.bfloat16())
    assert [map_.dtype for _, map_ in maps] == [torch.float32, torch.float32, torch.bfloat16]
    assert_close(maps[1][1], maps[0][1], rtol=0.05, atol=0.05)
    # Rounded once at the end, a mean of 35 weights is far closer to 1 than one weight to its value.
    assert_close(maps[2][1].float().mean((2, 3)), torch.ones(2, 1), rtol=3e-3, atol=0)


@pytest.mark.long
@every_gate
def test_learns_to_look_where_the_label_is(name, options):
    """One position holds the class, marked by a channel of its own; the others hold other classes."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    x = F.one_hot(torch.randint(0, 4, (256, 36), generator=generator), 8).float()
    place = torch.randint(0, 36, (256,), generator=generator)
    rows = torch.arange(256)
    x[rows, place, 7] = 1.0
    labels = x[rows, place, :4].argmax(1)
    x = x.transpose(1, 2).unflatten(2, (6, 6)).contiguous()
    block, head = blocks.create(name, 8, **options), torch.nn.Linear(8, 4)
    fresh = {key: value.clone() for key, value in block.state_dict().items()}
    optimizer = torch.optim.Adam([*block.parameters(), *head.parameters()], lr=0.05)
    for step in range(150):
        loss = F.cross_entropy(head(pooled(block, x)), labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:  # something learns at once, everything from the second or third step on
            assert any(parameter.grad.abs().max() > 0 for parameter in block.parameters())
        optimizer.step()
        if step == 2:
            assert all(not torch.equal(fresh[key], value) for key, value in block.state_dict().items())
    with torch.no_grad():
        accuracy = (head(pooled(block, x)).argmax(1) == labels).float().mean()
        hits = (block.attention(x).flatten(1).argmax(1) == place).float().mean()
    assert accuracy > 0.95
    assert hits > 0.6  # chance: 0.03


def test_local_looks_around_its_centre():
    block = blocks.LocalPool(8, reach=1).double()
    block.strength.data.fill_(1.0)
    x = feature_map(2, 8, 9, 7, dtype=torch.float64)
    gate = block.attention(x)[:, 0]
    share = ((x.mean((2, 3)) @ block.hidden.T).tanh() @ block.centre.T).sigmoid()
    for sample in range(2):
        row, column = (share[sample] * torch.tensor([9, 7])).floor().int().tolist()
        assert gate[sample].argmax().item() == 7 * row + column


def test_local_as_in_the_paper_does_not_sum_to_one():
    block, x = blocks.LocalPool(8, reach=2, renormalise=False).double(), feature_map(2, 8, 9, 9, dtype=torch.float64)
    weights = block.attention(x)[:, 0] / 81
    assert 0.15 < weights.sum((1, 2)).min() < weights.sum((1, 2)).max() < 0.6
    assert 16 <= (weights > 0).sum((1, 2)).min() <= (weights > 0).sum((1, 2)).max() <= 25


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("luong", {"score": "dott"}, "did you mean 'dot'"),
        ("luong", {"score": "dot", "state": "global"}, "score='dot' has nothing to learn with state='global'"),
        ("additive", {"state": "gloabl"}, "did you mean 'global'"),
        ("local", {"reach": 0}, "reach=0"),
        ("gated", {"heads": 3}, "channels=8, heads=3"),
        ("additive", {"width": 0}, "width=0"),
    ],
    ids=str,
)
def test_bad_options_are_said(name, options, message):
    with pytest.raises(ValueError) as error:
        blocks.create(name, 8, **options)
    assert message in str(error.value)
