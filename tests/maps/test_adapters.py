"""Maps of third-party modules, compared with what those modules compute."""

import pytest
import timm
import torch
from timm.layers import EcaModule, EffectiveSEModule, SEModule
from timm.layers.cbam import CbamModule
from torch import nn
from torchvision.models import mobilenet_v3_small
from torchvision.ops import SqueezeExcitation

from cv_attention.maps import record, to_heatmap

torch.manual_seed(0)
X = torch.randn(2, 16, 5, 6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SEModule(16, rd_channels=4),
        lambda: EffectiveSEModule(16),
        lambda: EcaModule(16),
        lambda: EcaModule(16, use_mlp=True),
        lambda: SqueezeExcitation(16, 4),
        lambda: SqueezeExcitation(16, 4, scale_activation=nn.Hardsigmoid),
        lambda: timm.models._efficientnet_blocks.SqueezeExcite(16),
    ],
)
def test_channel_gates(make):
    module = make().eval()
    with record(module) as maps:
        output = module(X)
    assert list(maps) == [""]
    assert maps[""].kind == "channel"
    assert maps[""].values.shape == (2, 16, 1, 1)
    torch.testing.assert_close(X * maps[""].values, output.detach())


def test_cbam():
    module = CbamModule(16, rd_channels=4).eval()
    with record(module) as maps:
        output = module(X)
    assert {name: m.kind for name, m in maps.items()} == {"channel": "channel", "spatial": "spatial"}
    torch.testing.assert_close(X * maps["channel"].values * maps["spatial"].values, output.detach())
    assert to_heatmap(maps["spatial"], 8).shape == (2, 1, 8, 8)


Q, K, V = torch.randn(2, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 8)
CAUSAL = torch.ones(5, 7, dtype=torch.bool).triu(1)
PADDING = torch.tensor([[False] * 7, [False] * 4 + [True] * 3])


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, {}),
        ({"bias": False}, {"need_weights": False}),
        ({"kdim": 3, "vdim": 6}, {"key": torch.randn(2, 7, 3), "value": torch.randn(2, 7, 6)}),
        ({"add_bias_kv": True, "add_zero_attn": True}, {"attn_mask": CAUSAL, "key_padding_mask": PADDING}),
        ({}, {"attn_mask": torch.randn(4, 5, 7)}),
        ({}, {"key_padding_mask": PADDING}),
        ({}, {"attn_mask": CAUSAL}),
        ({"dropout": 0.5}, {}),
    ],
)
@pytest.mark.parametrize("batch_first", [True, False])
def test_multihead_attention(options, call, batch_first):
    module = nn.MultiheadAttention(8, 2, batch_first=batch_first, **options).train()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    call = {"query": Q, "key": K, "value": V, **call}
    if not batch_first:
        call |= {name: call[name].transpose(0, 1) for name in ("query", "key", "value")}
    torch.manual_seed(5)
    plain = module(**call)[0]
    torch.manual_seed(5)
    with record(module) as maps:
        recorded = module(**call)[0]
    torch.testing.assert_close(recorded, plain, rtol=0, atol=0)  # nor were random numbers used up
    module.eval()
    weights = module(**{**call, "need_weights": True, "average_attn_weights": False})[1]
    assert maps[""].kind == "alignment"
    torch.testing.assert_close(maps[""].values, weights.detach())


def test_multihead_attention_without_a_batch_and_by_position():
    module = nn.MultiheadAttention(8, 2)
    with record(module) as maps:
        module(Q[0], K[0], V[0])
    weights = module(Q[0], K[0], V[0], average_attn_weights=False)[1]
    torch.testing.assert_close(maps[""].values[0], weights.detach())


def test_transformer_encoder_layers_leave_their_fast_path():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()
    with torch.no_grad(), record(model) as maps:
        model(Q)
    assert list(maps) == ["layers.0.self_attn", "layers.1.self_attn"]
    torch.testing.assert_close(maps["layers.0.self_attn"].values.sum(-1), torch.ones(2, 2, 5))


def _added(mask):
    return mask if mask.is_floating_point() else torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)


@pytest.mark.parametrize("options", [{}, {"qk_norm": True, "norm_layer": nn.LayerNorm}])
@pytest.mark.parametrize("call", [{}, {"attn_mask": torch.randn(5, 5)}, {"attn_mask": ~torch.eye(5).roll(1, 0).bool()}])
def test_timm_vision_transformer_attention(options, call):
    module = timm.layers.Attention(8, 2, **options).eval()
    seen = []
    module.attn_drop.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    module.fused_attn = False
    plain = {name: _added(mask) for name, mask in call.items()}  # the plain path of older timm adds whatever it gets
    module(Q, **plain)
    module.fused_attn = True
    with record(module) as maps:
        module(Q, **call)
    assert len(seen) == 1  # recording kept the fused kernel
    torch.testing.assert_close(maps[""].values, seen[0].detach())


@pytest.mark.parametrize(
    ("make", "count", "kind"),
    [
        (lambda: timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2), 2, "pairwise"),
        (lambda: timm.create_model("seresnet18"), 8, "channel"),
        (lambda: timm.create_model("mobilenetv3_small_050"), 9, "channel"),
        (mobilenet_v3_small, 9, "channel"),
    ],
)
def test_whole_models(make, count, kind):
    model = make().eval()
    with torch.no_grad():
        plain = model(torch.ones(1, 3, 32, 32))
        with record(model) as maps:
            recorded = model(torch.ones(1, 3, 32, 32))
    assert len(maps) == count
    assert {m.kind for m in maps.values()} == {kind}
    torch.testing.assert_close(recorded, plain, rtol=0, atol=0)
    assert not any(m._forward_hooks for m in model.modules())
