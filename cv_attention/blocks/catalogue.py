"""Lists every block: name, class path, family, paper, year and attention maps.

Nothing here imports torch, so that a mistyped name is reported at once. CONTRIBUTING.md says how to add a block.
"""

from collections.abc import Iterable, Iterator, Mapping

from cv_attention.blocks.entry import Entry
from cv_attention.suggest import suggest

# fmt: off
_CHANNEL = (
    Entry("se", "channel.squeeze_excite.SqueezeExcite", "Squeeze-and-excitation",
          "https://arxiv.org/abs/1709.01507", 2017, maps=("channel",), gate=0.5,
          examples=({"reduction": 4, "bias": False}, {"divisor": 8})),
    Entry("eca", "channel.efficient_channel.EfficientChannelAttention", "Efficient channel attention",
          "https://arxiv.org/abs/1910.03151", 2019, maps=("channel",), gate=0.5,
          examples=({"kernel_size": 5},)),
    Entry("ese", "channel.effective_se.EffectiveSE", "Effective squeeze-excitation",
          "https://arxiv.org/abs/1911.06667", 2019, maps=("channel",), gate=0.5),
    Entry("ceca", "channel.circular_eca.CircularECA", "Circular efficient channel attention",
          "https://arxiv.org/abs/1910.03151", 2019, maps=("channel",), gate=0.5,
          examples=({"kernel_size": 5},)),
    Entry("ge_minus", "channel.gather_excite_free.GatherExciteFree", "Gather-excite without parameters",
          "https://arxiv.org/abs/1810.12348", 2018, maps=("joint",), gate=0.5,
          examples=({"extent": 2}, {"extent": 8})),
    Entry("ge_plus", "channel.gather_excite.GatherExcite", "Gather-excite with parameters",
          "https://arxiv.org/abs/1810.12348", 2018, maps=("joint",), gate=0.5,
          flags=("batch_statistics", "needs_batch"),
          examples=({"reduction": None, "kernel_size": 4}, {"extent": 8, "reduction": 4})),
    Entry("srm", "channel.style_recalibration.StyleRecalibration", "Style-based recalibration",
          "https://arxiv.org/abs/1903.10829", 2019, maps=("channel",), gate=0.5,
          flags=("batch_statistics", "needs_batch")),
    Entry("gct", "channel.gated_channel.GatedChannelTransform", "Gated channel transformation",
          "https://arxiv.org/abs/1909.11519", 2019, maps=("channel",), gate=1.0, examples=({"norm": "l1"},)),
    Entry("gaussian_context", "channel.gaussian_context.GaussianContextTransformer",
          "Gaussian context transformer",
          "https://openaccess.thecvf.com/content/CVPR2021/html/"
          "Ruan_Gaussian_Context_Transformer_CVPR_2021_paper.html",
          2021, maps=("channel",), gate=0.89, examples=({"learnable": True},)),
    Entry("fca", "channel.frequency_channel.FrequencyChannelAttention", "Frequency channel attention",
          "https://arxiv.org/abs/2012.11879", 2020, maps=("channel",), gate=0.5,
          examples=({"frequencies": "low4", "reduction": 4}, {"frequencies": "bot1"})),
    Entry("lct", "channel.linear_context.LinearContextTransform", "Linear context transform",
          "https://arxiv.org/abs/1909.03834", 2019, maps=("channel",), gate=0.731, examples=({"groups": 1},)),
    Entry("gsop", "channel.second_order_pooling.GlobalSecondOrderPooling", "Global second-order pooling",
          "https://arxiv.org/abs/1811.12006", 2018, maps=("channel",), gate=0.5, flags=("batch_statistics",),
          examples=({"dim": 4, "stride": 2, "rectify": False},)),
    Entry("grn", "channel.response_norm.GlobalResponseNorm", "Global response normalisation",
          "https://arxiv.org/abs/2301.00808", 2023, maps=("channel",), gate=1.0),
)

