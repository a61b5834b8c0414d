"""Sees every function that a model calls, as gradients times inputs are bent by relevance propagation and DeepLIFT."""

from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_SPEAKERS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
_PYTHON = ("torch.nn.functional", "torch.functional")  # those with a closure are pools, which need no rule
IN_TURN = {"__getitem__", "__iter__", "chunk", "split", "tensor_split", "unbind"}


class Functions(TorchFunctionMode):
    """Calls a rule in place of each torch function that has one, in this thread.

    Parameters of the model are constants: they enter no graph. Functions of torch that are written in Python are
    opened, so that the functions inside are seen. A class below it fills `rules`, from a function's name to what is
    called with (function, *arguments) if one of the arguments depends on the images.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[str, Callable[..., Any]] = {}

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled() or not any(map(depends, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        args = tuple(map(_constant, args))
        kwargs = {name: _constant(value) for name, value in kwargs.items()}
        if not any(map(depends, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        if in_place(func) and isinstance(args[0], Tensor):
            self.before_write(args[0])
        if isinstance(func, FunctionType) and func.__module__ in _PYTHON and func.__closure__ is None:
            with self:
                return _opened(func)(*args, **kwargs)
        rule = self.rules.get(getattr(func, "__name__", ""))
        return func(*args, **kwargs) if rule is None else rule(func, *args, **kwargs)

    def before_write(self, x: Tensor) -> None:
        """Is called before a function changes a tensor."""


class Through(nn.Module):
    """Runs a model in a mode; its class has the model's name, for messages."""

    def __new__(cls, model: nn.Module, *_: Any) -> "Through":
        """Returns an instance of a class that is called like the model's."""
        return super().__new__(type(type(model).__name__, (cls,), {}))  # pyright: ignore[reportArgumentType]

    def __init__(self, model: nn.Module, mode: TorchFunctionMode) -> None:
        super().__init__()
        self.model, self.mode = model, mode

    def forward(self, images: Tensor) -> Any:
        """Returns the model's output."""
        with self.mode:
            return self.model(images)


def depends(value: Any) -> bool:
    """Returns whether an argument requires gradients, also as one of a list."""
    if isinstance(value, Tensor):
        return value.requires_grad
    return isinstance(value, list | tuple) and any(isinstance(one, Tensor) and one.requires_grad for one in value)


def _constant(value: Any) -> Any:
    if isinstance(value, nn.Parameter):
        return value.detach()
    if isinstance(value, list | tuple) and any(isinstance(one, nn.Parameter) for one in value):
        return type(value)([_constant(one) for one in value])
    return value


@cache
def _opened(function: FunctionType) -> FunctionType:
    """Returns a copy of a function that does its work, instead of handing itself to the mode again."""
    mute = dict.fromkeys(_SPEAKERS, lambda *_: False)
    names = {**function.__globals__, **mute}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def names(*stems: str) -> list[str]:
    """Returns the names under which torch knows operators: ``add`` is also ``add_``, ``__add__`` and ``__iadd__``."""
    return [name for stem in stems for name in (stem, f"{stem}_", f"__{stem}__", f"__i{stem}__", f"__r{stem}__")]


def in_place(function: Callable) -> bool:
    """Returns whether a function changes its first argument."""
    name = getattr(function, "__name__", "")
    return name.startswith("__i") or name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
