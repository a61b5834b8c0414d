"""Maps of timm: the attention layers of its CNNs, its vision transformers, its attention pooling."""

import torch.nn.functional as F
from torch import Tensor

from cv_attention.maps.adapters.adapter import Adapter, by_softmax, output_of
from cv_attention.maps.adapters.layouts import (
    NamedMaps,
    channels,
    grid_partition,
    over_input,
    tokens,
    window_partition,
    windowed,
)
from cv_attention.maps.recorded import RecordedMap, over_tokens, over_windows
from cv_attention.maps.watch import WatchedCall


def _plain_gate(call: WatchedCall) -> NamedMaps:
    """Yields one gate for each channel, and where it is not (B, C, 1, 1), for each position, too."""
    gate = call.gates[-1]
    yield "", RecordedMap(gate, "channel" if gate.shape[2:] == (1, 1) else "joint")


def _global_context(call: WatchedCall) -> NamedMaps:
    """Yields the pooling over positions, and the gate over channels where there is one."""
    if call.attention:
        yield "", over_tokens(call.attention[0].unsqueeze(1), _size(call))
    if call.gates:
        yield "gate", RecordedMap(call.gates[-1], "channel")


def _branches(call: WatchedCall) -> NamedMaps:
    """Weights (B, branches, C, 1, 1) or (B, branches, ...) that sum to 1 over the branches: one map each."""
    weights = call.attention[0]
    for number, branch in enumerate(weights.unbind(1)):
        yield str(number), RecordedMap(branch.reshape(len(branch), -1, 1, 1), "channel")


def _split(call: WatchedCall) -> NamedMaps:
    """Yields the radix's weights (B, radix, groups, C / groups), or a plain gate where the radix is 1."""
    if call.attention:
        yield from _branches(call)
    else:
        yield "", RecordedMap(call.gates[-1].reshape(len(call.input), -1, 1, 1), "channel")


def _rows_times_columns(call: WatchedCall) -> NamedMaps:
    """Gates over rows (B, C, H, 1) and over columns (B, C, 1, W), multiplied as the block does."""
    rows, columns = call.gates
    yield "", RecordedMap(rows * columns, "joint")


