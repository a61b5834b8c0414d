"""Defines an adapter: how the attention maps of one class of modules are read."""

import inspect
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, NamedTuple, get_args

from torch import Tensor, nn

from cv_attention.blocks.base import MapKind, check_choice
from cv_attention.maps.recorded import RecordedMap
from cv_attention.maps.watch import Watch, WatchedCall, drop_hook, quietly
from cv_attention.suggest import suggest

# (name below the module, map)
_AXES: dict[MapKind, str] = {
    "channel": "(B, C, 1, 1)",
    "spatial": "(B, 1, H, W)",
    "joint": "(B, C, H, W)",
    "pairwise": "(B, heads, queries, H, W)",
    "alignment": "(B, heads, queries, keys)",
    "places": "(B, steps, 2)",
}
Keep = Callable[[str, RecordedMap], None]
Layout = Callable[[WatchedCall], Iterable[tuple[str, RecordedMap]]]


class Adapter(NamedTuple):
    """Describes how the maps of one class of modules are seen; `output_of` and `by_softmax` make it.

    Attributes:
        attach: (module, keep, watch, hooks) -> None: makes every forward of `module` call `keep` with its maps, through
            hooks whose removal goes onto the stack `hooks`. It changes neither the module nor its output.
        kinds: What its maps' axes may mean.
        speaks_for: Names of children whose maps this one gives, so that their own adapters are not asked.

    Examples:
        >>> from cv_attention.maps import output_of
        >>> output_of("sigmoid", "spatial").kinds
        frozenset({'spatial'})
    """

    attach: Callable[[nn.Module, Keep, Watch, ExitStack], None]
    kinds: frozenset[MapKind]
    speaks_for: tuple[str, ...] = ()


def output_of(
    child: str, kind: MapKind, shape: Callable[[Tensor], Tensor | RecordedMap] = lambda values: values
) -> Adapter:
    """Makes the adapter of a module one of whose children returns the map.

    Args:
        child: Name of the child below the module, such as ``"gate.sigmoid"``; ``""`` is the module itself.
        kind: What the map's axes mean: ``channel``, ``spatial``, ``joint``, ``pairwise``, ``alignment`` or ``places``,
            see `RecordedMap`.
        shape: Turns what the child returns into the shape of that kind, or into a whole `RecordedMap`, as for attention
            within windows; by default it has that shape.

    Returns:
        The adapter, for `add_adapter`.

    Raises:
        ValueError: if there is no such `kind`; when the module is recorded, if it has no such child, or the child gives
            something else than a tensor with the axes of the kind.

    Examples:
        >>> from cv_attention.maps import output_of
        >>> flat = output_of("gate", "channel", shape=lambda gate: gate[:, :, None, None])  # from (B, C)
        >>> flat.kinds
        frozenset({'channel'})
    """
    check_choice("kind", kind, get_args(MapKind))

    def attach(module: nn.Module, keep: Keep, watch: Watch, hooks: ExitStack) -> None:
        def look(called: nn.Module, args: tuple, values: Tensor) -> None:
            if called is not source:
                drop_hook(called, look)
            elif watch.here():
                with quietly(watch.detach):
                    found = shape(values)
                    whole = isinstance(found, RecordedMap)
                    keep("", found if whole else RecordedMap(_checked(found, kind, place), kind))

        place = f"{type(module).__name__}.{child}" if child else type(module).__name__
        try:
            source = module.get_submodule(child)
        except AttributeError as error:
            names = [name for name, _ in module.named_modules() if name]
            raise ValueError(f"{place} is to be recorded, but does not exist{suggest(child, names)}") from error
        hooks.callback(source.register_forward_hook(look).remove)

    return Adapter(attach, frozenset([kind]))


def _checked(values: object, kind: MapKind, place: str) -> Tensor:
    if not isinstance(values, Tensor) or (values.dim() != _AXES[kind].count(",") + 1 and kind != "channel"):
        got = tuple(values.shape) if isinstance(values, Tensor) else f"a {type(values).__name__}"
        raise ValueError(f"a map of kind {kind} must be {_AXES[kind]}, but {place} gives {got}")
    return values


def of_places() -> Adapter:
    """Makes the adapter of `cv_attention.blocks.PlaceDraw`: its places, and how much was seen around them."""

    def attach(module: nn.Module, keep: Keep, watch: Watch, hooks: ExitStack) -> None:
        def look(called: nn.Module, given: tuple, places: Tensor) -> None:
            if called is not module:
                drop_hook(called, look)
            elif watch.here():
                with quietly(watch.detach):
                    extents = given[4] if len(given) > 4 else None
                    keep("", RecordedMap(_checked(places, "places", "PlaceDraw"), "places", extents=extents))

        hooks.callback(module.register_forward_hook(look).remove)

    return Adapter(attach, frozenset(["places"]))


def by_softmax(
    layout: Layout, speaks_for: tuple[str, ...] = (), kinds: Iterable[MapKind] = ("pairwise", "alignment")
) -> Adapter:
    """Makes the adapter of a module that computes its map by a softmax, sigmoids or an attention kernel.

    What these return while the module's forward runs is what `layout` sees as ``call.attention``.

    Args:
        layout: From the call that has run to pairs of a name below the module and a map, such as `tokens`.
        speaks_for: Names of children whose maps this one gives, so that their own adapters are not asked.
        kinds: What the maps' axes may mean.

    Returns:
        The adapter, for `add_adapter`.

    Examples:
        >>> from cv_attention.maps import by_softmax, tokens
        >>> sorted(by_softmax(tokens).kinds)
        ['alignment', 'pairwise']
    """

    def attach(module: nn.Module, keep: Keep, watch: Watch, hooks: ExitStack) -> None:
        signature = inspect.signature(type(module).forward)

        def begin(called: nn.Module, *_: object) -> None:
            if called is not module:
                drop_hook(called, begin)
            elif watch.here():
                watch.calls.append(WatchedCall(module, watch))

        def end(called: nn.Module, *given: Any) -> None:
            if called is not module:
                drop_hook(called, end)
            if called is not module or not watch.here():  # where torch may not know yet that the hook takes kwargs
                return
            args, kwargs, output = given
            call = watch.calls.pop()
            if output is None:  # an exception passes
                return
            call.output = output
            call.given = dict(signature.bind(module, *args, **kwargs).arguments)
            call.given.pop(next(iter(signature.parameters)))
            with quietly(watch.detach):
                for name, found in layout(call):
                    keep(name, found)

        hooks.callback(module.register_forward_pre_hook(begin, prepend=True).remove)
        hooks.callback(module.register_forward_hook(end, with_kwargs=True, always_call=True).remove)

    return Adapter(attach, frozenset(kinds), speaks_for)
