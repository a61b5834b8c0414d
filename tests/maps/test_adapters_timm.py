"""Maps of timm's modules, against what those modules compute without their fused kernels."""

import pytest
import timm
import torch
from timm import layers
from timm.layers import attention2d, bottleneck_attn, coord_attn, diff_attention, halo_attn, lambda_layer, other_pool
from timm.layers.cbam import LightCbamModule
from timm.layers.non_local_attn import BilinearAttnTransform
from timm.models import beit, eva, maxxvit, swin_transformer, swin_transformer_v2, swin_transformer_v2_cr
from torch import nn

from cv_attention.maps import record, to_heatmap

torch.manual_seed(0)
X = torch.randn(2, 16, 8, 8)
TOKENS = torch.randn(2, 5, 16)


def randomised(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def recorded(module, *inputs, **named):
    """The maps and the output, which is the same as without a record."""
    with torch.no_grad():
        plain = module(*inputs, **named)
        with record(module) as maps:
            output = module(*inputs, **named)
    torch.testing.assert_close(output, plain, rtol=0, atol=0)
    return maps, output


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: layers.CecaModule(16), "channel"),
        (lambda: coord_attn.CoordAttn(16), "joint"),
        (lambda: coord_attn.CoordAttn(16, gate_layer="hard_sigmoid"), "joint"),
        (lambda: coord_attn.SimpleCoordAttn(16), "joint"),
        (lambda: coord_attn.EfficientLocalAttn(16), "joint"),
        (lambda: coord_attn.StripAttn(16), "joint"),
        (lambda: layers.GatherExcite(16, use_mlp=False), "channel"),  # timm 1.0.31 cannot make one with its own MLP
        (lambda: layers.GatherExcite(16, extent=4, use_mlp=False), "joint"),
        (lambda: layers.GlobalContext(16, use_attn=False), "channel"),
    ],
)
def test_gates_multiply_the_input(make, kind):
    module = randomised(make())
    maps, output = recorded(module, X)
    (found,) = maps.values()
    assert found.kind == kind
    torch.testing.assert_close((X * found.values).expand_as(output), output)


def test_channels_last_squeeze_excite():
    module = randomised(layers.squeeze_excite.SqueezeExciteCl(16))
    maps, output = recorded(module, X.permute(0, 2, 3, 1))
    torch.testing.assert_close(X * maps[""].values, output.permute(0, 3, 1, 2))


def test_light_cbam():
    maps, output = recorded(randomised(LightCbamModule(16, rd_channels=4)), X)
    assert {name: found.kind for name, found in maps.items()} == {"channel": "channel", "spatial": "spatial"}
    torch.testing.assert_close(X * maps["channel"].values * maps["spatial"].values, output)


def test_global_context_gives_its_pooling_and_its_gate():
    module = randomised(layers.GlobalContext(16))
    maps, output = recorded(module, X)
    assert {name: found.kind for name, found in maps.items()} == {"": "pairwise", "gate": "channel"}
    context = (X[:, None] * maps[""].values[:, 0, :, None]).sum((3, 4)).view(2, 16, 1, 1)
    gate = module.mlp_scale(context).sigmoid()
    torch.testing.assert_close(maps["gate"].values, gate.detach())
    torch.testing.assert_close(X * gate, output)


def test_selective_kernels_give_a_map_for_each_branch():
    module = randomised(layers.SelectiveKernel(16))
    maps, output = recorded(module, X)
    assert list(maps) == ["attn.0", "attn.1"]
    halves = [path(half) for path, half in zip(module.paths, X.chunk(2, 1), strict=True)]
    torch.testing.assert_close(sum(f * m.values for f, m in zip(halves, maps.values(), strict=True)), output)


