"""Gives modules with blocks a class of their own, so that fusion by exact class (torch.fx) leaves them alone."""

from functools import cache
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized


class _Attended:
    """Marks the classes made here."""


@cache
def _attended(base: type[nn.Module]) -> type[nn.Module]:
    """Makes a subclass that differs from `base` in nothing but being another class."""

    def reduce(self: Any, protocol: Any) -> Any:
        function, arguments, *rest = super(made, self).__reduce_ex__(protocol)
        if type(self) is made:  # it has no name under which pickle could find it
            return _new, (base,), *rest
        return function, arguments, *rest

    words = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    made: Any = type(base.__name__, (base, _Attended), {**words, "__reduce_ex__": reduce})
    return made


def _new(base: type[nn.Module]) -> nn.Module:
    made = _attended(base)
    return made.__new__(made)


def set_apart(module: nn.Module) -> None:
    """Gives a layer of torch, whose exact class others look for, a class of its own with the same name.

    Other modules keep theirs: FSDP2 and parametrizations change classes too, and nobody looks for those.
    """
    base = type(module)
    if base.__module__.startswith("torch.nn.modules.") and not issubclass(base, _Attended):
        module.__class__ = _attended(base)


def put_back(module: nn.Module) -> None:
    """Undoes `set_apart`, also below a parametrization; not where another tool has changed the class since."""
    kind = type(module)
    if _made(kind):
        module.__class__ = kind.__bases__[0]
    elif is_parametrized(module) and _made(kind.__bases__[0]):  # a class of this module alone
        kind.__bases__ = kind.__bases__[0].__bases__[:1]


def _made(kind: type) -> bool:
    return len(kind.__bases__) == 2 and kind.__bases__[1] is _Attended
