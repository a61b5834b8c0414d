"""Puts attention blocks into a model: `plan` shows, `insert` does, `remove` undoes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from zlib import crc32

import torch
from torch import nn

from cv_attention import blocks
from cv_attention.backbones.attach import attach, attached, detach, unwatch_loading, watch_loading
from cv_attention.backbones.dry_run import InputSize, example_input, input_shapes, untouched
from cv_attention.backbones.identity_init import IdentityInit
from cv_attention.backbones.plan import Plan, Site
from cv_attention.backbones.rehearsal import rehearse
from cv_attention.backbones.sites import find_hosts
from cv_attention.backbones.trace import Trace, trace

# A catalogue name, {name: ..., <options>}, {class_path: ..., init_args: ...}, or a callable of the channels.
Block = str | Mapping[str, Any] | Callable[[int], nn.Module]
Init = Literal["plain", "identity"]


def plan(
    model: nn.Module,
    block: Block,
    at: str | Sequence[str] = "residual",
    *,
    init: Init = "plain",
    input_size: InputSize | None = None,
) -> Plan:
    """Says what `insert` would do, and changes nothing.

    Args:
        model: Any CNN; its forward takes images (B, C, H, W).
        block: A catalogue name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}``, a class,
            or any callable from channels to a module.
        at: Where blocks go: ``residual`` (end of each residual branch, before the addition), ``stage`` (end
            of each stage), a glob over module names (``layer*.*.bn2``; ``**`` spans dots), or a list.
        init: ``plain``, or ``identity`` to leave the model's output as it is.
        input_size: Side, (H, W) or (C, H, W) of the dry run's image, in pixels; by default the model's own.

    Raises:
        ValueError: if no site is found, a site cannot take a block, or a block does not keep the shape.
    """
    return _prepare(model, block, at, init, input_size, seed=0)[0]


def insert(
    model: nn.Module,
    block: Block,
    at: str | Sequence[str] = "residual",
    *,
    init: Init = "plain",
    input_size: InputSize | None = None,
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
        seed: Seed of the blocks' weights.

    Raises:
        ValueError: as `plan`; the model is then unchanged.
    """
    planned, made, fresh = _prepare(model, block, at, init, input_size, seed)
    for site, new, copied in zip(planned.sites, made, fresh, strict=True):
        host = model.get_submodule(site.name)
        new.train(host.training)
        attach(host, new, site.block.rpartition(".")[2], copied)
    try:
        _verify(model, planned)
    except Exception:
        for site in planned.sites:
            detach(model.get_submodule(site.name), site.block.rpartition(".")[2])
        raise
    watch_loading(model)
    return planned


def remove(model: nn.Module, name: str | None = None) -> list[str]:
    """Takes inserted blocks out again; the model's modules, keys and hooks are then as before the insertion.

    Args:
        model: The model.
        name: Name of one insertion's blocks (``attention``, ``attention_2``, ...); by default all go.

    Returns:
        The names of the blocks removed; an empty list if there were none.

    Raises:
        ValueError: if there are no blocks called `name`.
    """
    found = list(attached(model))
    chosen = [entry for entry in found if name in (None, entry[2])]
    if name is not None and not chosen:
        there = ", ".join(dict.fromkeys(child for _, _, child in found)) or "none"
        raise ValueError(f"no inserted blocks are called {name!r}; there are: {there}")
    for _, host, child in chosen:
        detach(host, child)
    if len(chosen) == len(found):
        for module in model.modules():
            unwatch_loading(module)
    return [f"{host}.{child}" if host else child for host, _, child in chosen]


