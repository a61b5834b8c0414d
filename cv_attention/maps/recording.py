"""Attention maps of a model while it runs, seen from outside."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.attachment.lost import report_lost
from cv_attention.checks import check_module
from cv_attention.globs import Globs, select
from cv_attention.maps.adapters import Adapter, adapters_of
from cv_attention.maps.maps_table import Maps
from cv_attention.maps.recorded import RecordedMap
from cv_attention.maps.watch import Watch, drop_hook
from cv_attention.maps.wrappers import bare_modules, run_eagerly, unwrap

_SHOWN = 8  # modules in a message


@contextmanager
def record(
    model: nn.Module,
    *,
    only: Globs | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    detach: bool = True,
) -> Iterator[Maps]:
    """Records every attention map of the forwards that run inside the ``with``: our blocks' and the known libraries'.

    The dict fills as the maps are computed and stays afterwards; it is in the order of the first computation. A map
    that is computed again, by a second forward or by a block that runs twice, replaces the one before. Only forwards
    of the thread and the asyncio task that entered the ``with`` count, and not those of copies of the model. Wrappers
    (``torch.compile``, DDP, FSDP) leave no trace in the names, and compiled models run uncompiled meanwhile. No hook is
    left behind; a copy that was made inside the ``with`` drops its hooks when it runs.

    Inserted blocks that are no longer applied, or that a forward of the whole model in eval mode leaves out, are
    reported by a `cv_attention.LostBlocksWarning`.

    Args:
        model: Any model with attention inside, see `adapters`.
        only: Names or globs of the maps to record (``"layer4.**"``; ``*`` stays within one level of a name, ``**``
            crosses levels); None records all.
        device: Where maps are moved as soon as they are computed, such as ``"cpu"``; None leaves them.
        dtype: What maps are converted to at once, such as ``torch.float16``; None leaves them.
        detach: Cut the maps off the graph; False lets gradients flow through them.

    Yields:
        Name of the map's module -> RecordedMap.

    Raises:
        ValueError: on entry if the model has no attention map, or `only` matches none; at the end if none of them was
            computed.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> plan = cva.insert(model, "cbam", at="stage")
        >>> with cva.record(model, only="layer3.**") as maps:
        ...     logits = model(torch.randn(2, 3, 32, 32))
        >>> for name, map in maps.items():
        ...     print(name, map.kind, tuple(map.values.shape))
        layer3.2.attention.channel_map channel (2, 16, 1, 1)
        layer3.2.attention.spatial.map spatial (2, 1, 8, 8)
    """
    check_module(model)
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise ValueError(f"dtype must be a torch.dtype such as torch.float16, got {dtype!r}")
    modules = bare_modules(model)
    report_lost(modules[""], stacklevel=4)
    watched, chosen = _find(model, modules, only)
    maps, watch, visits, runs = Maps(), Watch(detach=detach), _Visits(), _Visits()

    def keeper(module_name: str) -> Any:
        def keep(below: str, found: RecordedMap) -> None:
            name = ".".join(part for part in (module_name, below) if part)
            if module_name in chosen or name in chosen:
                maps[name] = (found.detach() if detach else found).to(device, dtype)

        return keep

    with ExitStack() as hooks:
        hooks.enter_context(run_eagerly())
        hooks.callback(
            modules[""].register_forward_pre_hook(watch.begin(modules[""]), prepend=True, with_kwargs=True).remove
        )
        for name, adapter in watched.items():
            adapter.attach(modules[name], keeper(name), watch, hooks)
            hooks.callback(modules[name].register_forward_hook(visits.note(name, modules[name])).remove)
        hosts = {name for name, *_ in attached(modules[""])}
        for name, host, child, _ in attached(modules[""]):
            part = host.get_submodule(child)
            hooks.callback(part.register_forward_hook(runs.note(name, part)).remove)
        hooks.callback(modules[""].register_forward_hook(runs.note("(root)", modules[""])).remove)
        with watch:
            yield maps
    if "(root)" in runs.threads and not modules[""].training and not hosts <= runs.threads.keys():
        report_lost(modules[""], runs.threads, stacklevel=4)
    if not maps:
        raise ValueError(_why_nothing(model, modules, watched, visits, watch))


class _Visits:
    """Which modules ran, in which threads."""

    def __init__(self) -> None:
        self.threads: dict[str, set[int]] = {}

    def note(self, name: str, module: nn.Module) -> Any:
        def hook(called: nn.Module, *_: object) -> None:
            if called is not module:
                drop_hook(called, hook)
                return
            self.threads.setdefault(name, set()).add(threading.get_ident())

        return hook


def _why_nothing(
    model: nn.Module, modules: dict[str, nn.Module], watched: dict[str, Adapter], visits: _Visits, watch: Watch
) -> str:
    """Returns the message where no map came: each attention module that was looked at, and why it gave none."""
    lines = [f"nothing was recorded inside the `with record(model)` of {type(model).__name__}:"]
    for name in list(watched)[:_SHOWN]:
        threads = visits.threads.get(name, set())
        if not threads:
            why = "did not run; run this very model there, not a copy, an export or a scripted version of it"
        elif watch.thread not in threads:
            why = "ran in another thread; record in the thread that runs the model"
        else:
            why = (
                "ran neither a softmax nor scaled_dot_product_attention; a kernel such as flash-attn or xformers hides "
                "its map: choose the model's plain or sdpa attention (Hugging Face: attn_implementation='sdpa')"
            )
        lines.append(f"  {name or '(root)'} ({type(modules[name]).__name__}) {why}")
    if len(watched) > _SHOWN:
        lines.append(f"  and {len(watched) - _SHOWN} more")
    return "\n".join(lines)


def _find(model: nn.Module, modules: dict[str, nn.Module], only: Globs | None) -> tuple[dict[str, Adapter], set[str]]:
    """How the maps to record are seen, by module name, and the maps' names; raises ValueError where there are none."""
    watched = adapters_of(modules)
    if not watched:
        raise ValueError(
            f"{type(unwrap(model)).__name__} has no attention map to record: none of its {len(modules)} modules is an "
            "AttentionMap, is known to cv_attention.maps.adapters, or is of a class called ...Attention. A module of "
            "yours with a softmax inside is watched under such a name; into a CNN insert a block first, as in "
            "cv_attention.insert(model, 'cbam')"
        )
    names = {}
    for module_name, adapter in watched.items():
        for below in adapter.speaks_for or ("",):
            names[".".join(part for part in (module_name, below) if part)] = module_name
    if only is None:
        return watched, set(names)
    chosen = select(list(names), [only] if isinstance(only, str) else list(only), "attention map")
    return {names[name]: watched[names[name]] for name in chosen}, set(chosen)
