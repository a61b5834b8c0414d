"""Maps of Hugging Face's vision models, in their ``sdpa`` and ``eager`` implementations of attention."""

from cv_attention.maps.adapters.adapter import Adapter, by_softmax
from cv_attention.maps.adapters.layouts import NamedMaps, tokens, windowed
from cv_attention.maps.watch import WatchedCall


def _swin(call: WatchedCall) -> NamedMaps:
    size, shift = int(call.module.window_size), int(call.module.shift_size)
    grid = call.given["input_dimensions"]
    yield "attention", windowed(call.attention[0], grid, (size, size), (shift, shift), pad_first=True)


_TOKENS = by_softmax(tokens)
_SWIN = by_softmax(_swin, ("attention",))
ADAPTERS: dict[str, Adapter] = {
    "transformers.models.vit.modeling_vit.ViTAttention": _TOKENS,
    "transformers.models.deit.modeling_deit.DeiTAttention": _TOKENS,
    "transformers.models.dinov2.modeling_dinov2.Dinov2Attention": _TOKENS,
    "transformers.models.dinov2_with_registers.modeling_dinov2_with_registers.Dinov2WithRegistersAttention": _TOKENS,
    "transformers.models.dinov3_vit.modeling_dinov3_vit.DINOv3ViTAttention": _TOKENS,
    "transformers.models.clip.modeling_clip.CLIPAttention": _TOKENS,
    "transformers.models.siglip.modeling_siglip.SiglipAttention": _TOKENS,
    "transformers.models.beit.modeling_beit.BeitAttention": _TOKENS,
    "transformers.models.swin.modeling_swin.SwinLayer": _SWIN,
    "transformers.models.swinv2.modeling_swinv2.Swinv2Layer": _SWIN,
}
