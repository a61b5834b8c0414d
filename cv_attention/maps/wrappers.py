"""Models inside wrappers: their modules by the names that the bare model gives them, run where hooks can see."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

_INNER = ("_orig_mod", "_forward_module")  # where torch.compile and Lightning's Fabric keep the module
# What torch.compile, FSDP and activation checkpointing put into the names of modules.
_WRAPPER_PARTS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}


def unwrap(model: nn.Module) -> nn.Module:
    """Returns the module inside ``torch.compile``, (Distributed)DataParallel, ``AveragedModel`` and Fabric."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel | AveragedModel):
            model = model.module
            continue
        inside = [inner for name in _INNER if isinstance(inner := getattr(model, name, None), nn.Module)]
        if not inside:
            return model
        model = inside[0]


def bare_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Returns every module by its name in the bare model, without what wrappers add; the root is ``""``.

    Each module comes once, under its first name, with the wrapped module in place of a wrapper of the same name.
    """
    modules = {}
    for name, module in unwrap(model).named_modules():
        modules[".".join(part for part in name.split(".") if part not in _WRAPPER_PARTS)] = module
    return modules


_lock = threading.Lock()
_eager_users = 0
_eager_stance = None


@contextmanager
def run_eagerly() -> Iterator[None]:
    """Runs compiled code uncompiled meanwhile: a compiled graph does not call hooks that came after it.

    The compiler's stance belongs to the process, so other threads' compiled models run uncompiled meanwhile, too.
    The first to come sets it and the last to go restores it, in whatever order they end.
    """
    global _eager_users, _eager_stance
    if "torch._dynamo" not in sys.modules:  # nothing was compiled; importing the compiler takes seconds
        yield
        return
    with _lock:
        if _eager_users == 0:
            _eager_stance = torch.compiler.set_stance("force_eager")
            _eager_stance.__enter__()
        _eager_users += 1
    try:
        yield
    finally:
        with _lock:
            _eager_users -= 1
            if _eager_users == 0 and _eager_stance is not None:
                _eager_stance.__exit__(None, None, None)
                _eager_stance = None
