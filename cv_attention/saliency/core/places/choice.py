"""Chooses the automatic layer: the last map of the image on the way to the target score."""

from collections.abc import Callable, Iterator
from math import prod

from torch import Tensor, nn

from cv_attention.backbones.attachment.lost import is_inserted
from cv_attention.blocks.base import Block
from cv_attention.saliency.core.places.dependence import Dependence
from cv_attention.saliency.core.places.probing import Places, may_be_map


def choose(modules: dict[str, nn.Module], places: Places, found: Dependence) -> str | None:
    """Returns the module with the last map on the way to the score, see `last_map`, or None."""
    for foreign in (True, False):  # a class that is called attention may as well be the whole network
        chosen = _choose(modules, places, found, inside_attention(modules, foreign=foreign))
        if chosen is not None:
            return chosen
    return None


def _choose(modules: dict[str, nn.Module], places: Places, found: Dependence, inside: set[str]) -> str | None:
    """Returns the module with the last map that is not among those `inside` attention, or None."""
    run = found.run
    names = [name for name, output in run.outputs.items() if may_be_map(output, run.images) and name not in inside]
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


def inside_attention(modules: dict[str, nn.Module], *, foreign: bool) -> set[str]:
    """Returns the names of all modules inside attention: inserted blocks and `Block`s of the model's own.

    Whatever it computes with, rows and columns in one sequence, strips, windows, slots, or values that are read without
    their keys, is not a map to explain the model by; what it returns may be one.

    Args:
        modules: The model's modules by name.
        foreign: Whether other classes called ...Attention count, too.
    """
    inside: set[str] = set()
    for top, module in modules.items():
        own = is_inserted(module) or isinstance(module, Block)
        if top and (own or (foreign and type(module).__name__.endswith("Attention"))):
            inside.update(name for name in modules if name.startswith(f"{top}."))
    return inside


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
            is_tokens = found.run.outputs[name].dim() == 3
            if not counts and (skipped or not is_tokens):
                continue
            if is_tokens and counts and found.reads_an_end(name):  # a class token, so nothing has to be measured
                place = places.followed(found.run, name)
                skipped = skipped or (place is not None and place.grid is not None)
                continue
            if places.of(found.run, name).grid is None:
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


def refusal(model: nn.Module, modules: dict[str, nn.Module], images: Tensor, places: Places, found: Dependence) -> str:
    """Returns the message where there is no map, with the last candidates and what is wrong with each."""
    size, inside = "x".join(map(str, images.shape[2:])), inside_attention(modules, foreign=False)
    measured = places.all(found.run).items()
    every = {name: place for name, place in measured if len(place.shape) > 2 and name not in inside}
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
