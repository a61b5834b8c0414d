"""Perceiver IO's output queries equal transformers' decoder, and read sets of any size with any queries."""

import pytest
import torch
from torch.testing import assert_close
from transformers import PerceiverConfig
from transformers.models.perceiver.modeling_perceiver import PerceiverBasicDecoder

from cv_attention import backbones, record
from cv_attention.blocks import functional
from cv_attention.heads import Memory, OutputQueries, PerceiverIODecoder

CHANNELS, WIDTH, OUTPUTS = 10, 12, 5


def theirs_like(ours, count, heads, ratio, residual):
    """Transformers' decoder with `count` learned queries and our weights."""
    config = PerceiverConfig(d_latents=CHANNELS, hidden_act="gelu", attention_probs_dropout_prob=0.0)
    theirs = PerceiverBasicDecoder(
        config, output_num_channels=OUTPUTS, position_encoding_type="trainable", output_index_dims=count,
        num_channels=WIDTH, qk_channels=WIDTH, v_channels=WIDTH, num_heads=heads, widening_factor=ratio,
        use_query_residual=residual, trainable_position_encoding_kwargs={"num_channels": WIDTH, "index_dims": count},
    ).double()  # fmt: skip
    layer, reader = theirs.decoding_cross_attention, ours.reader
    attention = layer.attention.self
    key, value = reader.attention.key_value.weight.chunk(2)
    key_bias, value_bias = reader.attention.key_value.bias.chunk(2)
    pairs = [
        (attention.layernorm1, reader.norm_query), (attention.layernorm2, reader.norm_memory),
        (attention.query, reader.attention.query), (layer.attention.output.dense, reader.attention.project),
        (layer.layernorm, reader.norm), (layer.mlp.dense1, reader.mlp[0]), (layer.mlp.dense2, reader.mlp[2]),
        (theirs.final_layer, ours.output),
    ]  # fmt: skip
    for one, other in pairs:
        one.load_state_dict(other.state_dict())
    attention.key.load_state_dict({"weight": key, "bias": key_bias})
    attention.value.load_state_dict({"weight": value, "bias": value_bias})
    return theirs.eval()


def randomised(module):
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


@pytest.mark.parametrize(("heads", "ratio", "residual"), [(1, 1, False), (3, 2, True)])
def test_outputs_and_weights_are_transformers(heads, ratio, residual):
    torch.manual_seed(0)
    ours = randomised(OutputQueries(CHANNELS, OUTPUTS, WIDTH, heads=heads, mlp_ratio=ratio, residual=residual))
    values, queries = torch.randn(2, 6, CHANNELS).double(), torch.randn(2, 4, WIDTH).double()
    keep = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    theirs = theirs_like(ours, 4, heads, ratio, residual)
    expected = theirs(queries, values, query_mask=keep.double(), output_attentions=True)
    # their mask of the keys is a large negative number that is added
    hidden = (1.0 - keep.double())[:, None, None] * torch.finfo(torch.float64).min
    masked = theirs.decoding_cross_attention(
        queries, attention_mask=None, inputs=values, inputs_mask=hidden, output_attentions=True
    )
    with record(ours) as maps:
        found = ours(Memory(values, (2, 3), keep), queries)
    assert_close(found, theirs.final_layer(masked[0]))
    assert_close(maps["map"].values.flatten(3), masked[1])
    assert maps["map"].values.shape == (2, heads, 4, 2, 3)
    assert not maps["map"].values[1].flatten(2)[..., 4:].any()
    assert_close(ours(Memory(values), queries)[0], expected.logits[0])


def test_the_text_head_is_output_queries_of_learned_steps():
    torch.manual_seed(0)
    head = randomised(PerceiverIODecoder(CHANNELS, OUTPUTS, 3, (2, 3), width=WIDTH, heads=2, position="none"))
    plain = OutputQueries(CHANNELS, OUTPUTS, WIDTH, heads=2, residual=True).double()
    plain.load_state_dict({k: v for k, v in head.state_dict().items() if k.startswith(("reader", "output"))})
    memory = Memory(torch.randn(2, 6, CHANNELS).double(), (2, 3))
    assert_close(head(memory), plain(memory, head.steps))


def test_queries_do_not_see_each_other_and_padding_has_no_influence():
    torch.manual_seed(0)
    ours = randomised(OutputQueries(CHANNELS, OUTPUTS, WIDTH, heads=2))
    values, queries = torch.randn(2, 6, CHANNELS).double(), torch.randn(4, WIDTH).double()
    keep = torch.ones(2, 6, dtype=torch.bool)
    keep[:, 4:] = False
    whole = ours(Memory(values, None, keep), queries)
    assert_close(ours(Memory(values[:, :4]), queries), whole)
    assert_close(ours(Memory(values, None, keep), queries[1:2]), whole[:, 1:2])
    values.requires_grad_()
    ours(Memory(values, None, keep), queries).sum().backward()
    assert not values.grad[:, 4:].any()
    assert values.grad[:, :4].any()


def test_latents_of_a_perceiver_are_a_memory_for_an_output_at_each_pixel():
    torch.manual_seed(0)
    model = backbones.build("perceiver", num_classes=3, latents=6, width=16, bands=3, layers=1)
    places = functional.fourier_features(functional.grid_positions(5, 7), 3, (32, 32))
    head = OutputQueries(16, 2, places.shape[1])
    found = head(Memory(model.forward_features(torch.randn(2, 3, 10, 14))), places)
    assert found.shape == (2, 35, 2)
    found.sum().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if name.split(".")[0] in ("reads", "latents"))


def test_hostile_arguments():
    with pytest.raises(ValueError, match="width must be divisible by heads"):
        OutputQueries(8, 2, 10, heads=3)
    with pytest.raises(ValueError, match="outputs must be a positive whole number"):
        OutputQueries(8, 0, 10)
    with pytest.raises(ValueError, match="mlp_ratio must be a positive number"):
        OutputQueries(8, 2, 10, mlp_ratio=0)
    head = OutputQueries(8, 2, 10)
    with pytest.raises(ValueError, match=r"queries must be \(Q, 10\) or \(B, Q, 10\), got shape \(3, 8\)"):
        head(Memory(torch.randn(2, 4, 8)), torch.randn(3, 8))
    with pytest.raises(ValueError, match="all vectors of sample 1 are padding"):
        head(Memory(torch.randn(2, 4, 8), None, torch.tensor([[True] * 4, [False] * 4])), torch.randn(3, 10))
