"""Saves and restores the state of model and process around a saliency method."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.dry_run import buffers_kept, random_state_kept
from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.maps.wrappers import run_eagerly

_lock = threading.Lock()
# Models in use: how many callers each has now, and the switches of checkpointing that were on before the first.
_checkpointed: WeakKeyDictionary[nn.Module, tuple[int, list[tuple[nn.Module, str]]]] = WeakKeyDictionary()
_SWITCHES = ("grad_checkpointing", "gradient_checkpointing")  # of timm and transformers
# Models in use: how many callers each has now, and what the first saved.
_saved: WeakKeyDictionary[nn.Module, tuple[int, ExitStack]] = WeakKeyDictionary()


def _each_module(model: nn.Module) -> Iterator[nn.Module]:
    """Yields every module once, in no order; faster than ``modules()``."""
    waiting: list[nn.Module | None] = [model]
    seen = set()
    while waiting:
        module = waiting.pop()
        if module is None or id(module) in seen:
            continue
        seen.add(id(module))
        waiting += module.__dict__["_modules"].values()
        yield module


def _switched_on(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yields the modules whose checkpointing is on, and the names of their switches."""
    for module in _each_module(model):
        own = module.__dict__
        for name in _SWITCHES:
            if own.get(name) is True:
                yield module, name


@contextmanager
def without_checkpointing(model: nn.Module) -> Iterator[None]:
    """Switches gradient checkpointing off: layers that run again in the backward pass meet no hooks there."""
    with _lock:
        calls, on = _checkpointed.get(model, (0, []))
        if calls == 0:
            on = list(_switched_on(model))
            for module, name in on:
                setattr(module, name, False)
        _checkpointed[model] = (calls + 1, on)
    try:
        yield
    finally:
        with _lock:
            calls, on = _checkpointed.pop(model)
            if calls > 1:
                _checkpointed[model] = (calls - 1, on)
            else:
                for module, name in on:
                    setattr(module, name, True)


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Restores buffers and the random state, which some models change in eval mode, too.

    The first of several threads that share a model saves them, and the last to leave restores them.
    """
    with _lock:
        calls, stack = _saved.get(model, (0, ExitStack()))
        if calls == 0:
            stack.enter_context(buffers_kept(model))
            stack.enter_context(random_state_kept(model))
        _saved[model] = (calls + 1, stack)
    try:
        yield
    finally:
        with _lock:
            calls, stack = _saved.pop(model)
            if calls > 1:
                _saved[model] = (calls - 1, stack)
            else:
                stack.close()


@contextmanager
def undisturbed(model: nn.Module, device_type: str) -> Iterator[None]:
    """Runs `model` as for prediction, whatever the caller's modes: in eval mode, uncompiled, outside inference mode.

    Every module's mode, buffers and the random state are restored once the last of several threads that share the model
    has finished.
    """
    try:
        with (
            eval_mode(model),
            without_checkpointing(model),
            run_eagerly(),
            torch.inference_mode(False),
            torch.no_grad(),
            kept(model),
        ):
            yield
    finally:
        if torch.is_autocast_enabled(device_type):
            # Autocast weights cached without gradients must not be reused in the caller's next training step, as
            # happens in some versions of torch.
            torch.clear_autocast_cache()


@contextmanager
def undisturbed_by_others(model: object, images: Tensor) -> Iterator[None]:
    """Runs somebody else's saliency method: as `undisturbed`, with gradients on, which parameters do not keep."""
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    gradients = [parameter.grad for parameter in parameters]
    with ExitStack() as stack:
        if isinstance(model, nn.Module):
            stack.enter_context(undisturbed(model, images.device.type))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for parameter in parameters:
            parameter.grad = None
        try:
            yield
        finally:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
