"""Where the attention maps of modules are, ours and those that nobody here wrote: the one file to extend.

A module is known by the name of its class or a base class, so that no library is imported to look.
"""

import inspect
import math
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, MapKind

Keep = Callable[[Tensor], None]


class Adapter(NamedTuple):
    """How the map of one class of modules is seen.

    Attributes:
        kind: What its axes mean.
        attach: (module, keep, hooks) -> None: makes every forward of `module` call `keep` with its map, through hooks
            whose removal goes onto the stack `hooks`. It changes neither the module nor its output.
    """

    kind: MapKind
    attach: Callable[[nn.Module, Keep, ExitStack], None]


def adapter_of(module: nn.Module) -> Adapter | None:
    """Returns how the map of `module` itself is seen, or None where it has none; its children are not looked at."""
    if isinstance(module, AttentionMap):
        return Adapter(cast(MapKind, module.kind), _output_of(""))
    for base in type(module).__mro__:
        adapter = _ADAPTERS.get(f"{base.__module__}.{base.__qualname__}")
        if adapter is not None:
            return adapter
    return None


def _output_of(child: str, shape: Callable[[Tensor], Tensor] = lambda values: values) -> Callable:
    """The map is what the child of this name returns (``""`` is the module itself), reshaped."""

    def attach(module: nn.Module, keep: Keep, hooks: ExitStack) -> None:
        hook = module.get_submodule(child).register_forward_hook(lambda _, args, values: keep(shape(values)))
        hooks.callback(hook.remove)

    return attach


def _multihead(module: nn.Module, keep: Keep, hooks: ExitStack) -> None:
    """nn.MultiheadAttention: recomputed from its inputs, without dropout, since fused kernels return no weights."""
    signature = inspect.signature(nn.MultiheadAttention.forward)

    def look(module: Any, args: tuple, kwargs: dict, output: Any) -> None:
        given = signature.bind(module, *args, **kwargs).arguments
        query, key = given["query"], given["key"]
        if query.dim() == 2:
            query, key = query[None], key[None]
        elif not module.batch_first:
            query, key = query.transpose(0, 1), key.transpose(0, 1)
        keep(_multihead_weights(module, query, key, given.get("attn_mask"), given.get("key_padding_mask")))

    hooks.callback(module.register_forward_hook(look, with_kwargs=True).remove)


def _multihead_weights(module: Any, query: Tensor, key: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor:
    """Query (B, L, E) and key (B, S, E') -> attention (B, heads, L, S)."""
    q_weight, k_weight = module.q_proj_weight, module.k_proj_weight
    if module.in_proj_weight is not None:
        q_weight, k_weight, _ = module.in_proj_weight.chunk(3)
    q_bias, k_bias = module.in_proj_bias.chunk(3)[:2] if module.in_proj_bias is not None else (None, None)
    q, k = F.linear(query, q_weight, q_bias), F.linear(key, k_weight, k_bias)
    if module.bias_k is not None:
        k = torch.cat([k, module.bias_k.to(k.dtype).expand(len(k), 1, -1)], dim=1)
    if module.add_zero_attn:
        k = F.pad(k, (0, 0, 0, 1))
    q, k = (x.unflatten(2, (module.num_heads, -1)).transpose(1, 2) for x in (q, k))
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None and mask.dim() == 3:  # (B * heads, L, S)
        mask = mask.unflatten(0, (-1, module.num_heads))
    if padding is not None:
        padding = padding.reshape(-1, 1, 1, padding.shape[-1])
    return _masked(_masked(scores, mask), padding).softmax(-1)


def _masked(scores: Tensor, mask: Tensor | None, true_is_kept: bool = False) -> Tensor:
    """Adds a mask; a boolean one keeps or drops where it is true. Keys beyond the mask's last stay."""
    if mask is None:
        return scores
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask if true_is_kept else mask, -math.inf)
    return scores + F.pad(mask, (0, scores.shape[-1] - mask.shape[-1]))


def _timm_attention(module: nn.Module, keep: Keep, hooks: ExitStack) -> None:
    """Timm's vision transformers: recomputed from the normalised queries and keys, since fused kernels hide it."""
    signature = inspect.signature(type(module).forward)
    seen = threading.local()  # other threads' forwards of the same module come here, too

    def look(module: Any, args: tuple, kwargs: dict, output: Any) -> None:
        given = signature.bind(module, *args, **kwargs).arguments
        scores = (seen.q_norm * module.scale) @ seen.k_norm.transpose(-2, -1)
        seen.__dict__.clear()
        mask = given.get("attn_mask")
        if given.get("is_causal"):
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        keep(_masked(scores, mask, true_is_kept=True).softmax(-1))

    for name in ("q_norm", "k_norm"):
        hook = module.get_submodule(name).register_forward_hook(lambda m, _, out, name=name: setattr(seen, name, out))
        hooks.callback(hook.remove)
    hooks.callback(module.register_forward_hook(look, with_kwargs=True).remove)


_CHANNEL_GATE = Adapter("channel", _output_of("gate"))
_ADAPTERS: dict[str, Adapter] = {
    "torch.nn.modules.activation.MultiheadAttention": Adapter("alignment", _multihead),
    "torchvision.ops.misc.SqueezeExcitation": Adapter("channel", _output_of("scale_activation")),
    "timm.layers.squeeze_excite.SEModule": _CHANNEL_GATE,
    "timm.layers.squeeze_excite.EffectiveSEModule": _CHANNEL_GATE,
    "timm.models._efficientnet_blocks.SqueezeExcite": _CHANNEL_GATE,
    "timm.layers.eca.EcaModule": Adapter("channel", _output_of("gate", lambda gate: gate.mT[..., None])),
    "timm.layers.cbam.ChannelAttn": _CHANNEL_GATE,
    "timm.layers.cbam.SpatialAttn": Adapter("spatial", _output_of("gate")),
    "timm.layers.attention.Attention": Adapter("alignment", _timm_attention),
    "timm.models.vision_transformer.Attention": Adapter("alignment", _timm_attention),  # where older timm has it
}
