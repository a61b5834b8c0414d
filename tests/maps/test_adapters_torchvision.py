"""Maps of torchvision's models, against what their own functions compute."""

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer
from torchvision.models.maxvit import MaxVit, PartitionAttentionLayer
from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2

from cv_attention.maps import record, rollout, to_heatmap

torch.manual_seed(0)


def recorded(module, *inputs):
    with torch.no_grad():
        plain = module(*inputs)
        with record(module) as maps:
            output = module(*inputs)
    torch.testing.assert_close(output, plain, rtol=0, atol=0)
    return maps, output


@pytest.mark.parametrize("kind", [ShiftedWindowAttention, ShiftedWindowAttentionV2])
@pytest.mark.parametrize("shift", [[0, 0], [2, 2]])
@pytest.mark.parametrize("size", [(8, 8), (8, 4), (6, 7)])
def test_swin_windows_are_put_back(kind, size, shift):
    module = kind(16, [4, 4], shift, 2).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    nn.init.zeros_(module.qkv.bias)  # so that padding has no values
    x = torch.randn(2, *size, 16)
    maps, output = recorded(module, x)
    dense = maps[""].dense().values
    value = module.qkv(x).unflatten(3, (3, 2, 8))[..., 2, :, :]
    mixed = torch.einsum("bhqij,bijhc->bqhc", dense, value).flatten(2)
    torch.testing.assert_close(module.proj(mixed).view_as(x), output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("partition", ["window", "grid"])
def test_max_vit_partitions_are_put_back(partition):
    norm = nn.LayerNorm
    module = PartitionAttentionLayer(16, 8, 4, partition, (8, 8), 2, nn.GELU, norm, 0.0, 0.0, 0.0).eval()
    attention = module.attn_layer[1]
    x = torch.randn(2, 16, 8, 8)
    maps, _ = recorded(module, x)
    assert list(maps) == ["attn_layer.1"]
    with torch.no_grad():
        normed = module.attn_layer[0](x.permute(0, 2, 3, 1))
        value = attention.to_qkv(normed)[..., 32:].unflatten(3, (2, 8))
        mixed = torch.einsum("bhqij,bijhc->bqhc", maps["attn_layer.1"].dense().values, value).flatten(2)
        expected = attention.merge(mixed).unflatten(1, (8, 8)).permute(0, 3, 1, 2)
        swapped = module.partition_swap(module.partition_op(x, module.p))
        ours = module.attn_layer(swapped)
        ours = module.departition_op(module.departition_swap(ours), module.p, 8 // module.p, 8 // module.p)
    torch.testing.assert_close(expected, ours, rtol=1e-4, atol=1e-5)


def test_vision_transformer():
    model = VisionTransformer(64, 16, 2, 2, 16, 32).eval()
    maps, _ = recorded(model, torch.randn(2, 3, 64, 64))
    assert list(maps) == [f"encoder.layers.encoder_layer_{n}.self_attention" for n in (0, 1)]
    for found in maps.values():
        assert (found.values.shape, found.prefix) == ((2, 2, 16, 4, 4), 1)
        torch.testing.assert_close(found.tokens.sum(-1), torch.ones(2, 2, 17))
    rolled = rollout(maps.values())
    assert to_heatmap(rolled, reduce="class").shape == (2, 1, 4, 4)


def test_whole_models():
    swin = SwinTransformer([4, 4], 16, [2, 2], [2, 2], [2, 2]).eval()
    maps, _ = recorded(swin, torch.randn(1, 3, 32, 32))
    assert [tuple(to_heatmap(m).shape[2:]) for m in maps.values()] == [(8, 8)] * 2 + [(4, 4)] * 2
    model = MaxVit((64, 64), 16, 4, [16], [1], 8, 0.0).eval()
    maps, _ = recorded(model, torch.randn(1, 3, 64, 64))
    assert [found.kind for found in maps.values()] == ["channel", "pairwise", "pairwise"]
