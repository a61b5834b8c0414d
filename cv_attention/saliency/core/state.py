"""Saves and restores the state of model and process around a saliency method."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import nn

from cv_attention.maps.wrappers import run_eagerly

_lock = threading.Lock()
# Models in use: the number of calls running on each, and the modules that were in train mode before the first.
_in_use: WeakKeyDictionary[nn.Module, tuple[int, list[nn.Module]]] = WeakKeyDictionary()


@contextmanager
def undisturbed(model: nn.Module, device_type: str) -> Iterator[None]:
    """Runs `model` as for prediction, whatever the caller's modes: in eval mode, uncompiled, outside inference mode.

    Eval mode freezes BatchNorm statistics, disables dropout and keeps images independent. Every module's
    mode is restored once the last of several threads that share the model has finished.
    """
    _enter_eval(model)
    try:
        with run_eagerly(), torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        _leave_eval(model)
        if torch.is_autocast_enabled(device_type):
            # Autocast weights cached without gradients must not be reused in the caller's next training step, as
            # happens in some versions of torch.
            torch.clear_autocast_cache()


def _enter_eval(model: nn.Module) -> None:
    with _lock:
        calls, trained = _in_use.get(model, (0, []))
        if calls == 0:
            trained = [module for module in model.modules() if module.training]
            for module in trained:
                module.training = False
        _in_use[model] = (calls + 1, trained)


def _leave_eval(model: nn.Module) -> None:
    with _lock:
        calls, trained = _in_use.pop(model)
        if calls > 1:
            _in_use[model] = (calls - 1, trained)
        else:
            for module in trained:
                module.training = True
