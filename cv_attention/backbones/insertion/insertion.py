"""Puts attention blocks into a model: `plan` shows, `insert` does, `remove` undoes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from cv_attention.backbones.attachment.attach import attach, attached, detach
from cv_attention.backbones.attachment.loading import unwatch_loading, watch_loading
from cv_attention.backbones.attachment.lost import enter, ledger, orphans, refuse_inlined, report_lost, strike
from cv_attention.backbones.attachment.succession import guard, sweep, unguard
from cv_attention.backbones.insertion.added import added_flops, attached_flops
from cv_attention.backbones.insertion.freezing import freeze_rest, thaw
from cv_attention.backbones.insertion.identity_init import as_identity
from cv_attention.backbones.insertion.insertable import check_insertable
from cv_attention.backbones.insertion.making import At, Blocks, Init, Pair, create, pairs_of, place_like
from cv_attention.backbones.insertion.plans import Plan, Site, insertion_of
from cv_attention.backbones.insertion.rehearsal import rehearse
from cv_attention.backbones.positions.parts import forget_heads, plan_heads, remember_heads
from cv_attention.backbones.positions.sites import find_spots
from cv_attention.backbones.positions.spots import Spot
from cv_attention.backbones.tracing.dry_run import DryRun, InputSize, check_maps, dry_run, untouched
from cv_attention.backbones.tracing.trace import Trace
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
    example_inputs: Any = None,
    train: Train = "all",
    head: str | Sequence[str] | None = None,
) -> Plan:
    """Says what `insert` would do, and changes nothing.

    Args:
        model: Any network with feature maps (B, C, H, W), built already. Networks all of whose convolutions are 1-D
            or 3-D are refused.
        block: A catalogue name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}``, a class,
            or any callable from channels to a module. Several blocks are ``{position or glob: block}`` or
            ``[(block, at), ...]``.
        at: Where blocks go: ``residual`` (end of each residual branch, before the addition), ``pre`` (its start),
            ``post`` (behind the addition and its activation), ``identity`` (on the shortcut), ``stage`` (end of each
            stage, also of a decoder), ``replace`` (in place of each 3×3 convolution that keeps the channels); each may
            be followed by stages on the way down from the image (``residual:-1``, ``stage:1:3``) or by ``decoder``
            (``stage:decoder``, ``residual:decoder:-1``); a glob over module names (``layer*.*.bn2``; ``**`` spans dots)
            for their outputs, ``replace:<glob>`` for convolutions to be replaced; or a list.
        init: ``plain``, or ``identity`` to leave the model's output as it is.
        input_size: Side, (H, W) or (C, H, W) of the image in the dry run, in pixels, for a model that takes one image
            (B, C, H, W); by default the model's own.
        example_inputs: What the model takes in the dry run, for a model that takes anything else, with any batch:

            - a tensor is the one positional argument: ``model(tensor)``;
            - a tuple holds the positional arguments: ``(left, right)`` is ``model(left, right)``;
            - a mapping, also Hugging Face's `BatchFeature`, holds the keyword arguments: ``{"pixel_values": images}``
              is ``model(pixel_values=images)``;
            - a tuple of a tuple and a mapping holds both: ``((images,), {"mask": mask})``;
            - anything else, such as a list, a data class or a named tuple, is the one positional argument. A tuple or
              mapping that is one argument stands in a tuple: ``({"image": images},)``.

            Tensors, found at any depth, must have the device and type that the model takes: nothing is moved or cast.
            They are copied, so the originals stay as they are.
        train: ``all``, ``blocks`` to freeze everything but inserted blocks, or ``blocks+head`` to train the heads too,
            as new classes need.
        head: Globs over the names of the heads' modules. By default the heads are all modules with parameters whose
            output reaches an output of the model with no other such module between; the plan names them.

    Raises:
        ValueError: if the model fails in the dry run, no site is found, a site cannot take a block, or a block does not
            keep the shape; if `input_size` and `example_inputs` are both given.

    Example:
        >>> plan(siamese, "se", example_inputs=(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)))
        >>> plan(detector, "se", example_inputs=([torch.zeros(3, 320, 320), torch.zeros(3, 240, 320)],))
        >>> plan(clip, "se", "vision_model.**.patch_embedding", example_inputs=processor(text, photographs))
    """
    return _prepare(model, block, at, init, input_size, example_inputs, train, head, seed=0)[0]


def insert(
    model: nn.Module,
    block: Blocks,
    at: At = "residual",
    *,
    init: Init = "plain",
    input_size: InputSize | None = None,
    example_inputs: Any = None,
    train: Train = "all",
    head: str | Sequence[str] | None = None,
    seed: int = 0,
) -> Plan:
    """Inserts a block at every site, in place, and returns what was done.

    Each block's weights are drawn from a random state of its own, made of `seed` and the site's name; the
    global random state is left alone. Blocks take the device and floating type of their feature map, and their host's
    training flag. Inserting again adds a further block behind the first. Checkpoints from before the insertion still
    load strictly.

    Args:
        model: As in `plan`.
        block: As in `plan`.
        at: As in `plan`.
        init: As in `plan`.
        input_size: As in `plan`.
        example_inputs: As in `plan`.
        train: As in `plan`: all but ``all`` clear `requires_grad` of the other parameters until `remove`; statistics
            of batch norms still follow the training flag.
        head: As in `plan`.
        seed: Seed of the blocks' weights.

    Raises:
        ValueError: as `plan`; the model is then unchanged.
    """
    planned, ready, check = _prepare(model, block, at, init, input_size, example_inputs, train, head, seed)
    attachments = []
    for one in ready:
        one.block.train(model.get_submodule(one.site.name).training)
        child, spot = _child(one.site), one.spot
        attachments.append(attach(model, one.site.name, one.block, child, spot.place, one.fresh, spot.entrances))
    try:
        check()
    except Exception:
        for site in planned.sites:
            detach(model, site.name, _child(site))
        raise
    enter(model, attachments)
    guard(model)
    watch_loading(model)
    remember_heads(model, planned.head)
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
    unwatch_loading(model)
    if len(chosen) == len(found):
        forget_heads(model)
    thaw(model)
    return [f"{host}.{child}" if host else child for host, child in chosen]


def _prepare(
    model: nn.Module,
    block: Blocks,
    at: At,
    init: Init,
    input_size: InputSize | None,
    example_inputs: Any,
    train: Train,
    head: str | Sequence[str] | None,
    seed: int,
) -> tuple[Plan, list[_Ready], Callable[[], None]]:
    """Finds the sites and makes their blocks; the function returned checks them once they are attached."""
    for name, value, right in (("init", init, ("plain", "identity")), ("train", train, get_args(Train))):
        if value not in right:
            raise ValueError(f"{name} must be {' or '.join(map(repr, right))}, got {value!r}")
    check_insertable(model)
    pairs = pairs_of(block, at)
    present = list(attached(model))
    blocks = [(host, child) for _, host, child, _ in present] + [(host, child) for _, host, child in orphans(model)]
    own = {module for host, child in blocks for module in host.get_submodule(child).modules()}
    run = dry_run(model, input_size, example_inputs)
    check_maps(model, run.trace)
    report_lost(model, run.trace.calls, stacklevel=4)
    theirs, seen = {name for name, module in model.named_modules() if module in own}, run.trace
    places = [(pair, spot) for pair in pairs for spot in find_spots(model, run.once, pair.at, theirs)]
    heads = plan_heads(model, seen, head, train)
    names = _names(model, [spot.host for _, spot in places])
    ready = [_make(model, seen, p, spot, child, init, seed) for (p, spot), child in zip(places, names, strict=True)]
    ready.sort(key=lambda one: one.spot.index)  # stable: blocks at one site stay in their order
    planned = Plan(
        type(model).__name__,
        tuple((pair.label, pair.at) for pair in pairs),
        init,
        seen.shape,
        tuple(one.site for one in ready),
        sum(p.numel() for p in model.parameters()),
        round(seen.flops / seen.batch) + sum(attached_flops(seen, *entry) for entry in present),
        train,
        seen.batch,
        "" if example_inputs is None else run.inputs.described(),
        tuple(heads),
    )
    return planned, ready, lambda: _verify(model, planned, run)


def _make(model: nn.Module, seen: Trace, pair: Pair, spot: Spot, child: str, init: Init, seed: int) -> _Ready:
    """Makes and tries the block of one site."""
    if spot.place == "instead" and init == "identity":
        raise ValueError(f"site {spot.host!r}: a block in place of a convolution cannot start as the identity")
    host, path = model.get_submodule(spot.host), f"{spot.host}.{child}"
    new = create(pair, spot.shape[0], seed, path)
    if init == "identity":
        new, trial = as_identity(new, spot.shape, spot.host, pair.label)
    else:
        trial = rehearse(new, spot.shape, spot.host, pair.label)
    parameters, replaced = sum(p.numel() for p in new.parameters()), None
    if spot.place == "instead":
        assert isinstance(host, nn.Conv2d)
        replaced, parameters = host, parameters - sum(p.numel() for p in host.parameters())
    flops = added_flops(seen, spot.host, spot.place, new, pair.label, replaced, {spot.shape: trial.flops})
    site = Site(spot.host, type(host).__name__, *spot.shape, path, parameters, flops, spot.place, pair.label)
    return _Ready(spot, site, place_like(new, seen.calls[spot.host][0], spot.place, host, model), trial.fresh)


def _verify(model: nn.Module, planned: Plan, run: DryRun) -> None:
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
