"""Selects the layers that a saliency method uses."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from typing_extensions import TypeAliasType

from cv_attention.globs import select
from cv_attention.maps.wrappers import bare_modules, unwrap
from cv_attention.saliency.core.places.dependence import Dependence, signature
from cv_attention.saliency.core.places.layouts import Grid, Layout
from cv_attention.saliency.core.places.probing import Place, Places, Run, may_be_map, run_with_gradients
from cv_attention.saliency.core.targets import Targets

# None: the last map of the image; names or globs of modules, or modules themselves.
Layers = TypeAliasType("Layers", str | nn.Module | Sequence[str | nn.Module] | None)

_MOST = 32  # targets of a model whose layer is remembered


@dataclass(frozen=True)
class Layer:
    """A module whose output is used, and how this becomes (B, C, h, w); None: by its shape, for maps (B, C, h, w)."""

    module: nn.Module
    layout: Layout = None


@dataclass
class _Known:
    """What was found out about a model in one state, for one image size."""

    state: tuple
    places: Places
    chosen: dict[tuple, str] = field(default_factory=dict)


_known: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()


def find_layers(
    model: nn.Module,
    images: Tensor,
    layers: Layers,
    targets: Targets = None,
    layout: Layout = None,
    *,
    strict: bool = False,
) -> dict[str, Layer]:
    """Resolves `layers` to modules, by name; see `last_map` for None.

    Args:
        model: The model without wrappers, in eval mode.
        images: Model inputs (B, C, H, W).
        layers: See `Layers`.
        targets: What is explained, on which an automatic layer must have an influence.
        layout: How outputs become (B, C, h, w); None finds it out.
        strict: Whether classes as targets require logits; else the layer may influence any output.

    Raises:
        ValueError: if a name or glob matches no module, a given module is not part of the model, or there is no map.
    """
    modules = {name: module for name, module in bare_modules(model).items() if name}
    if layers is None:
        name, place = last_map(model, images, targets, strict=strict)
        return {name: Layer(modules[name], layout or place.grid)}
    names = _named(model, modules, layers)
    known = _known_of(model, modules, images).places.known
    grids = {name: known[name].grid if name in known else None for name in names}
    return {name: Layer(modules[name], layout or grids[name]) for name in names}


def _named(model: nn.Module, modules: dict[str, nn.Module], layers: Layers) -> list[str]:
    chosen: list[str] = []
    for layer in layers if isinstance(layers, Sequence) and not isinstance(layers, str) else [layers]:
        if not isinstance(layer, str | nn.Module):
            raise ValueError(f"layers must be names, globs or modules, got {layer!r}")
        if isinstance(layer, str):
            chosen += select(list(modules), [layer], f"module of {type(model).__name__}")
        else:
            found = [name for name, module in modules.items() if module is unwrap(layer)]
            if not found:
                raise ValueError(
                    f"the given layer {type(layer).__name__} is not a module of this {type(model).__name__}"
                )
            chosen += found
    if not chosen:
        raise ValueError("layers must name at least one module, got none")
    return chosen


def last_map(
    model: nn.Module, images: Tensor, targets: Targets, *, strict: bool, everywhere: bool = False
) -> tuple[str, Place]:
    """Returns the name of the module with the last map of the image on the way to the target score, and its place.

    A map was computed from the image, its positions move with the image's patches, and the score depends on it; see
    `probing`. Of nested modules that end together, it is the outermost: a ResNet's whole last stage, including inserted
    attention. In vision transformers of which the score uses only the class token, it is the last normalisation before
    the last attention. Where the output itself has positions, as in segmentation and detection, the part of the model
    that makes it is left out, and of an output (B, C, H, W) the coarsest map is taken, behind which positions still
    mix. The result is cached until the model's modules, their switches, the image size or the kind of target change.

    Args:
        model: The model without wrappers, in eval mode.
        images: Model inputs (B, C, H, W).
        targets: What is explained.
        strict: Whether classes as targets require logits.
        everywhere: Look again, for a map on which the score of each of the images depends.

    Raises:
        ValueError: if there is no such module.
    """
    modules = bare_modules(model)
    known = _known_of(model, modules, images)
    key = (strict, signature(targets))
    name = None if everywhere else known.chosen.get(key)
    if name is not None:
        return name, known.places.known[name]
    run = run_with_gradients(model, modules, images, whole=everywhere)
    found = _dependence(model, modules, run, images, targets, strict)
    name = choose(modules, known.places, found)
    if name is None:
        raise ValueError(_refusal(model, images, known.places, found))
    if len(known.chosen) >= _MOST:
        known.chosen.clear()
    known.chosen[key] = name
    return name, known.places.of(found.run, name)


def _dependence(
    model: nn.Module, modules: dict[str, nn.Module], run: Run, images: Tensor, targets: Targets, strict: bool
) -> Dependence:
    try:
        return Dependence(model, run, targets, len(images), strict=strict)
    except Exception:  # a callable that takes the whole batch alone, or a mistake in it
        if len(run.images) == len(images):
            raise
    run = run_with_gradients(model, modules, images, whole=True)
    return Dependence(model, run, targets, len(images), strict=strict)


def place_of(model: nn.Module, images: Tensor, name: str) -> Place | None:
    """Returns where the output of module `name` has the image's positions, measured once; None if it did not run."""
    modules = bare_modules(model)
    places = _known_of(model, modules, images).places
    if name not in places.known:
        run = run_with_gradients(model, modules, images)
        if name in run.outputs:
            places.of(run, name)
    return places.known.get(name)


