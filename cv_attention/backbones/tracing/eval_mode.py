"""Puts a model into eval mode for a while, and every module back into its own mode afterwards."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

_lock = threading.Lock()
# Models in use: how many callers each has now, and the mode of each of its modules before the first of them.
_in_use: WeakKeyDictionary[nn.Module, tuple[int, list[tuple[nn.Module, bool]]]] = WeakKeyDictionary()


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Puts all modules of `model` into eval mode, and each back into its own mode on leaving.

    Eval mode keeps BatchNorm's statistics, dropout's random numbers and the independence of images. Each module's own
    flag is set and restored: `train()` and `eval()` are not called, which models override, and a frozen part that was
    in eval mode stays in it. Several threads, or nested calls, may share a model: the last one to leave restores it.

    Args:
        model: Any module.

    Examples:
        >>> import torch
        >>> from cv_attention.backbones.tracing.eval_mode import eval_mode
        >>> model = torch.nn.Dropout()
        >>> with eval_mode(model), torch.no_grad():
        ...     print(model(torch.ones(3)))
        tensor([1., 1., 1.])
        >>> model.training
        True
    """
    _enter(model)
    try:
        yield
    finally:
        _leave(model)


def _enter(model: nn.Module) -> None:
    with _lock:
        calls, modes = _in_use.get(model, (0, []))
        if calls == 0:
            modes = [(module, module.training) for module in model.modules()]
            for module, training in modes:
                if training:
                    module.training = False
        _in_use[model] = (calls + 1, modes)


def _leave(model: nn.Module) -> None:
    with _lock:
        calls, modes = _in_use.pop(model)
        if calls > 1:
            _in_use[model] = (calls - 1, modes)
            return
        for module, training in modes:
            if module.training != training:
                module.training = training
