"""Watches attention being computed: the softmax inside a module, or a fused kernel whose softmax nobody sees."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cv_attention.blocks.functional import attention_weights
from cv_attention.maps.grids import find_grid

_SOFTMAX = {torch.softmax, Tensor.softmax, F.softmax}
_CAT = {torch.cat, torch.concat, torch.concatenate}
_SIGMOID = {torch.sigmoid, Tensor.sigmoid, Tensor.sigmoid_, F.hardsigmoid}
_own = threading.local()  # set while a watch computes: another watch around it must not take that for the model's


@dataclass
class WatchedCall:
    """One forward of a module that is looked at.

    Attributes:
        module: The module.
        watch: Who watches.
        given: Its arguments by name.
        output: What it returned.
        attention: Results of softmax and of attention kernels, in order.
        gates: Results of sigmoids, in order.
    """

    module: Any
    watch: "Watch"
    given: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    attention: list[Tensor] = field(default_factory=list)
    gates: list[Tensor] = field(default_factory=list)

    @property
    def input(self) -> Tensor:
        """The first argument."""
        return next(iter(self.given.values()))


class Watch:
    """Sees what softmax, sigmoids and attention kernels give inside the modules that are open, in this thread and task.

    Args:
        detach: Compute what kernels hide without a graph.
    """

    def __init__(self, *, detach: bool) -> None:
        self.detach = detach
        self.thread = threading.get_ident()
        self.calls: list[WatchedCall] = []
        self.grids: dict[tuple[int, int], None] = {}  # of feature maps, the latest last
        self.behind: dict[int, int] = {}  # length of a sequence -> how many of its tokens come behind the grid
        self.images: torch.Size | None = None

    def __enter__(self) -> "Watch":
        """Starts watching what this thread and asyncio task compute."""
        self._token = _open.set((*_open.get(), self))
        _Mode.enter()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops watching."""
        _Mode.leave()
        _open.reset(self._token)

    def here(self) -> bool:
        """Returns whether this thread and asyncio task are watched; not after the end, nor for a copied model."""
        return threading.get_ident() == self.thread and self in _open.get()

    def begin(self, model: nn.Module) -> Callable[..., None]:
        """Returns a hook for the whole model, which notes the size of the images that a forward starts with."""

        def begin(called: nn.Module, args: tuple = (), kwargs: Mapping[str, Any] = MappingProxyType({})) -> None:
            if called is not model:
                drop_hook(called, begin)
            elif self.here():
                given = (*args, *kwargs.values())
                self.images = next((x.shape for x in given if isinstance(x, Tensor) and x.dim() == 4), None)
                if kwargs.get("encoder_outputs") is None:  # a decoder alone still reads what the encoder saw last
                    self.grids.clear()
                    self.behind.clear()

        return begin

    def grid(self, tokens: int) -> tuple[int, int, int] | None:
        """Returns height and width of the grid behind so many tokens, and how many tokens are not of it, or None."""
        return find_grid(tokens, list(reversed(self.grids)), self.images)

    def look(self, func: Callable, args: tuple, kwargs: dict[str, Any], result: Any) -> None:
        """Notes what a function of torch gave."""
        if func is F.conv2d and result.dim() == 4:
            self._note_grid(result.shape[2], result.shape[3])
        elif func in _CAT and result.dim() == 3:
            self._note_sequence(*args, **kwargs)
        elif self.calls:
            if func is F.scaled_dot_product_attention:
                with quietly(self.detach):
                    self.calls[-1].attention.append(_weights(*args, **kwargs))
            elif func in _SOFTMAX:
                self.calls[-1].attention.append(result)
            elif func in _SIGMOID:
                self.calls[-1].gates.append(result)

    def _note_grid(self, height: int, width: int) -> None:
        """Notes the size of a feature map; in an exported graph of any size it is not a number."""
        if not isinstance(height, torch.SymInt) and not isinstance(width, torch.SymInt):
            self.grids.pop((height, width), None)
            self.grids[height, width] = None

    def _note_sequence(self, tensors: Sequence[Tensor], dim: int = 0, **_: Any) -> None:
        """Notes how many tokens are put behind those of a grid, of a sequence (B, N, C) that is joined."""
        lengths = [tensor.shape[1] for tensor in tensors] if dim in (1, -2) else []
        sizes = {height * width for height, width in self.grids}
        for number, length in enumerate(lengths):
            if not isinstance(length, torch.SymInt) and length in sizes:
                self.behind[sum(lengths)] = sum(lengths[number + 1 :])
                return


_open: ContextVar[tuple[Watch, ...]] = ContextVar("watches of this thread and asyncio task", default=())


class _Mode(TorchFunctionMode):
    """Runs functions as they are and shows them to the task's watches: one for each thread, as these may overlap."""

    _here = threading.local()

    @classmethod
    def enter(cls) -> None:
        """Starts the thread's mode, if it does not run yet."""
        cls._here.users = getattr(cls._here, "users", 0) + 1
        if cls._here.users == 1:
            cls._here.mode = cls()
            cls._here.mode.__enter__()

    @classmethod
    def leave(cls) -> None:
        """Ends the thread's mode with its last watch."""
        cls._here.users -= 1
        if cls._here.users == 0:
            cls._here.mode.__exit__(None, None, None)

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs `func` as it is and looks at its result."""
        result = func(*args, **(kwargs or {}))
        if not getattr(_own, "computing", False):
            for watch in _open.get():
                if watch.thread == threading.get_ident():
                    watch.look(func, args, kwargs or {}, result)
        return result


def drop_hook(module: nn.Module, hook: Callable) -> None:
    """Removes a hook from a module that got it as a copy of the one that is watched."""
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for number in [number for number, value in list(hooks.items()) if value is hook]:
            hooks.pop(number, None)


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    """Returns the weights of a call of `scaled_dot_product_attention`, whose arguments these are."""
    return attention_weights(query, key, attn_mask=attn_mask, is_causal=is_causal, **options)


@contextmanager
def quietly(detach: bool) -> Iterator[None]:
    """Own computations that no watch takes for the model's, without a graph if so wanted."""
    before, _own.computing = getattr(_own, "computing", False), True
    try:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not detach):
            yield
    finally:
        _own.computing = before
