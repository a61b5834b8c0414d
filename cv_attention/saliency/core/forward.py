"""Runs models with the further arguments that a method was given, cut to the images of each pass."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import TypeAliasType

# What a model takes besides the images. Tensors with an entry for each image are cut and repeated as the images are.
ForwardArgs = TypeAliasType("ForwardArgs", Sequence[Any])
ForwardKwargs = TypeAliasType("ForwardKwargs", Mapping[str, Any] | None)


@dataclass(frozen=True)
class Further:
    """Holds the further arguments of a model for a batch of `batch` images."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    batch: int

    def of(self, part: slice) -> "Further":
        """Returns the arguments of the images in `part`."""
        batch = len(range(self.batch)[part])
        args, kwargs = (
            _each(self.args, lambda t: t[part], self.batch),
            _each(self.kwargs, lambda t: t[part], self.batch),
        )
        return Further(args, kwargs, batch)

    def copied(self) -> "Further":
        """Returns the arguments with copies of all tensors in them."""
        return Further(copies(self.args), copies(self.kwargs), self.batch)

    def repeated(self, times: int) -> "Further":
        """Returns the arguments of the whole batch several times, one after the other."""

        def repeat(values: Tensor) -> Tensor:
            return values.repeat(times, *[1] * (values.dim() - 1))

        return Further(_each(self.args, repeat, self.batch), _each(self.kwargs, repeat, self.batch), self.batch * times)


_further: ContextVar[Further | None] = ContextVar("further arguments of the model", default=None)


@contextmanager
def further(args: ForwardArgs, kwargs: ForwardKwargs, batch: int) -> Iterator[None]:
    """Gives the model further arguments in every pass meanwhile, see `run`.

    Args:
        args: Positional arguments behind the images.
        kwargs: Arguments by name.
        batch: Number of images that they are for.

    Raises:
        ValueError: if they are not a sequence, and a mapping with names.
    """
    if isinstance(args, Tensor | str) or not isinstance(args, Sequence):
        raise ValueError(f"forward_args must be a tuple or list, such as (question,), got {type(args).__name__}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise ValueError(f"forward_kwargs must be a dict from names to values, got {type(kwargs).__name__}")
    if not args and not kwargs:
        yield
        return
    token = _further.set(Further(tuple(args), dict(kwargs or {}), batch))
    try:
        yield
    finally:
        _further.reset(token)


@contextmanager
def only(part: slice) -> Iterator[None]:
    """Restricts the further arguments to those of the images in `part`."""
    given = _further.get()
    token = _further.set(None if given is None else given.of(part))
    try:
        yield
    finally:
        _further.reset(token)


def run(model: Any, images: Tensor, part: slice | None = None) -> Any:
    """Runs `model` on images, or on several copies of the batch one after the other, with its further arguments.

    The model gets copies of them, which it may change: some normalise images in place.

    Args:
        model: The model.
        images: Images of the batch, or of `part` of it, once or several times.
        part: Which images of the batch they are; None for all.

    Raises:
        ValueError: if the further arguments are for another number of images.
    """
    given = _further.get()
    if given is None:
        return model(images.clone())
    if part is not None:
        given = given.of(part)
    times, rest = divmod(len(images), given.batch)
    if rest or not times:
        raise ValueError(f"the further arguments are for {given.batch} images, but the model runs on {len(images)}")
    if times > 1:
        given = given.repeated(times)
    given = given.copied()
    return model(images.clone(), *given.args, **given.kwargs)


def copies(value: Any) -> Any:
    """Returns a value with copies of all tensors in it, which a model may change."""
    return _each(value, Tensor.clone, None)


def _each(value: Any, change: Any, batch: int | None) -> Any:
    """Changes every tensor with an entry for each image, or all if `batch` is None, in tuples, lists and dicts, too."""
    if isinstance(value, Tensor):
        if batch is not None and (not value.dim() or len(value) != batch):
            return value
        return change(value.clone() if value.is_inference() and torch.is_grad_enabled() else value)
    if isinstance(value, Mapping):
        return {key: _each(one, change, batch) for key, one in value.items()}
    if isinstance(value, list):
        return [_each(one, change, batch) for one in value]
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(_each(one, change, batch) for one in value)
    return value
