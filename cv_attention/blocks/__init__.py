"""Attention blocks: modules from (B, C, H, W) to (B, C, H, W) that need torch alone.

Public names: `CATALOGUE`, `Entry`, `create`, `resolve`, `cost`, `Cost`, `AttentionMap`, `Draw`, `PlaceDraw`, `Block`,
`Gate`, every block's class, and `functional`, the functions of tensors that blocks share.

Examples:
    >>> from cv_attention import blocks
    >>> block = blocks.create("cbam", 64, reduction=8)  # by name, options checked
    >>> block = blocks.CBAM(64, reduction=8)  # the same, by class
    >>> blocks.CATALOGUE["cbam"].paper
    'https://arxiv.org/abs/1807.06521'
    >>> blocks.cost("cbam", 64, 56, 56).parameters  # nothing is computed
    680
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cv_attention.blocks.catalogue import CATALOGUE, Entry

if TYPE_CHECKING:  # every block by name, for type checkers and editors
    from cv_attention.blocks import functional
    from cv_attention.blocks.base import AttentionMap, Block, Gate
    from cv_attention.blocks.branch.attention_augmented import AttentionAugmentedConv
    from cv_attention.blocks.branch.dynamic_convolution import DynamicConvolution
    from cv_attention.blocks.branch.selective_kernel import SelectiveKernel
    from cv_attention.blocks.branch.split_attention import SplitAttention
    from cv_attention.blocks.channel.circular_eca import CircularECA
    from cv_attention.blocks.channel.effective_se import EffectiveSE
    from cv_attention.blocks.channel.efficient_channel import EfficientChannelAttention
    from cv_attention.blocks.channel.frequency_channel import FrequencyChannelAttention
    from cv_attention.blocks.channel.gated_channel import GatedChannelTransform
    from cv_attention.blocks.channel.gather_excite import GatherExcite
    from cv_attention.blocks.channel.gather_excite_free import GatherExciteFree
    from cv_attention.blocks.channel.gaussian_context import GaussianContextTransformer
    from cv_attention.blocks.channel.linear_context import LinearContextTransform
    from cv_attention.blocks.channel.response_norm import GlobalResponseNorm
    from cv_attention.blocks.channel.second_order_pooling import GlobalSecondOrderPooling
    from cv_attention.blocks.channel.squeeze_excite import SqueezeExcite
    from cv_attention.blocks.channel.style_recalibration import StyleRecalibration
    from cv_attention.blocks.construction import create, resolve
    from cv_attention.blocks.context.bilinear_transform import BilinearAttentionTransform
    from cv_attention.blocks.context.criss_cross import CrissCrossAttention
    from cv_attention.blocks.context.danet_channel import DANetChannel
    from cv_attention.blocks.context.danet_position import DANetPosition
    from cv_attention.blocks.context.disentangled_non_local import DisentangledNonLocal
    from cv_attention.blocks.context.double_attention import DoubleAttention
    from cv_attention.blocks.context.external_attention import ExternalAttention
    from cv_attention.blocks.context.latent import LatentAttention
    from cv_attention.blocks.context.non_local import NonLocal
    from cv_attention.blocks.counting import Cost, cost
    from cv_attention.blocks.draw import Draw, SampledChoice
    from cv_attention.blocks.graph.gat import GraphAttention
    from cv_attention.blocks.graph.gatv2 import GraphAttentionV2
    from cv_attention.blocks.mixed.bam import BAM
    from cv_attention.blocks.mixed.cbam import CBAM
    from cv_attention.blocks.mixed.concurrent_squeeze_excite import ConcurrentSqueezeExcite
    from cv_attention.blocks.mixed.context_encoding import ContextEncoding
    from cv_attention.blocks.mixed.coordinate import CoordinateAttention
    from cv_attention.blocks.mixed.global_context import GlobalContext, GlobalContextGate
    from cv_attention.blocks.mixed.shuffle import ShuffleAttention
    from cv_attention.blocks.mixed.simam import SimAM
    from cv_attention.blocks.mixed.triplet import TripletAttention
    from cv_attention.blocks.place_draw import PlaceDraw
    from cv_attention.blocks.pooling.additive import AdditivePool
    from cv_attention.blocks.pooling.class_attention import ClassAttention
    from cv_attention.blocks.pooling.gated import GatedPool
    from cv_attention.blocks.pooling.hard import HardPool
    from cv_attention.blocks.pooling.latent_pool import LatentPool
    from cv_attention.blocks.pooling.local import LocalPool
    from cv_attention.blocks.pooling.luong import LuongPool
    from cv_attention.blocks.pooling.query_2d import QueryPool2d
    from cv_attention.blocks.sequence.transformer_xl import TransformerXLAttention
    from cv_attention.blocks.sequence.xlnet import XLNetAttention
    from cv_attention.blocks.spatial.attention_gate import AttentionGate
    from cv_attention.blocks.spatial.cbam_spatial import CBAMSpatial
    from cv_attention.blocks.spatial.efficient_local import EfficientLocalAttention
    from cv_attention.blocks.spatial.group_enhance import SpatialGroupEnhance
    from cv_attention.blocks.spatial.large_kernel import LargeKernelAttention
    from cv_attention.blocks.spatial.strip_pooling import StripPooling
    from cv_attention.blocks.tokens.axial import AxialAttention
    from cv_attention.blocks.tokens.bottleneck import BottleneckAttention
    from cv_attention.blocks.tokens.cross_covariance import CrossCovarianceAttention
    from cv_attention.blocks.tokens.differential import DifferentialAttention
    from cv_attention.blocks.tokens.focused_linear import FocusedLinearAttention
    from cv_attention.blocks.tokens.halo import HaloAttention
    from cv_attention.blocks.tokens.lambda_layer import LambdaLayer
    from cv_attention.blocks.tokens.linear import LinearAttention
    from cv_attention.blocks.tokens.multi_head import MultiHeadSelfAttention
    from cv_attention.blocks.tokens.multi_query import MultiQueryAttention
    from cv_attention.blocks.tokens.neighbourhood import NeighbourhoodAttention
    from cv_attention.blocks.tokens.vit import ViTBlock
    from cv_attention.blocks.tokens.window import WindowAttention

__all__ = [
    "BAM",
    "CATALOGUE",
    "CBAM",
    "AdditivePool",
    "AttentionAugmentedConv",
    "AttentionGate",
    "AttentionMap",
    "AxialAttention",
    "BilinearAttentionTransform",
    "Block",
    "BottleneckAttention",
    "CBAMSpatial",
    "CircularECA",
    "ClassAttention",
    "ConcurrentSqueezeExcite",
    "ContextEncoding",
    "CoordinateAttention",
    "Cost",
    "CrissCrossAttention",
    "CrossCovarianceAttention",
    "DANetChannel",
    "DANetPosition",
    "DifferentialAttention",
    "DisentangledNonLocal",
    "DoubleAttention",
    "Draw",
    "DynamicConvolution",
    "EffectiveSE",
    "EfficientChannelAttention",
    "EfficientLocalAttention",
    "Entry",
    "ExternalAttention",
    "FocusedLinearAttention",
    "FrequencyChannelAttention",
    "Gate",
    "GatedChannelTransform",
    "GatedPool",
    "GatherExcite",
    "GatherExciteFree",
    "GaussianContextTransformer",
    "GlobalContext",
    "GlobalContextGate",
    "GlobalResponseNorm",
    "GlobalSecondOrderPooling",
    "GraphAttention",
    "GraphAttentionV2",
    "HaloAttention",
    "HardPool",
    "LambdaLayer",
    "LargeKernelAttention",
    "LatentAttention",
    "LatentPool",
    "LinearAttention",
    "LinearContextTransform",
    "LocalPool",
    "LuongPool",
    "MultiHeadSelfAttention",
    "MultiQueryAttention",
    "NeighbourhoodAttention",
    "NonLocal",
    "PlaceDraw",
    "QueryPool2d",
    "SampledChoice",
    "SelectiveKernel",
    "ShuffleAttention",
    "SimAM",
    "SpatialGroupEnhance",
    "SplitAttention",
    "SqueezeExcite",
    "StripPooling",
    "StyleRecalibration",
    "TransformerXLAttention",
    "TripletAttention",
    "ViTBlock",
    "WindowAttention",
    "XLNetAttention",
    "cost",
    "create",
    "functional",
    "resolve",
]  # fmt: skip

# Where each name lives; torch is imported with the first of them.
_NAMES = {
    "AttentionMap": "base",
    "Block": "base",
    "Draw": "draw",
    "PlaceDraw": "place_draw",
    "SampledChoice": "draw",
    "Gate": "base",
    "create": "construction",
    "resolve": "construction",
    "Cost": "counting",
    "cost": "counting",
    **{path.rsplit(".", 1)[1]: path.rsplit(".", 1)[0] for path in (e.path for e in CATALOGUE.values())},
}


def __getattr__(name: str) -> Any:
    if name == "functional":
        return import_module(f"{__name__}.functional")
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, "functional"})
