"""Builds a network of your own from its class path."""

import inspect
from typing import Any

from torch import nn

from cv_attention.blocks.importing import import_object
from cv_attention.suggest import suggest


def build_class(name: str, path: str, num_classes: int, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    """Imports a class of networks and makes one, ``MyNet(num_classes=..., **options)``.

    Args:
        name: What the configuration calls it, for messages.
        path: Its class path.
        num_classes: Number of logits.
        pretrained: Refused: a network of your own loads its weights from a file, ``model.weights``.
        options: Further arguments of the constructor.

    Raises:
        ValueError: if the class cannot be imported, is not a module, or does not take these arguments.
    """
    kind = import_object(path, "backbone", "network", _is_network, "my_net.MyNet")
    if pretrained:
        raise ValueError(f"there are no pretrained weights of {name!r}; give a file as model.weights")
    parameters = inspect.signature(kind).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        if "num_classes" not in parameters:
            raise ValueError(f"backbone {name!r} must take num_classes, the number of logits")
        for option in options:
            if option not in parameters:
                raise ValueError(f"backbone {name!r} has no option {option!r}{suggest(option, sorted(parameters))}")
    try:
        return kind(num_classes=num_classes, **options)
    except Exception as error:  # of somebody else's class
        kind_of = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"backbone {name!r} cannot be built with the options {options}: {kind_of}{error}") from error


def _is_network(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module)