@pytest.mark.parametrize("radix", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_split_attention_gives_a_map_for_each_split(radix, groups):
    module = randomised(layers.SplitAttn(16, radix=radix, groups=groups, norm_layer=nn.BatchNorm2d))
    maps, output = recorded(module, X)
    assert list(maps) == (["0", "1"] if radix == 2 else [""])
    features = module.act0(module.bn0(module.conv(X))).chunk(radix, 1)
    torch.testing.assert_close(sum(f * m.values for f, m in zip(features, maps.values(), strict=True)), output)


def test_non_local_and_bottleneck_rows_mix_the_values():
    module = randomised(layers.NonLocalAttn(16))
    maps, output = recorded(module, X)
    mixed = torch.einsum("bqij,bcij->bcq", maps[""].values[:, 0], module.g(X)).unflatten(2, (8, 8))
    torch.testing.assert_close(module.norm(module.z(mixed)) + X, output)

    module = randomised(bottleneck_attn.BottleneckAttn(16, feat_size=(8, 8), num_heads=2))
    maps, output = recorded(module, X)
    value = module.qkv(X)[:, -16:].unflatten(1, (2, 8))
    torch.testing.assert_close(torch.einsum("bhqij,bhcij->bhcq", maps[""].values, value).reshape(2, 16, 8, 8), output)


def test_bilinear_transform_mixes_rows_and_columns():
    module = randomised(BilinearAttnTransform(16, 4, 2))
    maps, output = recorded(module, X)
    mixed = torch.einsum("bgqij,bgcij->bgcq", maps[""].values, X.unflatten(1, (2, 8))).reshape(2, 16, 8, 8)
    torch.testing.assert_close(module.conv2(mixed), output)
    assert to_heatmap(maps[""], 16).shape == (2, 1, 16, 16)


@pytest.mark.parametrize(("stride", "block"), [(1, 4), (2, 4), (1, 8)])
def test_halo_rows_mix_the_values_of_their_window(stride, block):
    module = randomised(halo_attn.HaloAttn(16, stride=stride, num_heads=2, block_size=block, halo_size=2))
    maps, output = recorded(module, X)
    value = module.kv(X).unflatten(1, (2, -1))[:, :, -8:]
    dense = maps[""].dense().values
    assert dense.shape == (2, 2, (8 // stride) ** 2, 8, 8)
    mixed = torch.einsum("bhqij,bhcij->bhcq", dense, value).reshape_as(output)
    torch.testing.assert_close(mixed, output)  # padding has no values


def test_lambda_keys_are_normalised_over_positions():
    module = randomised(lambda_layer.LambdaLayer(16, dim_head=4, num_heads=2, r=3))
    maps, _ = recorded(module, X)
    keys = module.qkv(X)[:, 8:12].flatten(2).softmax(2).unflatten(2, (8, 8))
    torch.testing.assert_close(maps[""].values[:, 0], keys.detach())


def unfused(module, *inputs, **named):
    """What enters the dropout behind the softmax on the plain path."""
    seen = []
    hook = module.attn_drop.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    module.fused_attn = False
    with torch.no_grad():
        module(*inputs, **named)
    module.fused_attn = True
    hook.remove()
    return seen[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.AttentionRope(16, 2, qk_norm=True, norm_layer=nn.LayerNorm),
        lambda: beit.Attention(16, 2, qkv_bias=True, window_size=(2, 2)),
        lambda: eva.EvaAttention(16, 2, scale_norm=False),
        lambda: timm.models.vision_transformer_relpos.RelPosAttention(16, 2),
        lambda: timm.models.vision_transformer.ParallelScalingBlock(16, 2),
    ],
)
def test_fused_tokens_equal_the_plain_path(make):
    module = randomised(make())
    maps, _ = recorded(module, TOKENS)
    torch.testing.assert_close(maps[""].values, unfused(module, TOKENS))


@pytest.mark.parametrize(
    ("make", "grid"),
    [
        (lambda: maxxvit.Attention2d(16, dim_head=8), (8, 8)),
        (lambda: attention2d.Attention2d(16, num_heads=2), (8, 8)),
        (lambda: attention2d.MultiQueryAttention2d(16, 16, num_heads=2, kv_stride=2), (4, 4)),
    ],
)
def test_fused_attention_over_feature_maps_equals_the_plain_path(make, grid):
    module = randomised(make())
    maps, _ = recorded(module, X)
    assert maps[""].kind == "pairwise"
    torch.testing.assert_close(maps[""].values, unfused(module, X).unflatten(-1, grid))


def test_differential_attention_is_the_difference():
    module = randomised(diff_attention.DiffAttention(16, 2))
    for fused in (True, False):
        module.fused_attn = fused
        maps, _ = recorded(module, TOKENS)
        q, k = module.qkv(TOKENS).chunk(3, 2)[:2]
        q, k = (x.view(2, 5, 2, 2, 4).permute(3, 0, 2, 1, 4) for x in (q, k))
        first, second = (q @ k.mT / 2).softmax(-1)
        torch.testing.assert_close(maps[""].values, (first - module._compute_lambda() * second).detach())


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (lambda: layers.AttentionPool2d(16, 8, head_dim=8), 65),
        (lambda: layers.RotAttentionPool2d(16, head_dim=8), 65),
        (lambda: layers.AttentionPool2d(16, 8, head_dim=8, class_token=True), 65),
    ],
)
def test_attention_pooling_keeps_its_token_apart(make, rows):
    module = randomised(make())
    maps, _ = recorded(module, X)
    found = maps[""]
    assert (found.kind, found.prefix, found.tokens.shape) == ("pairwise", 1, (2, 2, rows, rows))
    assert found.values.shape == (2, 2, 64, 8, 8)
    torch.testing.assert_close(found.tokens.sum(-1), torch.ones(2, 2, rows))
    module.fused_attn = False  # the plain path
    with torch.no_grad(), record(module) as plain:
        module(X)
    torch.testing.assert_close(found.tokens, plain[""].tokens)
    assert to_heatmap(found, reduce="class").shape == (2, 1, 8, 8)