def _prepare(
    model: nn.Module,
    block: Block,
    at: str | Sequence[str],
    init: Init,
    input_size: InputSize | None,
    seed: int,
) -> tuple[Plan, list[nn.Module], list[bool]]:
    """Finds the sites and makes their blocks; also says which blocks' outputs must be copied."""
    if init not in ("plain", "identity"):
        raise ValueError(f"init must be 'plain' or 'identity', got {init!r}")
    _check_model(model)
    create, label = blocks.resolve(block), _label(block)
    own = {host.get_submodule(child) for _, host, child in attached(model)}
    own = {module for top in own for module in top.modules()}
    seen = _dry_run(model, input_size, own)
    names = find_hosts(model, seen, at, {name for name, module in model.named_modules() if module in own})
    child = _free_name(model, names)
    sites, made, fresh = [], [], []
    for name in names:
        output = seen.calls[name][0].output
        assert output is not None
        host, (_, channels, height, width) = model.get_submodule(name), output.shape
        new = _create(create, channels, init, seed, f"{name}.{child}", label)
        trial = rehearse(new, (channels, height, width), name, label)
        parameters = sum(p.numel() for p in new.parameters())
        sites.append(
            Site(name, type(host).__name__, channels, height, width, f"{name}.{child}", parameters, trial.flops)
        )
        made.append(_place_like(new, host, model))
        fresh.append(trial.fresh)
    total = sum(p.numel() for p in model.parameters())
    wanted = (at,) if isinstance(at, str) else tuple(at)
    planned = Plan(type(model).__name__, label, wanted, init, seen.shape, tuple(sites), total, seen.flops)
    return planned, made, fresh


def _dry_run(model: nn.Module, input_size: InputSize | None, skip: set[nn.Module]) -> Trace:
    tried, error = [], None
    for shape in input_shapes(model, input_size):
        tried.append("×".join(map(str, shape)))
        try:
            with untouched(model):
                return trace(model, example_input(model, shape), skip)
        except Exception as failure:  # a model may fail on a size in any way
            error = error or failure
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    raise ValueError(
        f"{type(model).__name__} fails on an image of {', '.join(tried)} ({reason}); give its input_size"
    ) from error


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


def _create(
    create: Callable[[int], nn.Module], channels: int, init: Init, seed: int, path: str, label: str
) -> nn.Module:
    """Makes one block on the CPU, from a random state that depends on nothing but `seed` and `path`."""
    with torch.random.fork_rng([]), torch.inference_mode(False):
        torch.default_generator.manual_seed(crc32(f"{seed}:{path}".encode()))
        try:
            with torch.device("cpu"):
                new = create(channels)
        except ValueError as error:
            raise ValueError(f"block {label} at site {path.rpartition('.')[0]!r}: {error}") from error
        if not isinstance(new, nn.Module):
            raise ValueError(f"block {label} must make an nn.Module from channels, got {type(new).__name__}")
        return IdentityInit(new) if init == "identity" else new


def _place_like(block: nn.Module, host: nn.Module, model: nn.Module) -> nn.Module:
    """Moves a block to the device and floating type of the host, else of the model."""
    for module in (host, model):
        for parameter in module.parameters():
            if parameter.is_floating_point():
                return block.to(parameter.device, parameter.dtype)
    return block


def _free_name(model: nn.Module, names: list[str]) -> str:
    """``attention``, or the first of ``attention_2``, ... that no insertion and no host uses yet."""
    used = {child for _, _, child in attached(model)}
    number = 1
    while True:
        name = "attention" if number == 1 else f"attention_{number}"
        if name not in used and not any(hasattr(model.get_submodule(host), name) for host in names):
            return name
        number += 1


def _check_model(model: nn.Module) -> None:
    kind = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(f"{kind} is scripted; insert before torch.jit.script")
    if kind == "OptimizedModule" or any(m._compiled_call_impl is not None for m in model.modules()):
        raise ValueError(f"{kind} is compiled; insert before torch.compile, or into its `_orig_mod`")
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise ValueError(f"{kind} does not see new parameters; insert into the model before wrapping it")
    if any(nn.parameter.is_lazy(p) for p in model.parameters()):
        raise ValueError(f"{kind} has uninitialised lazy parameters; run it once before inserting")


def _label(block: Block) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping):
        return str(block.get("name") or block.get("class_path"))
    return getattr(block, "__name__", type(block).__name__)
