"""Decides what kind of head a configuration names, and where a head that pools goes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cv_attention.blocks import CATALOGUE
from cv_attention.config import BlockSpec, HeadSpec
from cv_attention.heads.catalogue import HEADS
from cv_attention.suggest import suggest

Family = Literal["pool", "decode", "recall"]

PAY_ATTENTION = "pay_attention"
_POOL = "pool"
_GLOBS = "; globs over the names of modules are model.head_modules"


def pooling_names() -> list[str]:
    """Lists the heads that pool to one vector: one feature map, or with ``pay_attention`` those of several depths.

    Returns:
        Their names, the blocks in the catalogue's order.

    Examples:
        >>> from cv_attention import heads
        >>> heads.pooling_names()[:3]
        ['additive', 'luong', 'local']
    """
    return [*(entry.name for entry in CATALOGUE.values() if entry.family == "pooling"), PAY_ATTENTION]


def options_of_pay_attention(head: HeadSpec) -> dict[str, Any] | None:
    """Returns the options of a head that reads several depths; None where the head is none or another.

    Args:
        head: The head of a configuration.

    Returns:
        The options: ``depths`` (how many last stages are read, 3 by default), ``at`` (names of modules in their place)
        and ``score``.

    Raises:
        ValueError: if it has another option.

    Examples:
        >>> from cv_attention import heads
        >>> heads.options_of_pay_attention({"name": "pay_attention", "score": "dp"})
        {'depths': 3, 'at': None, 'score': 'dp'}
    """
    if head != PAY_ATTENTION and not (isinstance(head, Mapping) and head.get("name") == PAY_ATTENTION):
        return None
    given = {name: value for name, value in head.items() if name != "name"} if isinstance(head, Mapping) else {}
    known = {"depths": 3, "at": None, "score": "pc"}
    for name in given:
        if name not in known:
            raise ValueError(f"model.head: {PAY_ATTENTION} has no option {name!r}{suggest(name, list(known))}")
    depths = given.get("depths", 1)
    if not isinstance(depths, int) or isinstance(depths, bool) or depths < 1:
        raise ValueError(f"model.head: depths must be a positive whole number, got depths={depths!r}")
    return {**known, **given}


def family_of(head: HeadSpec) -> Family:
    """Says what a head makes of a feature map: one vector, a text, or names of a sequence of images.

    Args:
        head: A name, ``{name: ..., <options>}`` or ``{class_path: ..., init_args: ...}``; a class path is a pooling.

    Returns:
        ``pool``, ``decode`` or ``recall``.

    Raises:
        ValueError: if it is none of these forms, or the name is unknown.

    Examples:
        >>> from cv_attention import heads
        >>> heads.family_of({"name": "hard", "estimator": "reinforce"}), heads.family_of("gru")
        ('pool', 'decode')
        >>> heads.family_of("aditive")
        Traceback (most recent call last):
            ...
        ValueError: model.head: unknown head 'aditive'; did you mean 'additive'?
    """
    name = head.get("name") if isinstance(head, Mapping) else head
    if isinstance(head, Mapping) and "class_path" in head:
        return "pool"
    if not isinstance(name, str):
        raise ValueError(
            "model.head is a name, {name: ..., <options>} or {class_path: ..., init_args: ...}, "
            f"got {head!r}{_GLOBS}"
        )
    if "." in name or name in pooling_names():
        return "pool"
    if name in HEADS:
        return HEADS[name].family
    if name in CATALOGUE:
        raise ValueError(
            f"model.head: {name} is a block within the network, not a head: give it as model.block; heads that pool "
            f"are {', '.join(pooling_names())}"
        )
    near = suggest(name, [*pooling_names(), *HEADS], shown=20)
    raise ValueError(f"model.head: unknown head {name!r}{near}{_GLOBS if '*' in name else ''}")


def placed(block: BlockSpec, at: str | Sequence[str], head: HeadSpec) -> list[tuple[Any, Any]]:
    """Returns the blocks of a classifier with their positions: those within the network, and the head that pools.

    Args:
        block: The block, ``{position: block}``, or None.
        at: The block's position, or several.
        head: The head, or None.

    Returns:
        Pairs of a block and its positions, as `cv_attention.insert` takes them; the head's position is ``pool``.
        ``pay_attention`` is not among them, since it has no single position.

    Raises:
        ValueError: if the head does not pool or is unknown, or a block is at ``pool`` too.

    Examples:
        >>> from cv_attention import heads
        >>> heads.placed("se", "residual", {"name": "additive", "heads": 4})
        [('se', 'residual'), ({'name': 'additive', 'heads': 4}, 'pool')]
    """
    pairs: list[tuple[Any, Any]] = []
    if isinstance(block, Mapping) and not {"name", "class_path"} & set(block):
        pairs += [(spec, where) for where, spec in block.items()]
    elif block is not None:
        pairs.append((block, at))
    if head is None:
        return pairs
    if family_of(head) != "pool":
        name = head["name"] if isinstance(head, Mapping) else head
        does = "writes a text" if family_of(head) == "decode" else "recalls sequences of images"
        raise ValueError(
            f"model.head: {name} {does}, and a classifier needs one vector; heads that pool are "
            f"{', '.join(pooling_names())}"
        )
    if options_of_pay_attention(head) is not None:
        return pairs
    for spec, where in pairs:
        if _POOL in ([where] if isinstance(where, str) else where):
            raise ValueError(
                f"model.head is {_said(head)}, and model.block {_said(spec)} is at pool too: both weigh the same "
                "feature map; give one of them"
            )
    return [*pairs, (head, _POOL)]


def _said(spec: Any) -> str:
    return str(spec.get("name") or spec.get("class_path")) if isinstance(spec, Mapping) else str(spec)
