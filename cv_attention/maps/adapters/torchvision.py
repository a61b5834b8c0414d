"""Maps of torchvision's models. Its vision transformers are made of `nn.MultiheadAttention`."""

from cv_attention.maps.adapters.adapter import Adapter, by_softmax, output_of
from cv_attention.maps.adapters.layouts import NamedMaps, grid_partition, window_partition, windowed
from cv_attention.maps.watch import WatchedCall


def _swin(call: WatchedCall) -> NamedMaps:
    """Input (B, H, W, C); windows wider than the padded grid are not shifted."""
    _, height, width, _ = call.input.shape
    size = call.module.window_size
    shift = [
        0 if window >= side + -side % window else shift
        for side, window, shift in zip((height, width), size, call.module.shift_size, strict=True)
    ]
    yield "", windowed(call.attention[-1], (height, width), size, shift, pad_first=True)


def _max_vit(call: WatchedCall) -> NamedMaps:
    """Input (B, C, H, W), attention (B, windows, heads, queries, keys) in windows or in a raster."""
    height, width = call.input.shape[-2:]
    if call.module.partition_type == "window":
        size, partition = (call.module.p, call.module.p), window_partition
    else:
        size, partition = (height // call.module.p, width // call.module.p), grid_partition
    yield "attn_layer.1", windowed(call.attention[-1], (height, width), size, partition=partition)


ADAPTERS: dict[str, Adapter] = {
    "torchvision.ops.misc.SqueezeExcitation": output_of("scale_activation", "channel"),
    "torchvision.models.swin_transformer.ShiftedWindowAttention": by_softmax(_swin),
    "torchvision.models.maxvit.PartitionAttentionLayer": by_softmax(_max_vit, ("attn_layer.1",)),
}
