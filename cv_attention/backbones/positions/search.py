"""Resolves the argument `at` to sites: named positions, single stages, and globs over module names."""

import re
from bisect import bisect_left
from collections.abc import Sequence

from torch import nn

from cv_attention.backbones.positions.heads import Heads
from cv_attention.backbones.positions.hosts import Hosts
from cv_attention.backbones.positions.named import POSITIONS
from cv_attention.backbones.positions.pooling import find_pool
from cv_attention.backbones.positions.stages import find_stages
from cv_attention.backbones.positions.traced_site import TracedSite, shape_of
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.globs import levels_hint, matches
from cv_attention.suggest import suggest

DECODER = "decoder"
_STAGE = re.compile(r"(-?\d+)|(-?\d*):(-?\d*)")


def find_sites(model: nn.Module, trace: Trace, at: Sequence[str], own: set[str]) -> list[TracedSite]:
    """Returns the sites in the order in which the forward reaches them.

    Args:
        model: The model that was traced.
        trace: Its trace.
        at: Each a position, a position in some stages (``residual:-1``, ``stage:1:3``), a glob, or
            ``replace:<glob>``. In a glob, ``*`` stays within one level of a dotted name and ``**`` crosses levels.
        own: Names of modules that belong to inserted blocks, which cannot be hosts.

    Raises:
        ValueError: if a position or glob finds nothing, or a glob's module cannot be a host.
    """
    search = _Search(model, trace, own)
    found: dict[tuple[str, str], TracedSite] = {}
    for pattern in at:
        for site in search.find(pattern):
            found.setdefault((site.host, site.place), site)
    return sorted(found.values(), key=lambda site: site.index)


def count_sites(model: nn.Module, trace: Trace, own: set[str]) -> dict[str, tuple[int, list[int], list[int]]]:
    """For each position that the model has, how many sites it has in all, in each stage, and in each of a decoder's."""
    search = _Search(model, trace, own)
    stages = find_stages(model, trace, search.hosts)
    found = {}
    for position in POSITIONS:
        sites = search.sites(position)
        counts = []
        for hosts, decoder in ((stages.down, False), (stages.up, True)):
            ends = search.ends(hosts)
            numbers = [_number(site.within, ends, stages.end, decoder=decoder) for site in sites if ends]
            counts.append([numbers.count(stage) for stage in range(len(hosts))])
        if sites:
            found[position] = (len(sites), *counts)
    return found


