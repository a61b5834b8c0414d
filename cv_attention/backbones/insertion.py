"""Puts attention blocks into a model: `plan` shows, `insert` does, `remove` undoes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

from cv_attention.backbones.attach import attach, attached, detach, suspended
from cv_attention.backbones.dry_run import InputSize, example_input, input_shapes, untouched
from cv_attention.backbones.freezing import freeze_rest, thaw
from cv_attention.backbones.identity_init import IdentityInit
from cv_attention.backbones.loading import unwatch_loading, watch_loading
from cv_attention.backbones.lost import enter, ledger, orphans, refuse_inlined, report_lost, strike
from cv_attention.backbones.making import At, Blocks, Init, Pair, create, pairs_of, place_like
from cv_attention.backbones.plan import Plan, Site, insertion_of
from cv_attention.backbones.rehearsal import conv_flops, rehearse
from cv_attention.backbones.replacement import Replacement
from cv_attention.backbones.sites import find_spots
from cv_attention.backbones.spots import Spot, shape_of
from cv_attention.backbones.succession import guard, sweep, unguard
from cv_attention.backbones.trace import Trace, trace
from cv_attention.checks import check_module

Train = Literal["all", "blocks", "blocks+head"]


@dataclass(frozen=True)
class _Ready:
    """A block that only needs to be hung on its host."""

    spot: Spot
    site: Site
    block: nn.Module
    fresh: bool


def plan(
    model: nn.Module,
    block: Blocks,
    at: At = "residual",
    *,
    init: Init = "plain",
    input_size: InputSize | None = None,
    train: Train = "all",
) -> Plan:
    """Says what `insert` would do, and changes nothing.

    Args:
        model: Any CNN; its forward takes images (B, C, H, W).
        block: A catalogue name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}``, a class,
            or any callable from channels to a module. Several blocks are ``{position or glob: block}`` or
            ``[(block, at), ...]``.
        at: Where blocks go: ``residual`` (end of each residual branch, before the addition), ``pre`` (its start),
            ``post`` (behind the addition and its activation), ``identity`` (on the shortcut), ``stage`` (end of each
            stage), ``replace`` (in place of each 3×3 convolution that keeps the channels); each may be followed by a
            stage (``residual:-1``, ``stage:1:3``); a glob over module names (``layer*.*.bn2``; ``**`` spans dots) for
            their outputs, ``replace:<glob>`` for convolutions to be replaced; or a list.
        init: ``plain``, or ``identity`` to leave the model's output as it is.
        input_size: Side, (H, W) or (C, H, W) of the dry run's image, in pixels; by default the model's own.
        train: ``all``, ``blocks`` to freeze everything but inserted blocks, or ``blocks+head`` to train the last
            layer too, as new classes need.

    Raises:
        ValueError: if no site is found, a site cannot take a block, or a block does not keep the shape.
    """
    return _prepare(model, block, at, init, input_size, train, seed=0)[0]


def insert(
    model: nn.Module,
    block: Blocks,
    at: At = "residual",
    *,
    init: Init = "plain",
    input_size: InputSize | None = None,
    train: Train = "all",
    seed: int = 0,
) -> Plan:
    """Inserts a block at every site, in place, and returns what was done.

    Each block's weights are drawn from a random state of its own, made of `seed` and the site's name; the
    global random state is left alone. Blocks take their host's device, floating type and training flag.
    Inserting again adds a further block behind the first. Checkpoints from before the insertion still load
    strictly.

    Args:
        model: As in `plan`.
        block: As in `plan`.
        at: As in `plan`.
        init: As in `plan`.
        input_size: As in `plan`.
        train: As in `plan`: all but ``all`` clear `requires_grad` of the other parameters until `remove`; statistics
            of batch norms still follow the training flag.
        seed: Seed of the blocks' weights.

    Raises:
        ValueError: as `plan`; the model is then unchanged.
    """
    planned, ready = _prepare(model, block, at, init, input_size, train, seed)
    attachments = []
    for one in ready:
        one.block.train(model.get_submodule(one.site.name).training)
        child, spot = _child(one.site), one.spot
        attachments.append(attach(model, one.site.name, one.block, child, spot.place, one.fresh, spot.entrances))
    try:
        _verify(model, planned)
    except Exception:
        for site in planned.sites:
            detach(model, site.name, _child(site))
        raise
    enter(model, attachments)
    guard(model)
    watch_loading(model)
    if train != "all":
        freeze_rest(model, {_child(site) for site in planned.sites}, train)
    return planned


def remove(model: nn.Module, insertion: str | Plan | None = None) -> list[str]:
    """Takes inserted blocks out again; the model's modules, keys and hooks are then as before the insertion.

    Args:
        model: The model.
        insertion: One insertion's name (``attention``, ``attention_2``, ...), or what `insert` returned; by default all
            go.

    Returns:
        The names of the blocks removed, those that nothing applied any more among them; an empty list if there were
        none.

    Raises:
        ValueError: if there is no such insertion, or blocks have become part of a graph of `torch.fx`.
    """
    check_module(model)
    refuse_inlined(model)
    report_lost(model)
    found = [(host, child) for host, _, child, _ in attached(model)]
    found += [(host, child) for host, _, child in orphans(model)]
    listed = [attachment for _, attachment in ledger(model)]
    names = dict.fromkeys(insertion_of(child) for child in [c for _, c in found] + [a.child for a in listed])
    name = insertion.name if isinstance(insertion, Plan) else insertion
    if name is not None and name not in names:
        raise ValueError(f"no insertion is called {name!r}; there are: {', '.join(names) or 'none'}")
    chosen = [(host, child) for host, child in found if name in (None, insertion_of(child))]
    for host, child in chosen:
        detach(model, host, child)
    for attachment in listed:
        attachment.removed |= name in (None, insertion_of(attachment.child))
    strike(model)
    sweep(model)
    unguard(model)
    if len(chosen) == len(found):
        for module in model.modules():
            unwatch_loading(module)
    thaw(model)
    return [f"{host}.{child}" if host else child for host, child in chosen]


def _prepare(
    model: nn.Module, block: Blocks, at: At, init: Init, input_size: InputSize | None, train: Train, seed: int
) -> tuple[Plan, list[_Ready]]:
    """Finds the sites and makes their blocks."""
    for name, value, right in (("init", init, ("plain", "identity")), ("train", train, get_args(Train))):
        if value not in right:
            raise ValueError(f"{name} must be {' or '.join(map(repr, right))}, got {value!r}")
    _check_model(model)
    pairs = pairs_of(block, at)
    present = list(attached(model))
    blocks = [(host, child) for _, host, child, _ in present] + [(host, child) for _, host, child in orphans(model)]
    own = {module for host, child in blocks for module in host.get_submodule(child).modules()}
    seen = _dry_run(model, input_size)
    report_lost(model, seen.calls, stacklevel=4)
    theirs = {name for name, module in model.named_modules() if module in own}
    places = [(pair, spot) for pair in pairs for spot in find_spots(model, seen, pair.at, theirs)]
    names = _names(model, [spot.host for _, spot in places])
    ready = [_make(model, pair, spot, child, init, seed) for (pair, spot), child in zip(places, names, strict=True)]
    ready.sort(key=lambda one: one.spot.index)  # stable: blocks at one site stay in their order
    total = sum(p.numel() for p in model.parameters())
    flops = seen.flops + sum(_flops_of(seen, *entry) for entry in present)
    sites = tuple(one.site for one in ready)
    wanted = tuple((pair.label, pair.at) for pair in pairs)
    return Plan(type(model).__name__, wanted, init, seen.shape, sites, total, flops, train), ready


def _make(model: nn.Module, pair: Pair, spot: Spot, child: str, init: Init, seed: int) -> _Ready:
    """Makes and tries the block of one site."""
    if spot.place == "instead" and init == "identity":
        raise ValueError(f"site {spot.host!r}: a block in place of a convolution cannot start as the identity")
    host, path = model.get_submodule(spot.host), f"{spot.host}.{child}"
    new = create(pair, spot.shape[0], seed, path)
    trial = rehearse(new, spot.shape, spot.host, pair.label)
    if init == "identity":
        new = IdentityInit(new, alpha=1.0 if trial.identity else 0.0)
    parameters, flops = sum(p.numel() for p in new.parameters()), trial.flops
    if spot.place == "instead":
        assert isinstance(host, nn.Conv2d)
        parameters -= sum(p.numel() for p in host.parameters())
        flops -= conv_flops(host, spot.shape)
    site = Site(spot.host, type(host).__name__, *spot.shape, path, parameters, flops, spot.place, pair.label)
    return _Ready(spot, site, place_like(new, host, model), trial.fresh and init == "plain")


def _dry_run(model: nn.Module, input_size: InputSize | None) -> Trace:
    """One traced forward without the blocks that are there already."""
    tried, error = [], None
    for shape in input_shapes(model, input_size):
        tried.append("×".join(map(str, shape)))
        try:
            with suspended(model), untouched(model):
                return trace(model, example_input(model, shape))
        except Exception as failure:  # a model may fail on a size in any way
            error = error or failure
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    raise ValueError(
        f"{type(model).__name__} fails on an image of {', '.join(tried)} ({reason}); if it is a CNN, "
        "give its input_size"
    ) from error


def _flops_of(seen: Trace, name: str, host: nn.Module, child: str, place: str) -> int:
    """Operations of a block that is there already, which the dry run left out."""
    calls = seen.calls.get(name)
    value = None if not calls else calls[-1].output if place == "after" else calls[-1].first
    if value is None:
        return 0
    shape = shape_of(value)
    block = host.get_submodule(child)
    replaced = conv_flops(host.conv, shape) if place == "instead" and isinstance(host, Replacement) else 0
    return rehearse(block, shape, name, child).flops - replaced


def _verify(model: nn.Module, planned: Plan) -> None:
    """Makes sure by one more dry run that a host with children does not run its block by itself too."""
    risky = [site for site in planned.sites if len(list(model.get_submodule(site.name).children())) > 1]
    if not risky:
        return
    counts = dict.fromkeys((site.block for site in risky), 0)

    def count(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            counts[name] += 1

        return hook

    handles = [model.get_submodule(n).register_forward_hook(count(n)) for n in counts]
    try:
        with untouched(model):
            model(example_input(model, planned.input_shape))
    finally:
        for handle in handles:
            handle.remove()
    for site in risky:
        if counts[site.block] != 1:
            raise ValueError(
                f"site {site.name!r}: its {site.host} runs its children itself, so a block in it would be "
                f"called {counts[site.block]} times; name one of its children"
            )


def _child(site: Site) -> str:
    return site.block.rpartition(".")[2]


def _names(model: nn.Module, hosts: list[str]) -> list[str]:
    """The child's name for each host: the insertion's, ``attention``, or the first of ``attention_2``, ... not in use.

    A host's second block of this insertion is ``attention_and_2``.
    """
    used, number = {insertion_of(child) for _, _, child, _ in attached(model)}, 1
    while (name := "attention" if number == 1 else f"attention_{number}") in used or any(
        hasattr(model.get_submodule(host), name) for host in hosts
    ):
        number += 1
    counts = [hosts[:i].count(host) + 1 for i, host in enumerate(hosts)]
    return [name if count == 1 else f"{name}_and_{count}" for count in counts]


def _check_model(model: nn.Module) -> None:
    check_module(model)
    kind = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(f"{kind} is scripted; insert before torch.jit.script")
    if kind == "OptimizedModule" or any(m._compiled_call_impl is not None for m in model.modules()):
        raise ValueError(f"{kind} is compiled; insert before torch.compile, or into its `_orig_mod`")
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise ValueError(f"{kind} does not see new parameters; insert into the model before wrapping it")
    if any(nn.parameter.is_lazy(p) for p in model.parameters()):
        raise ValueError(f"{kind} has uninitialised lazy parameters; run it once before inserting")
