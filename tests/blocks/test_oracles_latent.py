"""Perceiver's parts equal those of transformers, and the block between convolutions has its properties."""

import pytest
import torch
from torch.testing import assert_close
from transformers import PerceiverConfig
from transformers.models.perceiver.modeling_perceiver import PerceiverLayer as TheirLayer
from transformers.models.perceiver.modeling_perceiver import generate_fourier_features

from cv_attention import blocks
from cv_attention.blocks.context import latent
from cv_attention.blocks.context.perceiver_layer import PerceiverLayer
from cv_attention.blocks.functional import fourier_features, grid_positions
from tests.blocks.cases import Case, feature_map
from tests.references import context


def trained(seed=0, **options):
    return Case(blocks.CATALOGUE["latent"], tuple(options.items())).build_trained(seed=seed).double()


@pytest.mark.parametrize(("width", "inputs", "heads", "ratio"), [(12, 20, 1, 1), (12, 12, 3, 4), (12, None, 4, 2)])
def test_layers_are_transformers(width, inputs, heads, ratio):
    cross = inputs is not None
    theirs = TheirLayer(
        PerceiverConfig(attention_probs_dropout_prob=0.0, attn_implementation="eager"),
        is_cross_attention=cross, qk_channels=width, v_channels=width, num_heads=heads, q_dim=width,
        kv_dim=inputs or width, widening_factor=ratio,
    ).eval()  # fmt: skip
    for parameter in theirs.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    ours = PerceiverLayer(width, inputs, heads, ratio)
    inner, output = theirs.attention.self, theirs.attention.output.dense
    pairs = [
        (ours.attention.norm, inner.layernorm1),
        (ours.attention.query, inner.query),
        (ours.attention.project, output),
        (ours.norm, theirs.layernorm),
        (ours.mlp[0], theirs.mlp.dense1),
        (ours.mlp[2], theirs.mlp.dense2),
    ]
    for own, other in pairs + ([(ours.attention.norm_input, inner.layernorm2)] if cross else []):
        own.load_state_dict(other.state_dict())
    with torch.no_grad():
        for name in ("weight", "bias"):
            both = torch.cat([getattr(inner.key, name), getattr(inner.value, name)])
            getattr(ours.attention.key_value, name).copy_(both)
    z = feature_map(2, 5, width)
    others = feature_map(2, 9, inputs, seed=2) if cross else None
    expected = theirs(z, inputs=others)[0] if cross else theirs(z)[0]
    assert_close(ours(z, others), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("size", "bands"), [((4, 6), 3), ((5,), 4), ((2, 3, 4), 2), ((3, 3), 1)])
def test_fourier_features_are_transformers(size, bands):
    positions = grid_positions(*size)
    expected = generate_fourier_features(positions[None], bands, max_resolution=size)[0]
    assert_close(fourier_features(positions, bands, size), expected, rtol=1e-6, atol=1e-6)


def test_features_need_a_resolution_for_each_axis():
    with pytest.raises(ValueError, match="2 axes"):
        fourier_features(torch.zeros(3, 2), 4, (8,))


def test_any_two_positions_are_connected():
    block, x = trained(), feature_map(1, 8, 5, 7, dtype=torch.float64).requires_grad_()
    block(x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0].abs().sum(0) > 0).all()


def test_it_knows_where_a_position_is(monkeypatch):
    """Without the features of positions, a permutation of the positions permutes the result."""
    block, x = trained(), feature_map(1, 8, 3, 4, dtype=torch.float64)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    permuted = x.flatten(2)[:, :, order].unflatten(2, (3, 4))

    def difference():
        return (block(permuted).flatten(2) - block(x).flatten(2)[:, :, order]).abs().max()

    assert difference() > 1e-3
    monkeypatch.setattr(latent, "fourier_features", lambda *given: torch.ones_like(fourier_features(*given)))
    assert difference() < 1e-12


@pytest.mark.parametrize("latents", [4, 8])
def test_cost_is_linear_in_the_positions(latents):
    options = {"name": "latent", "latents": latents}
    costs = [blocks.cost(options, 16, side, side).products for side in (8, 16, 32, 64)]
    steps = [costs[index + 1] - costs[index] for index in range(3)]
    assert steps[1] == 4 * steps[0]
    assert steps[2] == 4 * steps[1]


def test_more_layers_think_more():

    block, x = trained(layers=3), feature_map(2, 8, 4, 5, dtype=torch.float64)
    expected, *maps = context.latent(block, x)
    assert len(maps) == 5
    assert_close(block(x), expected, rtol=1e-6, atol=1e-7)


def test_a_fresh_block_starts_small():
    torch.manual_seed(0)
    x = feature_map(4, 64, 8, 8)
    added = blocks.create("latent", 64)(x) - x
    assert 0 < added.norm() < x.norm()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 6}, "width=6, heads=4"),
        ({"cross_heads": 3}, "channels=8, cross_heads=3"),
        ({"bands": -1}, "bands=-1"),
        ({"latents": 0}, "latents=0"),
    ],
)
def test_bad_options_are_said(options, message):
    with pytest.raises(ValueError, match=message):
        blocks.create("latent", 8, **options)