_SPATIAL = (
    Entry("cbam_spatial", "spatial.cbam_spatial.CBAMSpatial", "CBAM's spatial gate alone",
          "https://arxiv.org/abs/1807.06521", 2018, maps=("spatial",), gate=0.5, flags=("batch_statistics",),
          examples=({"kernel_size": 3},)),
    Entry("sge", "spatial.group_enhance.SpatialGroupEnhance", "Spatial group-wise enhance",
          "https://arxiv.org/abs/1905.09646", 2019, maps=("joint",), gate=0.731,
          examples=({"groups": 4}, {"groups": 2, "unbiased": False})),
    Entry("lka", "spatial.large_kernel.LargeKernelAttention", "Large-kernel attention",
          "https://arxiv.org/abs/2202.09741", 2022, maps=("joint",), gate=0.0,
          examples=({"kernel_size": 5, "dilation": 2},)),
    Entry("strip_pooling", "spatial.strip_pooling.StripPooling", "Strip pooling",
          "https://arxiv.org/abs/2003.13328", 2020, maps=("joint",), gate=0.5, flags=("batch_statistics",),
          examples=({"kernel_size": 5},)),
    Entry("attention_gate", "spatial.attention_gate.AttentionGate", "Grid attention gate of Attention U-Net",
          "https://arxiv.org/abs/1804.03999", 2018, maps=("spatial",),
          examples=({"inter_channels": 3, "sub_sample_factor": 1, "gating_stride": 2}, {"gating_stride": 3})),
    Entry("ela", "spatial.efficient_local.EfficientLocalAttention", "Efficient local attention",
          "https://arxiv.org/abs/2403.01123", 2024, maps=("joint",), gate=0.25,
          examples=({"kernel_size": 5, "conv_groups": 1, "norm_groups": 2}, {"shared": False})),
)

_MIXED = (
    Entry("cbam", "mixed.cbam.CBAM", "Convolutional block attention module",
          "https://arxiv.org/abs/1807.06521", 2018, maps=("channel", "spatial"), gate=0.25,
          flags=("batch_statistics",), examples=({"reduction": 2, "bias": False, "kernel_size": 3},)),
    Entry("bam", "mixed.bam.BAM", "Bottleneck attention module",
          "https://arxiv.org/abs/1807.06514", 2018, maps=("joint",), gate=1.5,
          flags=("batch_statistics", "needs_batch"),
          examples=({"reduction": 2, "combine": "multiply", "norm": "hidden"}, {"reduction": 2, "dilation": 2})),
    Entry("scse", "mixed.concurrent_squeeze_excite.ConcurrentSqueezeExcite",
          "Concurrent spatial and channel squeeze and excitation",
          "https://arxiv.org/abs/1803.02579", 2018, maps=("channel", "spatial"), gate=1.0,
          examples=({"combine": "max"}, {"combine": "multiply", "reduction": 4})),
    Entry("shuffle", "mixed.shuffle.ShuffleAttention", "Shuffle attention",
          "https://arxiv.org/abs/2102.00240", 2021, maps=("joint",), multiple_of=2,
          examples=({"groups": 1}, {"groups": 2})),
    Entry("triplet", "mixed.triplet.TripletAttention", "Triplet attention",
          "https://arxiv.org/abs/2010.03045", 2020, maps=("joint",), gate=0.5, flags=("batch_statistics",),
          examples=({"kernel_size": 3}, {"no_spatial": True})),
    Entry("coordinate", "mixed.coordinate.CoordinateAttention", "Coordinate attention",
          "https://arxiv.org/abs/2103.02907", 2021, maps=("joint",), gate=0.25, flags=("batch_statistics",),
          examples=({"reduction": 2, "min_width": 3, "bias": False},)),
    Entry("simam", "mixed.simam.SimAM", "SimAM: a simple, parameter-free attention module",
          "https://proceedings.mlr.press/v139/yang21o.html", 2021, maps=("joint",), gate=0.76,
          examples=({"e_lambda": 0.1, "unbiased": False},)),
    Entry("gc", "mixed.global_context.GlobalContext", "Global context, added",
          "https://arxiv.org/abs/1904.11492", 2019, maps=("pairwise",), gate=1.0,
          examples=({"reduction": 1},)),
    Entry("gca", "mixed.global_context.GlobalContextGate", "Global context, multiplied",
          "https://arxiv.org/abs/1904.11492", 2019, maps=("pairwise", "channel"), gate=0.5,
          examples=({"add": True},)),
    Entry("encnet", "mixed.context_encoding.ContextEncoding", "Context encoding of EncNet",
          "https://arxiv.org/abs/1803.08904", 2018, maps=("pairwise", "channel"), gate=0.5,
          flags=("batch_statistics",),
          examples=({"codewords": 5, "project": False, "aggregate": "sum"}, {"codewords": 3, "residual": True})),
)

