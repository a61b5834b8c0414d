"""Maps of docTR's readers of words: SAR, MASTER, PARSeq, and the ViTs that they and ViTSTR encode images with."""

import torch
from torch import Tensor

from cv_attention.maps.adapters.adapter import Adapter, by_softmax
from cv_attention.maps.adapters.layouts import NamedMaps, laid_out
from cv_attention.maps.recorded import RecordedMap
from cv_attention.maps.watch import WatchedCall


def _multi_head(call: WatchedCall) -> NamedMaps:
    """Lays attention to the image over its grid; what a causal mask hides a part of is attention to the text."""
    mask = call.given.get("mask")
    reads_text = isinstance(mask, Tensor) and bool((mask == 0).any())
    for attention in call.attention[-1:]:
        yield "", RecordedMap(attention, "alignment") if reads_text else laid_out(call, attention)


def _sar(call: WatchedCall) -> NamedMaps:
    """Gives the weights of all steps; the first run of the attention only warms the recurrent state up."""
    batch, _, height, width = call.input.shape
    steps = [weights for weights in call.attention if weights.shape == (batch, height * width)][1:]
    yield "attention_module", RecordedMap(torch.stack(steps, 1).view(batch, 1, -1, height, width), "pairwise")


ADAPTERS: dict[str, Adapter] = {
    "doctr.models.modules.transformer.pytorch.MultiHeadAttention": by_softmax(_multi_head),
    "doctr.models.recognition.sar.pytorch.SARDecoder": by_softmax(_sar, ("attention_module",)),
}
