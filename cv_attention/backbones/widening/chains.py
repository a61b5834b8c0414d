"""Finds layers whose output channels belong to one other layer alone, such as those inside residual branches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.dry_run import InputSize, dry_run, untouched

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)
_LAYERS = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Chain:
    """Layers between which a number of channels can be changed, and nothing else of the network changes.

    Attributes:
        first: Name of the convolution or linear layer that makes the channels.
        between: Names of what they pass one by one: norms, activations, depthwise convolutions, gates with weights.
        last: Name of the convolution or linear layer that takes them.
        channels: How many there are.
    """

    first: str
    between: tuple[str, ...]
    last: str
    channels: int


@dataclass
class _Call:
    name: str
    module: nn.Module
    taken: Tensor
    given: Any = None
    end: int = 0


def chains(model: nn.Module, input_size: InputSize | None = None) -> list[Chain]:
    """Finds the chains of a network by one forward pass; whether all of them can be changed is not tried.

    Args:
        model: The network; it stays as it is.
        input_size: Side, (H, W) or (C, H, W) of an image in pixels; by default the model's own.

    Returns:
        The chains, in forward order.
    """
    calls = _calls(model, input_size)
    found = [_chain(number, calls) for number, call in enumerate(calls) if _makes(call.module)]
    counts = {name: [call.name for call in calls].count(name) for name in {call.name for call in calls}}
    return [chain for chain in found if chain and counts[chain.first] == counts[chain.last] == 1]


def _calls(model: nn.Module, input_size: InputSize | None) -> list[_Call]:
    calls: list[_Call] = []
    open_calls: list[_Call] = []

    def before(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        taken = next((each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)), None)
        call = _Call(name, module, torch.empty(0) if taken is None else taken)
        calls.append(call)
        open_calls.append(call)

    def after(module: nn.Module, args: Any, output: Any) -> None:
        call = open_calls.pop()
        call.given, call.end = output, len(calls)

    run = dry_run(model, input_size, None)
    args, kwargs = run.inputs.arguments()
    with untouched(model):
        handles: list[Any] = []
        for name, module in model.named_modules():
            if name:
                handles.append(
                    module.register_forward_pre_hook(
                        lambda m, a, k, name=name: before(name, m, a, k), with_kwargs=True, prepend=True
                    )
                )
                handles.append(module.register_forward_hook(after))
        try:
            output = model(*args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
    return [call for call in calls if not (isinstance(call.module, _LAYERS) and call.given is output)]


def _makes(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)


def _chain(start: int, calls: list[_Call]) -> Chain | None:
    """Follows the output of one layer from module to module, by the identity of the tensors."""
    first, current = calls[start], calls[start].given
    channels = _out(first.module)
    between: list[str] = []
    number = start + 1
    while number < len(calls):
        call = calls[number]
        if call.taken is not current:
            number += 1
            continue
        if _makes(call.module):
            takes = call.module.in_channels if isinstance(call.module, nn.Conv2d) else call.module.in_features
            again = [other for other in calls[number + 1 :] if other.taken is current]
            return Chain(first.name, tuple(between), call.name, channels) if takes == channels and not again else None
        if _passes(call.module, channels):
            between += [call.name] if any(True for _ in call.module.parameters(recurse=False)) else []
            current, number = call.given, _after(call, calls, number + 1)
            continue
        inside = [other for other in _inside(call, calls, number) if other.taken is current]
        if not inside and _gates(call, channels):
            between.append(call.name)
            current, number = call.given, _after(call, calls, number + 1)
            continue
        if not inside:
            return None
        number += 1
    return None


def _after(call: _Call, calls: list[_Call], number: int) -> int:
    """Returns the number of the first call that begins after another one has ended."""
    inner = set(map(id, _inside(call, calls, number - 1)))
    while number < len(calls) and id(calls[number]) in inner:
        number += 1
    return number


def _inside(call: _Call, calls: list[_Call], number: int) -> list[_Call]:
    prefix = f"{call.name}."
    found = []
    for other in calls[number + 1 :]:
        if not other.name.startswith(prefix):
            break
        found.append(other)
    return found


def _passes(module: nn.Module, channels: int) -> bool:
    """Returns whether a module handles every channel by itself, and can be given more of them."""
    if isinstance(module, nn.Conv2d):
        return module.groups == module.in_channels == module.out_channels == channels
    if isinstance(module, nn.LayerNorm):
        return tuple(module.normalized_shape) == (channels,)
    if isinstance(module, nn.GroupNorm):
        return False
    if isinstance(module, _NORMS):
        return bool(module.num_features == channels)
    own = list(module.parameters(recurse=False))
    leaf = next(module.children(), None) is None
    return leaf and all(parameter.numel() == channels for parameter in own)


def _gates(call: _Call, channels: int) -> bool:
    """Returns whether a module with layers inside gives back what it takes, channel by channel, as SE does."""
    if not isinstance(call.given, Tensor) or call.given.shape != call.taken.shape:
        return False
    layers = [module for module in call.module.modules() if isinstance(module, _LAYERS)]
    return bool(layers) and _in(layers[0]) == channels == _out(layers[-1])


def _out(module: Any) -> int:
    return module.out_channels if isinstance(module, nn.Conv2d) else module.out_features


def _in(module: Any) -> int:
    return module.in_channels if isinstance(module, nn.Conv2d) else module.in_features


def layers_of(module: nn.Module) -> Iterator[nn.Module]:
    """Yields the convolutions and linear layers of a module, in their order."""
    yield from (each for each in module.modules() if isinstance(each, _LAYERS))