_BRANCH = (
    Entry("sk", "branch.selective_kernel.SelectiveKernel", "Selective kernel convolution",
          "https://arxiv.org/abs/1903.06586", 2019, maps=("channel", "channel"),
          flags=("batch_statistics", "needs_batch"),
          examples=({"kernel_size": (3, 7), "dilated": False, "groups": 2, "reduction": 2, "minimum": 3},)),
    Entry("split_attention", "branch.split_attention.SplitAttention", "Split attention of ResNeSt",
          "https://arxiv.org/abs/2004.08955", 2020, maps=("channel", "channel"), multiple_of=2,
          flags=("batch_statistics", "needs_batch"),
          examples=({"kernel_size": 1, "groups": 2, "minimum": 3},)),
    Entry("attention_augmented", "branch.attention_augmented.AttentionAugmentedConv",
          "Attention-augmented convolution", "https://arxiv.org/abs/1904.09925", 2019, maps=("pairwise",),
          examples=({"heads": 2, "upsilon": 0.5, "kappa": 0.9, "minimum": 1, "extent": 3},
                    {"relative": False, "upsilon": 1.0})),
    Entry("dynamic_convolution", "branch.dynamic_convolution.DynamicConvolution",
          "Dynamic convolution: attention over kernels", "https://arxiv.org/abs/1912.03458", 2019, maps=("alignment",),
          examples=({"kernels": 3, "kernel_size": 5, "groups": 2, "reduction": 2, "temperature": 1.0},
                    {"routing": "sigmoid", "bias": False})),
)

_CONTEXT = (
    Entry("non_local", "context.non_local.NonLocal", "Non-local block",
          "https://arxiv.org/abs/1711.07971", 2017, maps=("pairwise",), gate=1.0, flags=("batch_statistics",),
          examples=({"use_scale": False}, {"mode": "gaussian"}, {"mode": "dot_product"},
                    {"mode": "concatenation"}, {"sub_sample": True})),
    Entry("disentangled_non_local", "context.disentangled_non_local.DisentangledNonLocal",
          "Disentangled non-local block", "https://arxiv.org/abs/2006.06668", 2020,
          maps=("pairwise", "pairwise"), gate=1.0, flags=("batch_statistics",),
          examples=({"use_scale": False, "temperature": 2.0},)),
    Entry("double_attention", "context.double_attention.DoubleAttention", "Double attention of A²-Nets",
          "https://arxiv.org/abs/1810.11579", 2018, maps=("pairwise", "alignment"), examples=({"m": 3, "n": 5},)),
    Entry("danet_position", "context.danet_position.DANetPosition", "Position attention of DANet",
          "https://arxiv.org/abs/1809.02983", 2018, maps=("pairwise",), gate=1.0,
          examples=({"reduction": 2},)),
    Entry("danet_channel", "context.danet_channel.DANetChannel", "Channel attention of DANet",
          "https://arxiv.org/abs/1809.02983", 2018, maps=("alignment",), gate=1.0,
          examples=({"energy": "plain"},)),
    Entry("criss_cross", "context.criss_cross.CrissCrossAttention", "Criss-cross attention",
          "https://arxiv.org/abs/1811.11721", 2018, maps=("pairwise", "pairwise"), gate=1.0,
          examples=({"reduction": 2},)),
    Entry("external_attention", "context.external_attention.ExternalAttention", "External attention",
          "https://arxiv.org/abs/2105.02358", 2021, maps=("alignment",), flags=("batch_statistics",),
          examples=({"slots": 3, "relu": False},)),
    Entry("latent", "context.latent.LatentAttention", "Perceiver between convolutions",
          "https://arxiv.org/abs/2107.14795", 2021, maps=("pairwise", "alignment", "alignment"), multiple_of=4,
          examples=({"latents": 3, "width": 6, "heads": 2, "cross_heads": 3, "bands": 0, "mlp_ratio": 1.5},)),
    Entry("bat", "context.bilinear_transform.BilinearAttentionTransform", "Bilinear attentional transform",
          "https://openaccess.thecvf.com/content_CVPR_2020/html/"
          "Chi_Non-Local_Neural_Networks_With_Grouped_Bilinear_Attentional_Transforms_CVPR_2020_paper.html",
          2020, maps=("pairwise",), flags=("batch_statistics",),
          examples=({"block_size": 2, "groups": 3, "reduction": 2},)),
)

