"""Computes steps that leave the range of half precision, such as sums of squares, in float32."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call


def widened(x: Tensor) -> Tensor:
    """Returns `x` in float32, or as it is where it is not narrower."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Keeps autocast, where it is on for the device of `x`, from narrowing what was widened."""
    kind = x.device.type
    on = kind != "meta" and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()


def run_wide(layer: nn.Module, x: Tensor) -> Tensor:
    """Runs `layer` on a widened `x`, whatever type its weights have."""
    if all(p.dtype == x.dtype for p in layer.parameters()):
        return layer(x)
    tensors = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    state = {name: t.to(x.dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    y = functional_call(layer, state, (x,))
    if layer.training:
        with torch.no_grad():
            for name, buffer in layer.named_buffers():
                buffer.copy_(state[name])
    return y
