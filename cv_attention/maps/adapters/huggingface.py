"""Maps of Hugging Face's vision models, in their ``sdpa`` and ``eager`` implementations of attention.

Decoders that read or describe images attend to the encoder's tokens: a query for each token of the text, which lie over
the grid of the image. Generation runs a decoder once for every token, and the last run is recorded; a forward with the
generated tokens records all of them.
"""

from torch import Tensor

from cv_attention.maps.adapters.adapter import Adapter, by_softmax
from cv_attention.maps.adapters.layouts import NamedMaps, tokens, windowed
from cv_attention.maps.recorded import RecordedMap, over_tokens
from cv_attention.maps.watch import WatchedCall


def _swin(call: WatchedCall) -> NamedMaps:
    size, shift = int(call.module.window_size), int(call.module.shift_size)
    grid = call.given["input_dimensions"]
    yield "attention", windowed(call.attention[0], grid, (size, size), (shift, shift), pad_first=True)


def _decoder(call: WatchedCall) -> NamedMaps:
    """Lays attention to the encoder over its grid; a decoder's attention to its own text has none."""
    encoded = next((call.given[name] for name in _ENCODED if isinstance(call.given.get(name), Tensor)), None)
    for attention in call.attention[-1:]:
        if attention.dim() == 3:  # (B * heads, queries, keys)
            attention = attention.unflatten(0, (len(call.input), -1))
        of_all_images = call.watch.images is None or len(attention) == call.watch.images[0]
        grid = call.watch.grid(attention.shape[3]) if encoded is not None and of_all_images else None
        yield "", RecordedMap(attention, "alignment") if grid is None else over_tokens(attention, grid[:2], grid[2])


_ENCODED = ("key_value_states", "encoder_hidden_states")  # arguments that hold what an encoder returned
_TOKENS, _DECODER = by_softmax(tokens), by_softmax(_decoder)
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
    # decoders, as in TrOCR, Donut and other VisionEncoderDecoder models, and in BLIP
    "transformers.models.trocr.modeling_trocr.TrOCRAttention": _DECODER,
    "transformers.models.bart.modeling_bart.BartAttention": _DECODER,
    "transformers.models.mbart.modeling_mbart.MBartAttention": _DECODER,
    "transformers.models.gpt2.modeling_gpt2.GPT2Attention": _DECODER,
    "transformers.models.bert.modeling_bert.BertSelfAttention": _DECODER,
    "transformers.models.bert.modeling_bert.BertCrossAttention": _DECODER,
    "transformers.models.roberta.modeling_roberta.RobertaSelfAttention": _DECODER,
    "transformers.models.roberta.modeling_roberta.RobertaCrossAttention": _DECODER,
    "transformers.models.blip.modeling_blip.BlipAttention": _TOKENS,
    "transformers.models.blip.modeling_blip_text.BlipTextSelfAttention": _DECODER,
}