_TOKENS = (
    Entry("mhsa", "tokens.multi_head.MultiHeadSelfAttention", "Multi-head self-attention over positions",
          "https://arxiv.org/abs/1911.03584", 2019, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 1, "qkv_bias": False}, {"heads": 1, "position": "rope"})),
    Entry("vit", "tokens.vit.ViTBlock", "Vision transformer's encoder block",
          "https://arxiv.org/abs/2010.11929", 2020, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "mlp_ratio": 1.5, "position": "none"}, {"heads": 2, "position": "rope"})),
    Entry("window", "tokens.window.WindowAttention", "Window and shifted window attention (Swin)",
          "https://arxiv.org/abs/2103.14030", 2021, maps=("pairwise",), multiple_of=4,
          examples=({"window_size": 3, "shift": 1}, {"heads": 2, "window_size": 2, "qkv_bias": False})),
    Entry("neighbourhood", "tokens.neighbourhood.NeighbourhoodAttention", "Neighbourhood attention",
          "https://arxiv.org/abs/2204.07143", 2022, maps=("pairwise",), multiple_of=4,
          examples=({"kernel_size": 3}, {"heads": 2, "kernel_size": 1, "qkv_bias": False, "relative_bias": False})),
    Entry("botnet", "tokens.bottleneck.BottleneckAttention", "Self-attention with 2-D relative positions (BoTNet)",
          "https://arxiv.org/abs/2101.11605", 2021, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "size": 3, "scale_position": False, "qkv_bias": True},)),
    Entry("halo", "tokens.halo.HaloAttention", "Halo attention",
          "https://arxiv.org/abs/2103.12731", 2021, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "block_size": 2, "halo_size": 1, "scale_position": False, "qkv_bias": True},)),
    Entry("lambda_layer", "tokens.lambda_layer.LambdaLayer", "Lambda layer",
          "https://arxiv.org/abs/2102.08602", 2021, maps=("pairwise",), multiple_of=4, flags=("batch_statistics",),
          examples=({"heads": 2, "key_depth": 3, "kernel_size": 3},)),
    Entry("xca", "tokens.cross_covariance.CrossCovarianceAttention", "Cross-covariance attention",
          "https://arxiv.org/abs/2106.09681", 2021, maps=("alignment",), multiple_of=4,
          examples=({"heads": 2, "qkv_bias": True},)),
    Entry("mqa", "tokens.multi_query.MultiQueryAttention", "Multi-query attention",
          "https://arxiv.org/abs/1911.02150", 2019, maps=("pairwise",), multiple_of=4, examples=({"heads": 2},)),
    Entry("linear_attention", "tokens.linear.LinearAttention", "Linear attention",
          "https://arxiv.org/abs/2006.16236", 2020, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "qkv_bias": False},)),
    Entry("focused_linear", "tokens.focused_linear.FocusedLinearAttention", "Focused linear attention",
          "https://arxiv.org/abs/2308.00442", 2023, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "focusing_factor": 2, "kernel_size": 3, "qkv_bias": False},)),
    Entry("differential", "tokens.differential.DifferentialAttention", "Differential attention",
          "https://arxiv.org/abs/2410.05258", 2024, maps=("pairwise",), multiple_of=8,
          examples=({"heads": 2, "lambda_init": 0.2, "qkv_bias": True},)),
    Entry("axial", "tokens.axial.AxialAttention", "Position-sensitive axial attention",
          "https://arxiv.org/abs/2003.07853", 2020, maps=("pairwise", "pairwise"), multiple_of=8,
          examples=({"heads": 2, "span": 3},)),
)

_GRAPH = (
    Entry("gat", "graph.gat.GraphAttention", "Graph attention to the neighbours on the grid (GAT)",
          "https://arxiv.org/abs/1710.10903", 2017, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "neighbours": 4, "self_loops": False}, {"heads": 2, "average": True})),
    Entry("gatv2", "graph.gatv2.GraphAttentionV2", "Dynamic graph attention to the neighbours on the grid (GATv2)",
          "https://arxiv.org/abs/2105.14491", 2021, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "neighbours": 4, "self_loops": False}, {"heads": 2, "average": True})),
)