class _Search:
    """One model's sites, asked for by one pattern after the other."""

    def __init__(self, model: nn.Module, trace: Trace, own: set[str]) -> None:
        self.model, self.trace, self.hosts = model, trace, Hosts(model, trace)
        self.kind = type(model).__name__
        self.made = Heads(model, trace).values
        self.names = [name for name in self.hosts.modules if name and name not in own]
        self.aliases: dict[nn.Module, list[str]] = {}  # a module may have two names
        for name, module in model.named_modules(remove_duplicate=False):
            self.aliases.setdefault(module, []).append(name)

    def _is_stage(self, text: str) -> bool:
        return bool(_STAGE.fullmatch(text)) or text.partition(":")[0] == DECODER

    def find(self, pattern: str) -> list[TracedSite]:
        """Returns the sites of one pattern, at least one."""
        position, colon, rest = pattern.partition(":")
        replaced = position == "replace" and rest and (rest in self.names or not self._is_stage(rest))
        if position not in POSITIONS or replaced:
            return self._by_glob(pattern, rest if replaced else pattern)
        sites = self.sites(position)
        if not sites:
            why = self._why_no_pool() if position == "pool" else ""
            has = f"{self._positions()}{self._example()}"
            raise ValueError(f"{self.kind} has no position {position!r}{why}; it has: {has}")
        if not colon:
            return sites
        return self._in_stages(pattern, position, sites, rest)

    def sites(self, position: str) -> list[TracedSite]:
        """Returns the sites of a position, without those at which the output itself is made: logits, masks, boxes."""
        sites = POSITIONS[position](self.model, self.trace, self.hosts)
        return [site for site in sites if self.trace.values[site.index] not in self.made]

    def _why_no_pool(self) -> str:
        found = find_pool(self.trace, self.hosts)
        why = found if isinstance(found, str) else "its head comes before its pooling, which takes the logits"
        return f", since {why}"

    def ends(self, names: Sequence[str]) -> list[int]:
        """Returns the indices of what hosts returned."""
        return [value.index for name in names if (value := self.hosts.value(name))]

    def _in_stages(self, pattern: str, position: str, sites: list[TracedSite], rest: str) -> list[TracedSite]:
        """Those of `sites` that lie in the stages asked for; a stage reaches up to its end."""
        decoder, _, numbers = rest.partition(":") if rest.startswith(DECODER) else ("", "", rest)
        stage = _STAGE.fullmatch(numbers or ":")
        if decoder not in ("", DECODER) or not stage:
            raise ValueError(
                f"at={pattern!r}: {position} is followed by a stage, such as {position}:-1 or {position}:1:3, or by "
                f"{DECODER}"
            )
        stages = find_stages(self.model, self.trace, self.hosts)
        ends = self.ends(stages.up if decoder else stages.down)
        if not ends:
            what = "a decoder with stages" if decoder else "stages"
            raise ValueError(f"at={pattern!r}: {self.kind} lacks {what}; it has: {self._positions()}")
        one, start, stop = stage.groups()
        if one is None:
            chosen = range(len(ends))[slice(int(start) if start else None, int(stop) if stop else None)]
        else:
            chosen = [int(one) % len(ends)] if -len(ends) <= int(one) < len(ends) else []
        counted = [_number(site.within, ends, stages.end, decoder=bool(decoder)) for site in sites]
        found = [site for site, number in zip(sites, counted, strict=True) if number in chosen]
        if not found:
            counts = ", ".join(f"stage {n}: {counted.count(n)}" for n in range(len(ends)))
            raise ValueError(
                f"at={pattern!r} finds nothing: {self.kind}{chr(39) + 's decoder' if decoder else ''} has {len(ends)} "
                f"stages, 0 to {len(ends) - 1}, with these sites of {position!r}: {counts}"
            )
        return found

    def _by_glob(self, pattern: str, glob: str) -> list[TracedSite]:
        names = [
            name for name in self.names if any(matches(glob, one) for one in self.aliases[self.hosts.modules[name]])
        ]
        if not names:
            raise ValueError(self._no_module(pattern, glob))
        if glob != pattern:
            return [self.hosts.in_place_of(name) for name in names]
        found = []
        for name in dict.fromkeys(self.hosts.at(name) for name in names):
            value = self.hosts.value(name)
            assert value is not None
            found.append(TracedSite(name, "after", shape_of(value), value.index, value.index, patches=value.patches))
        return found

    def _no_module(self, pattern: str, glob: str) -> str:
        near = suggest(glob, [*POSITIONS, *self.names], shown=0, cutoff=0.4).rstrip("?")
        hint = levels_hint(glob, self.names)
        if ":" in glob:
            hint = f"; a stage can be named behind {', '.join(POSITIONS)}{suggest(glob.partition(':')[0], POSITIONS)}"
        return f"at={pattern!r} fits no module of {self.kind}{near}; positions: {self._positions()}{hint}"

    def _positions(self) -> str:
        counts = {position: len(self.sites(position)) for position in POSITIONS}
        return (
            ", ".join(f"{position} ({n} sites)" for position, n in counts.items() if n)
            or "none, as no feature maps (B, C, H, W) of a CNN run through it"
        )

    def _example(self) -> str:
        plain = (name for name in reversed(self.names) if self._plain(name))
        return next((f"; or name modules by a glob, such as {name!r}" for name in plain), "")

    def _plain(self, name: str) -> bool:
        """Returns whether a module would do as an example of a host: a feature map of more than one position."""
        value = self.hosts.value(name)
        return bool(value and self.hosts.problem(name) is None and value.channel_axis == 1 and value.shape[-1] > 1)


def _number(within: int, ends: list[int], last: int | None, *, decoder: bool) -> int | None:
    """Returns the number of the stage in which a value lies; None if it lies in no stage of the encoder, or decoder."""
    number = min(bisect_left(ends, within), len(ends) - 1)
    if last is None:
        return number
    inside = last < within <= ends[-1] if decoder else within <= last
    return number if inside else None
