"""Replaces fused attention kernels, to expose their attention weights.

Fused kernels keep no probabilities and cannot be differentiated twice. In this mode every scaled dot-product attention
runs as plain matrix products, whether called by timm, torchvision, transformers, `nn.MultiheadAttention` or our blocks.
Other threads are not affected.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cv_attention.blocks.functional import attention_weights
from cv_attention.maps.adapters import adapters_of
from cv_attention.maps.wrappers import bare_modules

_SOFTMAX = {torch.softmax, Tensor.softmax, F.softmax}


class Unfused(TorchFunctionMode):
    """Runs scaled dot-product attention step by step and keeps the probabilities, (B, heads, queries, keys).

    Args:
        model: Softmaxes over the last axis of its attention modules, those that `cv_attention.record` knows, are kept,
            too, as in Hugging Face's ``attn_implementation="eager"``; None keeps the fused kernels' alone.

    Attributes:
        seen: The probabilities, in the order of computation, as they are used in the model's graph.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self._watched = [] if model is None else list(_attention_modules(model))
        self._inside, self._thread = 0, threading.get_ident()
        self._hooks = ExitStack()

    def __enter__(self) -> "Unfused":
        """Starts watching the model's attention modules, too."""
        for module in self._watched:
            self._hooks.callback(module.register_forward_pre_hook(lambda *_: self._step(1)).remove)
            self._hooks.callback(module.register_forward_hook(lambda *_: self._step(-1), always_call=True).remove)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        """Stops watching."""
        super().__exit__(*error)
        self._hooks.close()

    def _step(self, by: int) -> None:
        if threading.get_ident() == self._thread:
            self._inside += by

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            func = self._attend
        elif func is F.multi_head_attention_forward:
            # function modes do not apply inside it, so a copy that calls ours is used
            heads = args[4] if len(args) > 4 else kwargs["num_heads"]
            own = {"scaled_dot_product_attention": self._attend, "has_torch_function": lambda _: False}
            own["softmax"] = partial(self._softmax_of_heads, heads)
            func = FunctionType(func.__code__, {**func.__globals__, **own}, None, func.__defaults__)
        result = func(*args, **kwargs)
        if self._inside > 0 and func in _SOFTMAX and isinstance(result, Tensor) and result.dim() == 4:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            self.seen += [result] if axis in (-1, 3) else []
        return result

    def _softmax_of_heads(self, heads: int, scores: Tensor, dim: int = -1, **options: Any) -> Tensor:
        """Computes the softmax inside torch's multi-head attention that returns weights, of (B * heads, ...)."""
        probabilities = F.softmax(scores, dim, **options).unflatten(0, (-1, heads))
        self.seen.append(probabilities)
        return probabilities.flatten(0, 1)

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **options: Any,
    ) -> Tensor:
        """Takes the arguments of `scaled_dot_product_attention`; drops nothing out."""
        weights = attention_weights(query, key, attn_mask=attn_mask, is_causal=is_causal, **options)
        probabilities = weights.to(value.dtype)
        self.seen.append(probabilities)
        if probabilities.dim() > 2 and value.shape[-3] != probabilities.shape[-3]:  # grouped queries
            value = value.repeat_interleave(probabilities.shape[-3] // value.shape[-3], -3)
        return probabilities @ value


def _attention_modules(model: nn.Module) -> Iterator[nn.Module]:
    """Yields the modules inside which a softmax is attention, outermost first."""
    modules = bare_modules(model)
    names = [name for name in adapters_of(modules) if not isinstance(modules[name], nn.MultiheadAttention)]
    yield from (modules[name] for name in names)
