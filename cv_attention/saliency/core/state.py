"""Saves and restores the state of model and process around a saliency method."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.dry_run import buffers_kept, random_state_kept
from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.maps.wrappers import run_eagerly

_SWITCHES = ("grad_checkpointing", "gradient_checkpointing")  # of timm and transformers


class _Shared:
    """A state that several threads need at once: the first to enter makes it, and the last to leave takes it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: WeakKeyDictionary[Any, tuple[int, ExitStack]] = WeakKeyDictionary()

    @contextmanager
    def entered(self, owner: Any, state: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
        """Holds the state of `owner`, such as a model, while the block runs.

        Args:
            owner: Whose state it is; threads with the same owner share it.
            state: Makes the state, as a context.
        """
        with self._lock:
            users, stack = self._users.get(owner, (0, ExitStack()))
            if users == 0:
                stack.enter_context(state())
            self._users[owner] = (users + 1, stack)
        try:
            yield
        finally:
            with self._lock:
                users, stack = self._users.pop(owner)
                if users > 1:
                    self._users[owner] = (users - 1, stack)
                else:
                    stack.close()


_checkpointing, _buffers, _random = _Shared(), _Shared(), _Shared()


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
def _switched_off(model: nn.Module) -> Iterator[None]:
    on = list(_switched_on(model))
    for module, name in on:
        setattr(module, name, False)
    try:
        yield
    finally:
        for module, name in on:
            setattr(module, name, True)


def without_checkpointing(model: nn.Module) -> AbstractContextManager[None]:
    """Switches gradient checkpointing off: layers that run again in the backward pass meet no hooks there."""
    return _checkpointing.entered(model, lambda: _switched_off(model))


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Restores buffers and the random state, which some models change in eval mode, too.

    The first of several threads that share a model saves its buffers, and the last to leave restores them. The random
    state is the process's, so that threads with different models share it, too.
    """
    with (
        _buffers.entered(model, lambda: buffers_kept(model)),
        _random.entered(_random, lambda: random_state_kept(model)),
    ):
        yield


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