def _bilinear(call: WatchedCall) -> NamedMaps:
    """P over rows times Q over columns, spread from the bands to all positions as the block does."""
    height, width = _size(call)
    p, q = call.gates
    p = call.module.resize_mat(p / p.sum(3, keepdim=True), height // call.module.block_size)
    q = call.module.resize_mat(q / q.sum(2, keepdim=True), width // call.module.block_size)
    product = p[:, :, :, None, :, None] * q.mT[:, :, None, :, None, :]
    yield "", RecordedMap(product.flatten(2, 3), "pairwise")


def _lambda(call: WatchedCall) -> NamedMaps:
    """Yields the keys' softmax over positions (B, K, H * W); it is shared by the heads."""
    yield "", over_tokens(call.attention[0].unsqueeze(1), _size(call))


def _halo(call: WatchedCall) -> NamedMaps:
    """Blocks of queries (B * heads, blocks, queries, keys), each over its block with a halo around it."""
    halo = call.module
    height, width = _size(call)
    positions = _positions(height, width, call.input)
    padded = F.pad(positions, (halo.halo_size,) * 4, value=-1)
    keys = padded.unfold(0, halo.win_size, halo.block_size).unfold(1, halo.win_size, halo.block_size).flatten(0, 1)
    of_queries = _positions(height // halo.block_stride, width // halo.block_stride, call.input)
    queries = window_partition(of_queries, (halo.block_size_ds, halo.block_size_ds)).flatten(1)
    attention = call.attention[0].unflatten(0, (-1, halo.num_heads))
    yield "", over_windows(attention, queries, keys, (height, width))


def _differential(call: WatchedCall) -> NamedMaps:
    """The difference of two softmaxes, which fused kernels give one by one and the plain path as twice the heads."""
    first, second = call.attention if len(call.attention) == 2 else call.attention[0].unflatten(1, (-1, 2)).unbind(2)
    call.attention = [first - call.module._compute_lambda().type_as(first) * second]
    yield from tokens(call)


def _swin(call: WatchedCall) -> NamedMaps:
    """Blocks on (B, H, W, C), which roll before they pad."""
    _, height, width, _ = call.input.shape
    module = call.module
    yield "attn", windowed(call.attention[-1], (height, width), module.window_size, module.shift_size)


def _max_vit(call: WatchedCall) -> NamedMaps:
    """Yields attention in windows or in a raster of the input (B, H, W, C)."""
    yield "attn", _partitioned(call, call.attention[-1], call.input.shape[1:3], call.module.partition_block)


def _max_vit_2d(call: WatchedCall) -> NamedMaps:
    """Yields attention in windows or in a raster of the input (B, C, H, W)."""
    yield "attn", _partitioned(call, call.attention[-1], call.input.shape[2:], call.module.partition_block)


def _max_vit_parallel(call: WatchedCall) -> NamedMaps:
    """Yields attention in windows and in a raster of the input (B, H, W, C)."""
    yield "attn_block", _partitioned(call, call.attention[0], call.input.shape[1:3], True)
    yield "attn_grid", _partitioned(call, call.attention[1], call.input.shape[1:3], False)


def _partitioned(call: WatchedCall, attention: Tensor, grid: tuple[int, ...], in_blocks: bool) -> RecordedMap:
    size = call.module.partition_size
    return windowed(attention, grid, size, partition=window_partition if in_blocks else grid_partition)


def _size(call: WatchedCall) -> tuple[int, int]:
    return call.input.shape[2], call.input.shape[3]


def _positions(height: int, width: int, like: Tensor) -> Tensor:
    return like.new_ones(height, width).long().flatten().cumsum(0).sub(1).view(height, width)


_GATE = output_of("gate", "channel")
_JOINT = output_of("gate", "joint")
_TOKENS = by_softmax(tokens)
_CHANNELS = by_softmax(channels)
_SWIN = by_softmax(_swin, ("attn",))
_OVER_INPUT = by_softmax(over_input())
_POOLING = by_softmax(over_input(prefix=1))
ADAPTERS: dict[str, Adapter] = {
    # gates of CNNs
    "timm.layers.squeeze_excite.SEModule": _GATE,
    "timm.layers.squeeze_excite.EffectiveSEModule": _GATE,
    "timm.layers.squeeze_excite.SqueezeExciteCl": output_of("gate", "channel", lambda gate: gate.permute(0, 3, 1, 2)),
    "timm.models._efficientnet_blocks.SqueezeExcite": _GATE,
    "timm.layers.eca.EcaModule": output_of("gate", "channel", lambda gate: gate.mT[..., None]),
    "timm.layers.eca.CecaModule": output_of("gate", "channel", lambda gate: gate.mT[..., None]),
    "timm.layers.cbam.ChannelAttn": _GATE,
    "timm.layers.cbam.LightChannelAttn": by_softmax(_plain_gate, kinds=("channel", "joint")),
    "timm.layers.cbam.SpatialAttn": output_of("gate", "spatial"),
    "timm.layers.cbam.LightSpatialAttn": output_of("gate", "spatial"),
    "timm.layers.coord_attn.CoordAttn": by_softmax(_rows_times_columns, kinds=("joint",)),
    "timm.layers.coord_attn.EfficientLocalAttn": by_softmax(_rows_times_columns, kinds=("joint",)),
    "timm.layers.coord_attn.SimpleCoordAttn": _JOINT,
    "timm.layers.coord_attn.StripAttn": _JOINT,
    "timm.layers.gather_excite.GatherExcite": by_softmax(_plain_gate, kinds=("channel", "joint")),
    "timm.layers.global_context.GlobalContext": by_softmax(_global_context, kinds=("pairwise", "channel")),
    "timm.layers.selective_kernel.SelectiveKernelAttn": by_softmax(_branches, kinds=("channel",)),
    "timm.layers.split_attn.SplitAttn": by_softmax(_split, kinds=("channel",)),
    # attention over positions in CNNs
    "timm.layers.non_local_attn.NonLocalAttn": _OVER_INPUT,
    "timm.layers.non_local_attn.BilinearAttnTransform": by_softmax(_bilinear),
    "timm.layers.bottleneck_attn.BottleneckAttn": _OVER_INPUT,
    "timm.layers.halo_attn.HaloAttn": by_softmax(_halo),
    "timm.layers.lambda_layer.LambdaLayer": by_softmax(_lambda),
    "timm.layers.attention2d.MultiQueryAttentionV2": _TOKENS,
    "timm.layers.attention2d.MultiQueryAttention2d": _TOKENS,
    "timm.layers.attention2d.Attention2d": _OVER_INPUT,
    # vision transformers
    "timm.layers.attention.Attention": _TOKENS,
    "timm.layers.attention.AttentionRope": _TOKENS,
    "timm.layers.diff_attention.DiffAttention": by_softmax(_differential),
    "timm.models.vision_transformer.Attention": _TOKENS,  # where older timm has it
    "timm.models.vision_transformer.ParallelScalingBlock": _TOKENS,
    "timm.models.vision_transformer_relpos.RelPosAttention": _TOKENS,
    "timm.models.beit.Attention": _TOKENS,
    "timm.models.eva.EvaAttention": _TOKENS,
    "timm.models.swin_transformer.SwinTransformerBlock": _SWIN,
    "timm.models.swin_transformer_v2.SwinTransformerV2Block": _SWIN,
    "timm.models.swin_transformer_v2_cr.SwinTransformerV2CrBlock": _SWIN,
    "timm.models.maxxvit.Attention2d": _OVER_INPUT,
    "timm.models.maxxvit.PartitionAttentionCl": by_softmax(_max_vit, ("attn",)),
    "timm.models.maxxvit.PartitionAttention2d": by_softmax(_max_vit_2d, ("attn",)),
    "timm.models.maxxvit.ParallelPartitionAttention": by_softmax(_max_vit_parallel, ("attn_block", "attn_grid")),
    # attention among channels
    "timm.models.xcit.XCA": _CHANNELS,
    "timm.models.davit.ChannelAttention": _CHANNELS,
    "timm.models.davit.ChannelAttentionV2": _CHANNELS,
    "timm.models.edgenext.CrossCovarianceAttn": _CHANNELS,
    # pooling
    "timm.layers.attention_pool.AttentionPoolLatent": _TOKENS,
    "timm.layers.attention_pool.AttentionPoolPrr": _TOKENS,
    "timm.layers.attention_pool2d.AttentionPool2d": _POOLING,
    "timm.layers.attention_pool2d.RotAttentionPool2d": _POOLING,
    "timm.layers.other_pool.SimPool2d": _OVER_INPUT,
    "timm.layers.other_pool.SimPool1d": _TOKENS,
}
