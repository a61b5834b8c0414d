"""Builds heads from names, options and class paths."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from cv_attention.alphabet import Alphabet
from cv_attention.blocks.importing import import_object
from cv_attention.heads.catalogue import find_head, text_heads
from cv_attention.heads.recognizer import TextRecognizer
from cv_attention.heads.text_head import TextHead
from cv_attention.suggest import suggest

_GIVEN = ("channels", "outputs", "longest", "grid", "ways")  # follow from the reader and the data


def build(reader: Any, spec: str | Mapping[str, Any], tokens: Alphabet | str, longest: int) -> TextRecognizer:
    """Builds a network that reads texts: a reader and a head.

    Args:
        reader: From images to a `Memory`, with ``channels`` and ``grid``; see `backbones.reader`.
        spec: The head: a name, ``{"name": ..., <options>}``, or ``{"class_path": ..., "init_args": {...}}`` of a
            `TextHead` of your own.
        tokens: The alphabet, or a text of its characters.
        longest: Units of the longest text.

    Returns:
        The network; fresh, but for the weights of the reader.

    Raises:
        ValueError: if the head or an option is unknown, or a value is out of range.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", width=4)
        >>> reader = cva.backbones.reader(model, input_size=(32, 64))
        >>> network = cva.heads.build(reader, {"name": "gru", "width": 16}, tokens="0123456789", longest=5).eval()
        >>> [reading] = network.read(torch.randn(1, 3, 32, 64), beams=3)
        >>> len(reading.text) <= 6, 0 <= reading.confidence <= 1
        (True, True)
    """
    alphabet = tokens if isinstance(tokens, Alphabet) else Alphabet(tokens)
    kind, options, place = _resolved(spec)
    _check_options(kind, options, place)
    head = kind(reader.channels, alphabet.outputs, longest, reader.grid, **options)
    return TextRecognizer(reader, head, alphabet)


def _resolved(spec: Any) -> tuple[type[Any], dict[str, Any], str]:
    """Returns the class of a head, its options, and how messages name it."""
    if isinstance(spec, str):
        spec = {"class_path": spec} if "." in spec else {"name": spec}
    if not isinstance(spec, Mapping):
        raise ValueError(
            f"a head is a name, {{name: ..., <options>}} or {{class_path: ..., init_args: ...}}, got {spec!r}"
        )
    options = dict(spec)
    if "class_path" in options:
        path, given = options.pop("class_path"), options.pop("init_args", None) or {}
        if options:
            raise ValueError(f"head has the key {next(iter(options))!r}; only init_args is allowed next to class_path")
        kind = import_object(path, "head's class_path", "text head", _is_text_head, "my_head.MyHead")
        return kind, dict(given), f"head {path!r}"
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ValueError(f"head needs the key name or class_path, got {dict(spec)!r}")
    entry = find_head(name)
    if entry.family != "decode":
        raise ValueError(f"head {name!r} writes no texts; heads that do are {', '.join(text_heads())}")
    return entry.cls, options, f"head {name!r}"


def _is_text_head(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module) and issubclass(value, TextHead)


def _check_options(kind: type[Any], options: Mapping[str, Any], place: str) -> None:
    """Raises ValueError for an option that the class does not have."""
    known = options_of(kind)
    for option in options:
        if option in _GIVEN:
            raise ValueError(f"{place}: {option} is not an option; it follows from the backbone and the data")
        if option not in known:
            raise ValueError(
                f"{place} has no option {option!r}{suggest(option, known, shown=0) or '.'} Options: {', '.join(known)}"
            )


def check_recall_options(options: Mapping[str, Any]) -> None:
    """Checks that the head ``recall`` has the options of a configuration.

    Args:
        options: Its options by name, without ``name``.

    Raises:
        ValueError: if it does not have one of them; names the closest.

    Examples:
        >>> from cv_attention import heads
        >>> heads.check_recall_options({"memory": "dnc", "slots": 16})
        >>> heads.check_recall_options({"slot": 16})
        Traceback (most recent call last):
            ...
        ValueError: head 'recall' has no option 'slot'; did you mean 'slots'? Options: memory, controller, \
controller_width, slots, width, read_heads, shifts, write, address, strength, features, naming
    """
    _check_options(find_head("recall").cls, options, "head 'recall'")


def options_of(kind: type[Any]) -> list[str]:
    """Returns the names of a head's options.

    Args:
        kind: The class; where it passes ``**options`` on, those of the class that it derives from count too.
    """
    parameters = list(inspect.signature(kind).parameters.values())
    names = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        own = {"cell"}  # what the name of the head says
        names += [name for name in options_of(kind.__mro__[1]) if name not in own]
    return names
