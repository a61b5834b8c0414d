"""Computes steps that leave the range of half precision, such as sums of squares, in float32."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call


def widened(x: Tensor) -> Tensor:
    """Returns `x` in float32, or as it is where it is not narrower.

    Args:
        x: A floating tensor of any shape.

    Returns:
        The shape of `x`, in float32 or float64; `x` itself where it has one of these types.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> x = torch.full((3,), 300.0, dtype=torch.float16)
        >>> x.square(), functional.widened(x).square()  # half precision ends at 65,504
        (tensor([inf, inf, inf], dtype=torch.float16), tensor([90000., 90000., 90000.]))
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Keeps autocast from narrowing widened tensors, where it is on for the device of `x`.

    Args:
        x: A tensor on the device in question.

    Returns:
        A context manager; one that does nothing where autocast is off.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> x = torch.ones(2, 2)
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     narrow = x @ x
        ...     with functional.without_autocast(x):
        ...         wide = x @ x
        >>> narrow.dtype, wide.dtype
        (torch.bfloat16, torch.float32)
    """
    kind = x.device.type
    on = kind != "meta" and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()


def run_wide(layer: nn.Module, x: Tensor) -> Tensor:
    """Runs `layer` in the floating type of a widened `x`, whatever type its weights have.

    Args:
        layer: Any module of one tensor; its buffers, such as a batch norm's statistics, are updated.
        x: The input, which `widened` returned.

    Returns:
        What the layer returns, in the type of `x`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> layer = torch.nn.Linear(4, 2, dtype=torch.float16)
        >>> functional.run_wide(layer, torch.ones(1, 4)).dtype, layer.weight.dtype
        (torch.float32, torch.float16)
    """
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