def test_pooling_by_latents():
    module = randomised(layers.AttentionPoolLatent(16, num_heads=2, latent_len=3, pool_type=""))
    maps, _ = recorded(module, TOKENS)
    q, k = module.q(module.latent), module.kv(TOKENS)[..., :16]
    q, k = (x.unflatten(2, (2, 8)).transpose(1, 2) for x in (q, k))
    torch.testing.assert_close(maps[""].values, (q @ k.mT / 8**0.5).softmax(-1).detach())
    maps, _ = recorded(randomised(other_pool.SimPool2d(16, 2)), X)
    assert maps[""].values.shape == (2, 2, 1, 8, 8)


def window_values(block, attention, x):
    """The values (B, heads, dim, H, W) of every position, and the block's attention over whole rows of the grid."""
    normed = block.norm1(x) if not isinstance(block, SWIN_V2) else x
    bias = attention.qkv.bias
    if getattr(attention, "v_bias", None) is not None:
        bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
    value = nn.functional.linear(normed, attention.qkv.weight, bias).unflatten(3, (3, 2, -1))[..., 2, :, :]
    return value.permute(0, 3, 4, 1, 2)


SWIN_V2 = (swin_transformer_v2.SwinTransformerV2Block, swin_transformer_v2_cr.SwinTransformerV2CrBlock)


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(8, 8), (8, 12), (6, 7)])
@pytest.mark.parametrize(
    "make",
    [
        lambda size, shift, **mask: swin_transformer.SwinTransformerBlock(
            16, size, 2, window_size=4, shift_size=shift, **mask
        ),
        lambda size, shift, **mask: swin_transformer_v2.SwinTransformerV2Block(16, size, 2, 4, shift, **mask),
        lambda size, shift, **mask: swin_transformer_v2_cr.SwinTransformerV2CrBlock(
            16, 2, size, (4, 4), (shift, shift), **mask
        ),
    ],
)
def test_swin_windows_are_put_back(make, size, shift):
    block = randomised(make(size, shift, dynamic_mask=size == (6, 7)))  # older timm cannot make its mask beforehand
    for name, parameter in block.attn.named_parameters():
        if name in ("qkv.bias", "v_bias"):
            nn.init.zeros_(parameter)  # so that padding has no values
    x = torch.randn(2, *size, 16)
    maps, _ = recorded(block, x)
    assert list(maps) == ["attn"]
    dense = maps["attn"].dense().values
    assert dense.shape == (2, 2, size[0] * size[1], *size)
    attend = getattr(block, "_attn", None) or block._shifted_window_attn
    with torch.no_grad():
        expected = attend(x if isinstance(block, SWIN_V2) else block.norm1(x))
        mixed = torch.einsum("bhqij,bhcij->bqhc", dense, window_values(block, block.attn, x))
        torch.testing.assert_close(block.attn.proj(mixed.flatten(2)).view_as(x), expected, rtol=1e-4, atol=1e-5)
    received = to_heatmap(maps["attn"])
    torch.testing.assert_close(received[:, 0], dense.mean((1, 2)))
    torch.testing.assert_close(to_heatmap(maps["attn"], reduce=(3, 5), head=1)[:, 0], dense[:, 1, 3 * size[1] + 5])


