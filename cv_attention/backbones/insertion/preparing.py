"""Prepares an insertion: finds its sites, creates its blocks and plans their cost, without changing the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn
from typing_extensions import TypeAliasType

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.attachment.lost import orphans, report_lost
from cv_attention.backbones.attachment.on_patches import OnPatches
from cv_attention.backbones.insertion.added import added_flops, attached_flops
from cv_attention.backbones.insertion.identity_init import as_identity
from cv_attention.backbones.insertion.insertable import check_insertable
from cv_attention.backbones.insertion.making import At, Blocks, Init, Request, make_block, place_like, requests_of
from cv_attention.backbones.insertion.plans import Plan, Site, insertion_of
from cv_attention.backbones.insertion.rehearsal import rehearse
from cv_attention.backbones.positions.parameters import plan_heads
from cv_attention.backbones.positions.search import find_sites
from cv_attention.backbones.positions.traced_site import TracedSite
from cv_attention.backbones.tracing.dry_run import DryRun, InputSize, check_maps, dry_run, untouched
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.globs import Globs

Train = TypeAliasType("Train", Literal["all", "blocks", "blocks+head"])


@dataclass(frozen=True)
class Ready:
    """A block that is ready to be attached to its host."""

    site: Site
    traced: TracedSite
    block: nn.Module
    fresh: bool
    source: str = ""  # the module that makes the patches that the block takes


def prepare(
    model: nn.Module,
    block: Blocks,
    at: At,
    init: Init,
    input_size: InputSize | None,
    example_inputs: Any,
    train: Train,
    head: Globs | None,
    seed: int,
) -> tuple[Plan, list[Ready], Callable[[], None]]:
    """Finds the sites and makes their blocks; the function returned checks them once they are attached."""
    for name, value, right in (("init", init, ("plain", "identity")), ("train", train, get_args(Train.__value__))):
        if value not in right:
            raise ValueError(f"{name} must be {' or '.join(map(repr, right))}, got {value!r}")
    check_insertable(model)
    requests = requests_of(block, at)
    present = list(attached(model))
    blocks = [(host, child) for _, host, child, _ in present] + [(host, child) for _, host, child in orphans(model)]
    own = {module for host, child in blocks for module in host.get_submodule(child).modules()}
    run = dry_run(model, input_size, example_inputs)
    check_maps(model, run.trace)
    report_lost(model, run.trace.calls, stacklevel=4)
    theirs, seen = {name for name, module in model.named_modules() if module in own}, run.trace
    wanted = [(request, site) for request in requests for site in find_sites(model, run.once, request.at, theirs)]
    heads = plan_heads(model, run, head, train)
    names = _names(model, [site.host for _, site in wanted])
    ready = [_make(model, seen, *each, child, init, seed) for each, child in zip(wanted, names, strict=True)]
    ready.sort(key=lambda each: each.traced.index)  # stable: blocks at one site stay in their order
    planned = Plan(
        type(model).__name__,
        tuple((request.label, request.at) for request in requests),
        init,
        seen.shape,
        tuple(each.site for each in ready),
        sum(p.numel() for p in model.parameters()),
        round(seen.flops / seen.batch) + sum(attached_flops(seen, *entry) for entry in present),
        train,
        seen.batch,
        "" if example_inputs is None else run.inputs.described(),
        tuple(heads),
    )
    return planned, ready, lambda: _verify(model, planned, run)


def _make(
    model: nn.Module, seen: Trace, request: Request, traced: TracedSite, child: str, init: Init, seed: int
) -> Ready:
    """Makes and tries the block of one site."""
    if traced.place == "instead" and init == "identity":
        raise ValueError(f"site {traced.host!r}: a block in place of a convolution cannot start as the identity")
    host, path = model.get_submodule(traced.host), f"{traced.host}.{child}"
    new = make_block(request, traced.shape[0], seed, path)
    if init == "identity":
        new, trial = as_identity(new, traced.shape, traced.host, request.label)
    else:
        trial = rehearse(new, traced.shape, traced.host, request.label)
    parameters, replaced = sum(p.numel() for p in new.parameters()), None
    if traced.place == "instead":
        assert isinstance(host, nn.Conv2d)
        replaced, parameters = host, parameters - sum(p.numel() for p in host.parameters())
    flops = added_flops(seen, traced.host, traced.place, new, request.label, replaced, {traced.shape: trial.flops})
    site = Site(traced.host, type(host).__name__, *traced.shape, path, parameters, flops, traced.place, request.label)
    if (patches := traced.patches) is not None:
        new = OnPatches(new, patches.first, patches.last, patches.grid)
    new = place_like(new, seen.calls[traced.host][0], traced.place, host, model)
    made_by = () if patches is None else seen.values[patches.source].returned_by
    return Ready(site, traced, new, trial.fresh, next(iter(made_by), ""))


def _verify(model: nn.Module, planned: Plan, run: DryRun) -> None:
    """Makes sure by one more dry run that a host with children does not run its block by itself too."""
    risky = [site for site in planned.sites if _may_run_children(model.get_submodule(site.name))]
    if not risky:
        return
    counts = dict.fromkeys((site.block for site in risky), 0)

    def count(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            counts[name] += 1

        return hook

    handles = [model.get_submodule(n).register_forward_hook(count(n)) for n in counts]
    args, kwargs = run.inputs.arguments()
    try:
        with untouched(model):
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    for site in risky:
        if counts[site.block] != len(run.trace.calls[site.name]):
            raise ValueError(
                f"site {site.name!r}: its {site.host_type} runs its children itself, so a block in it would be "
                f"called {counts[site.block]} times; name one of its children"
            )


def _may_run_children(host: nn.Module) -> bool:
    """Returns whether a host has children besides its block, or may be a container that happens to be empty."""
    own = any(True for _ in host.parameters(recurse=False)) or any(True for _ in host.buffers(recurse=False))
    of_torch = type(host).__module__.startswith("torch.nn.modules.")
    return len(list(host.children())) > 1 or not (own or of_torch)


def child_name(site: Site) -> str:
    """Returns what a site's block is called in its host."""
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
