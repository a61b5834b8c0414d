"""Attention maps of a model while it runs, seen from outside."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import MapKind
from cv_attention.maps.adapters import Adapter, adapter_of
from cv_attention.maps.wrappers import bare_modules, run_eagerly, select


@dataclass(frozen=True)
class RecordedMap:
    """One attention map of a batch.

    Attributes:
        values: The map, shaped as its kind says.
        kind: ``channel`` (B, C, 1, 1), ``spatial`` (B, 1, H, W), ``joint`` (B, C, H, W), ``pairwise``
            (B, heads, queries, H, W) or ``alignment`` (B, heads, queries, keys).
    """

    values: Tensor
    kind: MapKind


@contextmanager
def record(
    model: nn.Module,
    *,
    only: str | Sequence[str] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    detach: bool = True,
) -> Iterator[dict[str, RecordedMap]]:
    """Records every attention map of the forwards that run inside the ``with``: our blocks' and the known libraries'.

        with record(model) as maps:
            model(images)
        maps["layer4.1.bn2.attention.map"].values

    The dict fills as the maps are computed and stays afterwards; it is in the order of the first computation. A map
    that is computed again, by a second forward or by a block that runs twice, replaces the one before. Only forwards
    of the thread that entered the ``with`` count. Wrappers (``torch.compile``, DDP, FSDP) leave no trace in the names,
    and compiled models run uncompiled meanwhile. No hook is left behind.

    Args:
        model: Any model with attention inside, see `adapters`.
        only: Names or globs of the maps to record (``"layer4.*"``); None records all.
        device: Where maps are moved as soon as they are computed, such as ``"cpu"``; None leaves them.
        dtype: What maps are converted to at once, such as ``torch.float16``; None leaves them.
        detach: Cut the maps off the graph; False lets gradients flow through them.

    Yields:
        Name of the map's module -> RecordedMap.

    Raises:
        ValueError: on entry if the model has no attention map, or `only` matches none; at the end if none of them was
            computed.
    """
    places = _find(model, only)
    maps: dict[str, RecordedMap] = {}
    thread = threading.get_ident()

    def keep(name: str, kind: MapKind, values: Tensor) -> None:
        if threading.get_ident() == thread:
            values = values.detach() if detach else values
            maps[name] = RecordedMap(values.to(device=device, dtype=dtype), kind)

    with ExitStack() as hooks:
        hooks.enter_context(run_eagerly())
        for name, (module, adapter) in places.items():
            adapter.attach(module, partial(keep, name, adapter.kind), hooks)
        yield maps
    if not maps:
        raise ValueError(
            f"nothing was recorded: {type(model).__name__} has attention maps ({', '.join(places)[:200]}), "
            "but none was computed inside the `with record(model)`; run this very model there, in the same thread, and "
            "not a copy, an export or a scripted version of it"
        )


def _find(model: nn.Module, only: str | Sequence[str] | None) -> dict[str, tuple[nn.Module, Adapter]]:
    """The modules to look at, by name; raises ValueError where there are none."""
    adapters = {name: (module, adapter_of(module)) for name, module in bare_modules(model).items()}
    places = {name: (module, adapter) for name, (module, adapter) in adapters.items() if adapter is not None}
    if not places:
        raise ValueError(
            f"{type(model).__name__} has no attention map to record: none of its modules is an AttentionMap or an "
            "attention module known to cv_attention.maps.adapters; insert a block first, as in "
            "cv_attention.insert(model, 'cbam')"
        )
    if only is None:
        return places
    globs = [only] if isinstance(only, str) else list(only)
    return {name: places[name] for name in select(list(places), globs, "attention map")}