def grid_of_tokens(model: nn.Module, images: Tensor, tokens: int) -> Grid | None:
    """Returns where a sequence of `tokens` tokens has the image's positions, as measured in the model's modules.

    Without such tokens in any module's output, a feature map with as many positions may have been flattened.

    Raises:
        ValueError: if the modules have sequences of this length, but none whose positions move with the image's.
    """
    modules = bare_modules(model)
    places = _known_of(model, modules, images).places
    known = places.known if places.complete else places.all(run_with_gradients(model, modules, images))
    same = [place for place in known.values() if len(place.shape) == 3 and place.shape[1] == tokens]
    grids = [place.grid for place in same if place.grid is not None]
    if same and not grids:
        raise ValueError(
            f"{type(model).__name__} attends over {tokens} tokens whose positions do not move with the image's; use a "
            "CAM of a layer with positions"
        )
    maps = [place.grid.size for place in known.values() if place.grid is not None and len(place.shape) > 3]
    flat = [Grid(-1, size) for size in maps if prod(size) == tokens]
    return (grids or flat or [None])[-1]


def _known_of(model: nn.Module, modules: dict[str, nn.Module], images: Tensor) -> _Known:
    """Returns what is known of a model as it is; nothing if it has changed."""
    state = (*map(_switches, modules.values()), images.shape[1:])
    known = _known.get(model)
    if known is None or known.state != state:
        known = _known[model] = _Known(state, Places())
    return known


def _switches(module: nn.Module) -> tuple:
    """Returns what may change which outputs a module has: itself, its forward, and attributes that are on or off."""
    own = vars(module)
    return (id(module), id(own.get("forward")), *(key for key, value in own.items() if value is True))


def choose(modules: dict[str, nn.Module], places: Places, found: Dependence) -> str | None:
    """Returns the module with the last map on the way to the score, see `last_map`, or None."""
    run = found.run
    names = [name for name, output in run.outputs.items() if may_be_map(output, run.images)]
    if found.vector:
        return _last(modules, places, found, names)
    reached = [name for name, counts in zip(run.outputs, found.reaches(list(run.outputs)), strict=True) if counts]
    counting = found.reaches(names, places)
    maps = [name for name, counts in zip(names, counting, strict=True) if counts and places.of(run, name).grid]
    head = _head(reached, maps)
    maps = [name for name in maps if not (name == head or name.startswith(f"{head}."))]
    if found.dense and maps:
        least = min(_positions(places, name) for name in maps)
        maps = [name for name in maps if _positions(places, name) == least]
    return _last(modules, places, found, [name for name in names if name in maps], of_tokens=names) if maps else None


def _last(
    modules: dict[str, nn.Module],
    places: Places,
    found: Dependence,
    names: list[str],
    *,
    of_tokens: list[str] | None = None,
) -> str | None:
    """Returns the last of the modules `names` on whose map the score depends.

    If it has tokens and more tokens follow that do not count, it is the last normalisation before.
    """
    for test in (found.reaches, found.connected):  # a head of zeros: what the score is connected with
        skipped, best = False, None
        for name, counts in _backwards(names, test):
            grid = places.of(found.run, name).grid
            is_tokens = len(places.of(found.run, name).shape) == 3
            if grid is None:
                continue
            if counts and test == found.reaches:
                counts = found.reaches([name], places)[0]
            if not counts:
                skipped = skipped or is_tokens
                continue
            later = _later_tokens(places, found, name, of_tokens) if of_tokens else skipped
            if best is None and not (is_tokens and later):
                return name
            best = best or name
            if is_tokens and "Norm" in type(modules[name]).__name__:
                return name
        if best is not None:
            return best
    return None


def _later_tokens(places: Places, found: Dependence, name: str, names: list[str]) -> bool:
    """Returns whether a module after `name` has tokens of the image, too."""
    later = names[names.index(name) + 1 :]
    return any(found.run.outputs[one].dim() == 3 and places.of(found.run, one).grid is not None for one in later)


def _backwards(names: list[str], test: Callable[[list[str]], list[bool]]) -> Iterator[tuple[str, bool]]:
    """Yields names from the last with the result of a `test` of several of them, ever more at a time."""
    end, count = len(names), 8
    while end > 0:
        some = names[max(0, end - count) : end]
        yield from reversed(list(zip(some, test(some), strict=True)))
        end, count = end - count, count * 2


def _positions(places: Places, name: str) -> int:
    grid = places.known[name].grid
    return prod(grid.size) if grid is not None else 0


def _head(names: list[str], maps: list[str]) -> str:
    """Returns the part of the model that makes the output: of the parts that hold the maps, the last to end."""
    prefix = ""
    while names:
        head = prefix + names[-1].removeprefix(prefix).partition(".")[0]
        if not all(name == head or name.startswith(f"{head}.") for name in maps):
            return head
        prefix = f"{head}."
        names = [name for name in names if name.startswith(prefix)]
    return "-"  # one module holds everything, so nothing is left out


def _refusal(model: nn.Module, images: Tensor, places: Places, found: Dependence) -> str:
    size = "x".join(map(str, images.shape[2:]))
    every = {name: place for name, place in places.all(found.run).items() if len(place.shape) > 2}
    maps = [name for name, place in every.items() if place.grid is not None]
    shown = [*maps[-4:], *[name for name in every if name not in maps][-4:]]
    counting = dict(zip(shown, found.reaches(shown), strict=True))
    reasons = [f"{name} {every[name].shape}: {every[name].why or _why_not(counting[name])}" for name in shown]
    return (
        f"no module of {type(model).__name__} gives a map of the image, (B, C, H, W) larger than 1x1, or tokens of a "
        f"grid, on which the target depends, for images of {size}; give layers=..., with layout=... for tokens in "
        "another order, or larger images" + (f"; candidates were {', '.join(reasons)}" if reasons else "")
    )


def _why_not(counts: bool) -> str:
    return "it belongs to the head" if counts else "the target does not depend on it"
