"""Selects the layers that a saliency method uses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from typing_extensions import TypeAliasType

from cv_attention.globs import select
from cv_attention.maps.wrappers import bare_modules, unwrap
from cv_attention.saliency.core.places.choice import choose, refusal
from cv_attention.saliency.core.places.dependence import Dependence, signature
from cv_attention.saliency.core.places.layouts import Grid, Layout
from cv_attention.saliency.core.places.probing import Place, Places, Run, run_with_gradients
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
    modules = bare_modules(model)
    if layers is None:
        name, place = last_map(model, images, targets, strict=strict, modules=modules)
        return {name: Layer(modules[name], layout or place.grid)}
    known = _known_of(model, modules, images).places.known
    names = _named(model, {name: module for name, module in modules.items() if name}, layers)
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
    model: nn.Module,
    images: Tensor,
    targets: Targets,
    *,
    strict: bool,
    everywhere: bool = False,
    modules: dict[str, nn.Module] | None = None,
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
        modules: The model's modules by name, where they are known already.

    Raises:
        ValueError: if there is no such module.
    """
    modules = bare_modules(model) if modules is None else modules
    known = _known_of(model, modules, images)
    key = (strict, signature(targets))
    name = None if everywhere else known.chosen.get(key)
    if name is not None:
        return name, known.places.known[name]
    run = run_with_gradients(model, modules, images, whole=everywhere)
    found = _dependence(model, modules, run, images, targets, strict)
    name = choose(modules, known.places, found)
    if name is None:
        raise ValueError(refusal(model, modules, images, known.places, found))
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
    own = module.__dict__
    return (id(module), id(own.get("forward")), *[key for key, value in own.items() if value is True])