@pytest.mark.parametrize("partition", ["block", "grid"])
@pytest.mark.parametrize("last", [True, False])
def test_max_vit_partitions_are_put_back(partition, last):
    cfg = maxxvit.MaxxVitTransformerCfg(dim_head=8, window_size=(4, 4), grid_size=(2, 4), head_first=False)
    kind = maxxvit.PartitionAttentionCl if last else maxxvit.PartitionAttention2d
    block = randomised(kind(16, partition, cfg))
    x = X.permute(0, 2, 3, 1) if last else X
    maps, _ = recorded(block, x)
    assert list(maps) == ["attn"]
    dense = maps["attn"].dense().values
    with torch.no_grad():
        normed = block.norm1(x)
        expected = block._partition_attn(normed)
        qkv = block.attn.qkv(normed)
        value = (qkv if last else qkv.permute(0, 2, 3, 1)).unflatten(3, (3, 2, 8))[..., 2, :, :]
        mixed = torch.einsum("bhqij,bijhc->bqhc", dense, value).flatten(2).unflatten(1, (8, 8))
        mixed = mixed if last else mixed.permute(0, 3, 1, 2)
        torch.testing.assert_close(block.attn.proj(mixed), expected, rtol=1e-4, atol=1e-5)


def test_parallel_max_vit_gives_both():
    cfg = maxxvit.MaxxVitTransformerCfg(dim_head=8, window_size=(4, 4), grid_size=(4, 4))
    maps, _ = recorded(randomised(maxxvit.ParallelPartitionAttention(16, cfg)), X.permute(0, 2, 3, 1))
    assert list(maps) == ["attn_block", "attn_grid"]
    near, far = (found.dense().values[0, 0, 0] > 0 for found in maps.values())
    assert near[:4, :4].all()
    assert not near[4:].any()
    assert far[::2, ::2].all()
    assert not far[1::2].any()


@pytest.mark.parametrize(
    ("name", "options", "size", "grid", "prefix"),
    [
        ("vit_tiny_patch16_224", {"depth": 1}, (64, 64), (4, 4), 1),
        ("vit_tiny_patch16_224", {"depth": 1}, (48, 96), (3, 6), 1),
        ("deit_tiny_distilled_patch16_224", {"depth": 1}, (64, 64), (4, 4), 2),
        ("vit_base_patch16_siglip_224", {"depth": 1, "embed_dim": 24, "num_heads": 2}, (64, 64), (4, 4), 0),
        ("beit_base_patch16_224", {"depth": 1, "embed_dim": 24, "num_heads": 2}, (64, 64), (4, 4), 1),
        ("eva02_tiny_patch14_224", {"depth": 1}, (56, 56), (4, 4), 1),
        ("vit_small_patch14_reg4_dinov2", {"depth": 1}, (56, 56), (4, 4), 5),
        ("vit_small_patch16_dinov3", {"depth": 1}, (64, 64), (4, 4), 5),
    ],
)
def test_vision_transformers_have_grids(name, options, size, grid, prefix):
    model = timm.create_model(name, img_size=size, **options).eval()
    maps, _ = recorded(model, torch.randn(2, 3, *size))
    pooling = maps.pop("attn_pool", None)
    (found,) = maps.values()
    assert (found.kind, found.values.shape[3:], found.prefix) == ("pairwise", grid, prefix)
    assert found.values.shape[2] == grid[0] * grid[1]
    if prefix:
        assert found.from_prefix.shape[2:] == (prefix, *grid)
        whole = found.values.sum((-2, -1)) + found.to_prefix.sum(-1)
        torch.testing.assert_close(whole, torch.ones_like(whole))
        torch.testing.assert_close(to_heatmap(found, reduce="class")[:, 0], found.from_prefix[:, :, 0].mean(1))
    if pooling is not None:
        assert pooling.values.shape[2:] == (1, *grid)


@pytest.mark.parametrize(
    ("name", "size", "kinds"),
    [
        ("coatnet_pico_rw_224", 64, {"channel", "pairwise"}),
        ("maxvit_pico_rw_256", 64, {"channel", "pairwise"}),
        ("swin_tiny_patch4_window7_224", 56, {"pairwise"}),
        ("resnest14d", 32, {"channel"}),
        ("skresnet18", 32, {"channel"}),
        ("mobilenetv4_hybrid_medium", 64, {"channel", "pairwise"}),
        ("xcit_nano_12_p16_224", 64, {"alignment", "pairwise"}),
        ("levit_128s", 224, {"pairwise", "alignment"}),
    ],
)
def test_whole_models(name, size, kinds):
    options = {"img_size": size} if "vit" in name or "swin" in name or "coat" in name else {}
    model = timm.create_model(name, **(options if name not in ("levit_128s",) else {})).eval()
    maps, _ = recorded(model, torch.randn(1, 3, size, size))
    assert {found.kind for found in maps.values()} <= kinds
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
