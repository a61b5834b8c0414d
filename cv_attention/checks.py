"""Checks arguments of public functions."""

from torch import nn


def check_module(model: object) -> None:
    """Raises ValueError unless `model` is a module that has been built."""
    if not isinstance(model, nn.Module):
        got = repr(model) if isinstance(model, str | type) else f"a {type(model).__name__}"
        raise ValueError(f"model must be a torch.nn.Module, built already, got {got}")
