"""Gives layers other numbers of channels, and stages more residual blocks."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from cv_attention.backbones.tracing.dry_run import InputSize, dry_run, untouched
from cv_attention.backbones.widening.chains import Chain, chains, layers_of
from cv_attention.suggest import suggest

LARGEST = 65_536  # channels: more fill the memory before anything is reported


def widths(model: nn.Module, input_size: InputSize | None = None) -> dict[str, int]:
    """Returns the layers whose channels can be changed without changing anything else of a network.

    Those are the channels between two convolutions, or two linear layers, of one residual branch: they belong to nobody
    else. In a ResNet that is the inside of a block, in an inverted residual the expansion, in ConvNeXt and ViTs the
    width of the MLP.

    Args:
        model: The network; it stays as it is.
        input_size: Side, (H, W) or (C, H, W) of an image in pixels; by default the model's own.

    Returns:
        Name of the layer that makes the channels -> how many there are, in forward order.

    Examples:
        >>> import cv_attention as cva
        >>> from cv_attention.backbones import widths
        >>> found = widths(cva.backbones.build("resnet20"))
        >>> len(found), found["layer1.0.conv1"], found["layer3.2.conv1"]
        (9, 16, 64)
    """
    return {chain.first: chain.channels for chain in changeable(model, input_size)}


def widen(model: nn.Module, to: Mapping[str, int], input_size: InputSize | None = None, *, kept: bool = False) -> None:
    """Gives layers of a network other numbers of channels, in place.

    Weights that stay keep their values. New ones are drawn with the spread of those of their layer.

    Args:
        model: The network.
        to: Name of a layer, one of `widths` -> its number of channels.
        input_size: Side, (H, W) or (C, H, W) of an image in pixels; by default the model's own.
        kept: Whether new channels start without effect, so that the output of a network that has learned stays the
            same.

    Raises:
        ValueError: if there is no such layer, or a number is out of its range.

    Examples:
        >>> import cv_attention as cva
        >>> network = cva.backbones.build("resnet20")
        >>> cva.backbones.widen(network, {"layer1.0.conv1": 20})
        >>> network.layer1[0].conv1.out_channels, network.layer1[0].conv2.in_channels
        (20, 20)
    """
    found = {chain.first: chain for chain in changeable(model, input_size)}
    for name, width in to.items():
        if name not in found:
            raise ValueError(f"widths: {name!r} is not a layer whose channels can be changed{suggest(name, found)}")
        if type(width) is not int or not 1 <= width <= LARGEST:
            raise ValueError(f"widths: {name} must be a whole number in [1, {LARGEST}], got {width!r}")
    for name, width in to.items():
        resize(model, found[name], width, kept=kept)


def deepen(model: nn.Module, to: Mapping[str, int], input_size: InputSize | None = None) -> None:
    """Adds residual blocks at the end of stages of a network, in place: copies of the last one, with new weights.

    Args:
        model: The network.
        to: Name of a stage, an ``nn.Sequential`` -> how many blocks it gets.
        input_size: Side, (H, W) or (C, H, W) of an image in pixels; by default the model's own.

    Raises:
        ValueError: if there is no such stage, or its last block cannot be repeated.

    Examples:
        >>> import cv_attention as cva
        >>> network = cva.backbones.build("resnet20")
        >>> cva.backbones.deepen(network, {"layer3": 1})
        >>> len(network.layer3)
        4
    """
    stages = {name: module for name, module in model.named_modules() if name and isinstance(module, nn.Sequential)}
    for name, count in to.items():
        if name not in stages:
            raise ValueError(f"extra_blocks: {name!r} is not a stage of the network{suggest(name, stages)}")
        if type(count) is not int or not 1 <= count <= 1000:
            raise ValueError(f"extra_blocks: {name} must be a whole number in [1, 1000], got {count!r}")
        for _ in range(count):
            stages[name].append(_redrawn(copy.deepcopy(stages[name][-1])))
    try:
        dry_run(model, input_size, None)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"extra_blocks: the last block of {', '.join(to)} cannot be repeated: {' '.join(str(error).split())[:200]}"
        ) from error


def changeable(model: nn.Module, input_size: InputSize | None) -> list[Chain]:
    """Returns the chains that can be changed: a network with one more channel in each of them still runs.

    Args:
        model: The network; it stays as it is.
        input_size: Side, (H, W) or (C, H, W) of an image in pixels; by default the model's own.
    """
    found = chains(model, input_size)
    if not found:
        return []
    args, kwargs = dry_run(model, input_size, None).inputs.arguments()
    light = _moved(copy.deepcopy(model), "meta")
    trial = (light, *(tree_map(lambda each: _moved(each, "meta"), each) for each in (args, kwargs)))
    if (expected := _shape(*trial)) is None:  # something in it needs values
        trial = (model, args, kwargs)
        expected = _shape(*trial)
    return _those_that_run(found, trial, expected)


def _moved(value: Any, device: str) -> Any:
    return value.to(device) if isinstance(value, Tensor | nn.Module) else value


def _those_that_run(found: list[Chain], trial: tuple[nn.Module, Any, Any], expected: Any) -> list[Chain]:
    """Tries all together, and halves where they do not run."""
    model, args, kwargs = trial
    grown = copy.deepcopy(model)
    try:
        for chain in found:
            resize(grown, chain, chain.channels + 1, kept=False)
        if _shape(grown, args, kwargs) == expected is not None:
            return found
    except (ValueError, RuntimeError, AttributeError):
        pass
    if len(found) == 1:
        return []
    half = len(found) // 2
    return [*_those_that_run(found[:half], trial, expected), *_those_that_run(found[half:], trial, expected)]


def _shape(model: nn.Module, args: Any, kwargs: Any) -> Any:
    """Returns the shape of the output, or None if the forward pass fails."""
    try:
        with untouched(model):
            return getattr(model(*args, **kwargs), "shape", None)
    except (ValueError, RuntimeError, TypeError, IndexError, NotImplementedError, AssertionError):
        return None


def resize(model: nn.Module, chain: Chain, width: int, *, kept: bool) -> None:
    """Gives one chain of a network another number of channels, in place.

    Args:
        model: The network.
        chain: The chain.
        width: Its number of channels.
        kept: Whether new channels start without effect.
    """
    first, last = model.get_submodule(chain.first), model.get_submodule(chain.last)
    _along(first, 0, chain.channels, width)
    _named(first, ("out_channels", "out_features"), width)
    for name in chain.between:
        module = model.get_submodule(name)
        inner = list(layers_of(module))
        if inner and not isinstance(module, nn.Conv2d):  # a gate
            _along(inner[0], 1, chain.channels, width, zeros=kept)  # it sees all channels
            _named(inner[0], ("in_channels", "in_features"), width)
            _along(inner[-1], 0, chain.channels, width)
            _named(inner[-1], ("out_channels", "out_features"), width)
            continue
        _along(module, 0, chain.channels, width)
        names = ("in_channels", "out_channels", "groups", "num_features", "num_channels", "dim")
        _named(module, names, width, only=chain.channels)
        if isinstance(module, nn.LayerNorm):
            module.normalized_shape = (width,)
    _along(last, 1, chain.channels, width, zeros=kept)
    _named(last, ("in_channels", "in_features"), width)


def _named(module: Any, names: tuple[str, ...], width: int, only: int | None = None) -> None:
    for name in names:
        if isinstance(getattr(module, name, None), int) and only in (None, getattr(module, name)):
            setattr(module, name, width)


def _along(module: nn.Module, axis: int, channels: int, width: int, *, zeros: bool = False) -> None:
    """Resizes all tensors of a layer along one axis."""
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        alone = axis == 0 and tensor.numel() == channels  # (1, 1, 1, C) of some norms
        sized = list(tensor.shape).index(channels) if alone and channels in tensor.shape else axis
        if tensor.ndim <= sized or tensor.shape[sized] != channels:
            continue
        grown = _grown(tensor.detach(), sized, width, zeros=zeros)
        if isinstance(tensor, nn.Parameter):
            setattr(module, name, nn.Parameter(grown, requires_grad=tensor.requires_grad))
        else:
            setattr(module, name, grown)


def _grown(tensor: Tensor, axis: int, width: int, *, zeros: bool) -> Tensor:
    extra = width - tensor.shape[axis]
    if extra <= 0:
        return tensor.narrow(axis, 0, width).clone()
    shape = [*tensor.shape[:axis], extra, *tensor.shape[axis + 1 :]]
    if zeros:
        added = tensor.new_zeros(shape)
    elif tensor.numel() == tensor.shape[axis]:  # one number per channel: a scale, a bias, a statistic
        added = tensor.mean(dtype=torch.float64).to(tensor.dtype).expand(shape)
    else:
        with torch.random.fork_rng(devices=[]):  # what is drawn later stays that of the network as it was
            added = torch.randn(shape).to(tensor) * tensor.std()
    return torch.cat([tensor, added], axis)


def _redrawn(block: nn.Module) -> nn.Module:
    """Draws new weights, with the spread of each layer's; scales, biases and statistics stay."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for parameter in block.parameters():
            if parameter.ndim > 1 and parameter.numel() > max(parameter.shape):
                parameter.copy_(torch.randn(parameter.shape).to(parameter) * parameter.std())
    return block
