"""timm's block for those of the catalogue that timm has, set up to compute the same at a given feature map.

`tests/blocks/test_twins.py` copies timm's weights into ours and compares the outputs.

Some of timm's classes are the block, some take rows of positions (B, N, C) instead of feature maps (B, C, H, W): those
are wrapped in the two reshapes that anybody would need who puts them into a CNN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import timm.layers as tl
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.cbam import CbamModule, SpatialAttn
from timm.layers.coord_attn import CoordAttn, EfficientLocalAttn
from timm.layers.gather_excite import GatherExcite
from timm.layers.global_context import GlobalContext
from timm.layers.grn import GlobalResponseNorm
from timm.layers.halo_attn import HaloAttn
from timm.layers.lambda_layer import LambdaLayer
from timm.layers.non_local_attn import BatNonLocalAttn, NonLocalAttn
from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
from timm.models.vision_transformer import Attention, Block
from timm.models.xcit import XCA
from torch import Tensor, nn


@dataclass(frozen=True)
class Twin:
    """What is compared.

    Attributes:
        make: (channels, side) -> timm's block.
        options: (channels, side) -> the options of ours with which both compute the same.
    """

    make: Callable[[int, int], nn.Module]
    options: Callable[[int, int], dict[str, Any]] = lambda channels, side: {}


class OnPositions(nn.Module):
    """Runs a block of rows (B, N, C) on a feature map."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])


class OnWindows(nn.Module):
    """Runs Swin's attention on the windows of a feature map, as `SwinTransformerBlock` does."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size, self.block = size, WindowAttention(channels, 4, window_size=size)

    def forward(self, x: Tensor) -> Tensor:
        windows = window_partition(x.permute(0, 2, 3, 1), (self.size, self.size))
        mixed = self.block(windows.flatten(1, 2)).unflatten(1, (self.size, self.size))
        return window_reverse(mixed, (self.size, self.size), x.shape[2], x.shape[3]).permute(0, 3, 1, 2)


def _twin(cls: Callable[..., nn.Module], options: dict[str, Any] | None = None, **arguments: Any) -> Twin:
    return Twin(lambda channels, side: cls(channels, **arguments), lambda channels, side: options or {})


def _rows(cls: Callable[..., nn.Module], options: dict[str, Any] | None = None, **arguments: Any) -> Twin:
    return _twin(lambda channels: OnPositions(cls(channels, **arguments)), options)


# A name is that of the block; behind a slash it says what is special.
# Not here: timm's gather-excite with parameters, which raises a TypeError when it is built (1.0.31).
TWINS = {
    "se": _twin(tl.SEModule, rd_divisor=1),
    "ese": _twin(tl.EffectiveSEModule),
    "eca": _twin(tl.EcaModule),
    "ceca": _twin(tl.CecaModule),
    "ge_minus": _twin(partial(GatherExcite, use_mlp=False)),
    "grn": _twin(partial(GlobalResponseNorm, channels_last=False)),
    "cbam_spatial": _twin(lambda channels: SpatialAttn()),
    "ela": _twin(EfficientLocalAttn, {"norm_groups": 1, "shared": False}, act_layer=nn.Identity),
    "cbam": _twin(CbamModule, {"bias": False}),
    "coordinate": _twin(lambda channels: CoordAttn(channels, rd_channels=max(8, channels // 32), bias=True)),
    "gc": _twin(GlobalContext, rd_ratio=1 / 16, fuse_add=True, fuse_scale=False),
    "gca": _twin(GlobalContext, rd_ratio=1 / 16),
    "sk": _twin(lambda c: tl.SelectiveKernel(c, groups=32, split_input=False, rd_channels=max(c // 16, 32))),
    "split_attention": _twin(tl.SplitAttn, norm_layer=nn.BatchNorm2d),
    "non_local": _twin(NonLocalAttn, rd_ratio=1 / 2),
    "non_local/8": _twin(NonLocalAttn, {"reduction": 8}),  # as timm has it by default
    "bat": _twin(BatNonLocalAttn, drop_rate=0.0),
    "mhsa": _rows(Attention, num_heads=4, qkv_bias=True),
    "vit": _rows(Block, {"position": "none"}, num_heads=4, qkv_bias=True),
    "window": _twin(partial(OnWindows, size=7), {"window_size": 7}),
    "botnet": Twin(
        lambda channels, side: BottleneckAttn(channels, feat_size=(side, side)),
        lambda channels, side: {"size": side, "scale_position": False},
    ),
    "halo": _twin(HaloAttn, {"block_size": 7, "scale_position": False}, num_heads=4, block_size=7),
    "lambda_layer": _twin(LambdaLayer, {"kernel_size": 9}),
    "xca": _rows(XCA, num_heads=4),
    "mqa": _twin(tl.MultiQueryAttention2d, num_heads=4),
    "differential": _rows(tl.DiffAttention, {"lambda_init": 0.2}, num_heads=4),
}
