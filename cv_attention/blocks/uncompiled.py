"""Defines `uncompiled`, for methods that the compiler must not look into."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import torch

P = ParamSpec("P")
R = TypeVar("R")


def uncompiled(function: Callable[P, R]) -> Callable[P, R]:
    """Like `torch.compiler.disable`, which imports the compiler, for seconds, where the function is defined."""
    disabled: list[Callable[P, R]] = []

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        if "torch._dynamo" not in sys.modules:  # so nothing is being compiled
            return function(*arguments, **options)
        if not disabled:
            disabled.append(cast(Callable[P, R], torch.compiler.disable(function)))
        return disabled[0](*arguments, **options)

    call._torchdynamo_disable = True  # pyright: ignore[reportAttributeAccessIssue]  # read by the compiler
    return call
