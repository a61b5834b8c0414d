"""The benchmark compares like with like: with timm's weights, our block at its settings computes what timm's does."""

import pytest
import torch
from timm.layers.gather_excite import GatherExcite
from torch.testing import assert_close

from benchmarks.timm_twins import TWINS
from cv_attention import blocks
from tests.blocks.cases import feature_map

CHANNELS, SIDE = 128, 14


def both(*layers):
    return [f"{layer}.{parameter}" for layer in layers for parameter in ("weight", "bias")]


# timm's parameters in the order of ours; a tuple is stacked. All others: ours are timm's, in timm's order.
ORDER = {
    "ela": ["conv_h.weight", *both("norm_h"), "conv_w.weight", *both("norm_w")],
    "coordinate": ["conv1.weight", *both("bn1", "conv_h", "conv_w")],
    "gc": ["conv_attn.weight", *both("mlp_add.fc1", "mlp_add.norm", "mlp_add.fc2")],
    "gca": ["conv_attn.weight", *both("mlp_scale.fc1", "mlp_scale.norm", "mlp_scale.fc2")],
    "non_local": [("t.weight", "p.weight", "g.weight"), ("t.bias", "p.bias", "g.bias"), "z.weight", *both("norm")],
    "window": [*both("qkv"), "relative_position_bias_table", *both("proj")],
    "lambda_layer": ["qkv.weight", *both("norm_q", "norm_v"), "conv_lambda.weight"],
    "differential": [
        ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2"),
        *("qkv.weight", "sub_norm.weight", *both("proj")),
    ],
}
ORDER["non_local/8"] = ORDER["non_local"]
# timm has a bias that changes nothing, or that the paper has not.
WITHOUT = {
    "coordinate": "conv1.bias",
    "non_local": "z.bias",
    "non_local/8": "z.bias",
    "lambda_layer": "conv_lambda.bias",
}


def adapt(name, parameters):
    """Rewrites timm's `parameters`, by name, where a convention differs from ours."""
    if name in ("cbam", "cbam_spatial"):  # [mean, max] there, [max, mean] as in the official code here
        key = next(key for key in parameters if key.endswith("conv.conv.weight"))
        parameters[key] = parameters[key].flip(1)
    if name.startswith("non_local"):  # divides by the root of the input's channels, not of theta's
        reduction = CHANNELS / len(parameters["t.bias"])
        for key in ("t.weight", "t.bias"):
            parameters[key] = parameters[key] * reduction**-0.5
    if name == "halo":
        # Keys and values take turns, head by head; vectors are numbered from the corner of the halo.
        parameters["kv.weight"] = parameters["kv.weight"].unflatten(0, (4, 2, -1)).transpose(0, 1).flatten(0, 2)
        for key in ("pos_embed.height_rel", "pos_embed.width_rel"):
            parameters[key] = parameters[key][6:]


def ported(name, theirs, channels, side):
    """Returns our block with the weights of `theirs`."""
    ours = blocks.create(name.partition("/")[0], channels, **TWINS[name].options(channels, side))
    parameters = {key.removeprefix("block."): value.detach() for key, value in theirs.named_parameters()}
    adapt(name, parameters)
    order = ORDER.get(name, list(parameters))
    for own, keys in zip(ours.parameters(), order, strict=True):
        parts = [parameters[key] for key in ((keys,) if isinstance(keys, str) else keys)]
        own.data.copy_(torch.cat(parts).reshape(own.shape))
    return ours


@pytest.mark.parametrize("name", TWINS)
def test_twins_compute_the_same(name):
    side = 21 if name == "halo" else SIDE
    theirs = TWINS[name].make(CHANNELS, side)
    for seed, (key, parameter) in enumerate(theirs.named_parameters()):
        if key == WITHOUT.get(name):
            parameter.data.zero_()
        else:
            noise = feature_map(*parameter.shape, seed=seed)
            parameter.data += noise * (parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3)
    ours, x = ported(name, theirs, CHANNELS, side), feature_map(2, CHANNELS, side, side)
    for training in (False, True):
        with torch.no_grad():
            actual, expected = ours.train(training)(x), theirs.train(training)(x)
        assert (expected - x).abs().max() > 0.1, "does nothing"
        if name == "halo":  # at the border, timm lets the zeros around the map take part
            actual, expected = (y[:, :, 7:14, 7:14] for y in (actual, expected))
        # The epsilons of a layer norm differ.
        assert_close(actual, expected, rtol=1e-4, atol=5e-4)


def test_timm_does_not_build_gather_excite_with_parameters():
    """The reason why `ge_plus` has no twin; give it one when this fails."""
    with pytest.raises(TypeError):
        GatherExcite(CHANNELS)