_SEQUENCE = (
    Entry("transformer_xl", "sequence.transformer_xl.TransformerXLAttention",
          "Strips of rows with a memory of earlier strips (Transformer-XL)",
          "https://arxiv.org/abs/1901.02860", 2019, maps=("pairwise",), multiple_of=4, flags=("detached",),
          examples=({"heads": 2, "rows": 3, "memory": 0}, {"rows": 1, "memory": 2, "detach": False, "causal": False})),
    Entry("xlnet", "sequence.xlnet.XLNetAttention", "Strips of rows with a memory, in both directions (XLNet)",
          "https://arxiv.org/abs/1906.08237", 2019, maps=("pairwise",), multiple_of=4, flags=("detached",),
          examples=({"heads": 2, "rows": 3, "memory": 0}, {"rows": 1, "memory": 2, "detach": False})),
)

_POOLING = (
    Entry("additive", "pooling.additive.AdditivePool", "Additive attention pooling (Bahdanau)",
          "https://arxiv.org/abs/1409.0473", 2014, maps=("spatial",), gate=1.0,
          examples=({"width": 3, "state": "global"},)),
    Entry("luong", "pooling.luong.LuongPool", "Luong's attention pooling",
          "https://arxiv.org/abs/1508.04025", 2015, maps=("spatial",), gate=1.0,
          examples=({"state": "learned"}, {"score": "dot"}, {"score": "concat", "width": 3},
                    {"score": "concat", "state": "learned"})),
    Entry("local", "pooling.local.LocalPool", "Luong's local attention pooling",
          "https://arxiv.org/abs/1508.04025", 2015, maps=("spatial",), gate=1.0,
          examples=({"reach": 1, "state": "learned", "width": 3}, {"renormalise": False})),
    Entry("gated", "pooling.gated.GatedPool", "Gated attention pooling of multiple-instance learning",
          "https://arxiv.org/abs/1802.04712", 2018, maps=("spatial",), gate=1.0,
          examples=({"gated": False, "bias": True},)),
    Entry("hard", "pooling.hard.HardPool", "Hard attention pooling, one sampled position (Xu)",
          "https://arxiv.org/abs/1502.03044", 2015, maps=("spatial",), gate=1.0, flags=("selects",),
          examples=({"estimator": "reinforce", "state": "global", "width": 3},)),
    Entry("class_attention", "pooling.class_attention.ClassAttention", "Class attention of CaiT",
          "https://arxiv.org/abs/2103.17239", 2021, maps=("pairwise", "pairwise"), multiple_of=4,
          examples=({"heads": 2, "mlp_ratio": 1.5, "qkv_bias": False, "init_values": 0.1},)),
    Entry("latent_pool", "pooling.latent_pool.LatentPool", "Attention pooling by a latent query (MAP, SigLIP)",
          "https://arxiv.org/abs/2106.04560", 2021, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "mlp_ratio": 1.5, "norm": False, "qkv_bias": False},)),
    Entry("query_2d", "pooling.query_2d.QueryPool2d", "Attention pooling of CLIP's ResNets",
          "https://arxiv.org/abs/2103.00020", 2021, maps=("pairwise",), multiple_of=4,
          examples=({"heads": 2, "size": 3, "qkv_bias": False},)),
)

# fmt: on

_TABLE: tuple[Entry, ...] = (
    *_CHANNEL,
    *_SPATIAL,
    *_MIXED,
    *_BRANCH,
    *_CONTEXT,
    *_TOKENS,
    *_GRAPH,
    *_SEQUENCE,
    *_POOLING,
)


class Catalogue(Mapping[str, Entry]):
    """The blocks by name; it prints as their names, family by family."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {entry.name: entry for entry in entries}

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        families: dict[str, list[str]] = {}
        for entry in self.values():
            families.setdefault(entry.family, []).append(entry.name)
        return "\n".join([f"{len(self)} blocks", *(f"{f}: {', '.join(names)}" for f, names in families.items())])


CATALOGUE = Catalogue(_TABLE)
"""All blocks by name, a read-only mapping to `Entry`; prints as a list of families."""


def find(name: str) -> Entry:
    """Returns the entry called `name`.

    Raises:
        ValueError: if there is none; the message gives the nearest names.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    hint = suggest(name, CATALOGUE, shown=0).rstrip("?")
    raise ValueError(f"no block is called {name!r}{hint}; `cv-attention blocks` lists all {len(CATALOGUE)}")
