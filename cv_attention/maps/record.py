"""Attention maps of a model while it runs, seen from outside."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, MapKind
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
    """Records every attention map of the forwards that run inside the ``with``.

        with record(model) as maps:
            model(images)
        maps["layer4.1.bn2.attention.map"].values

    The dict fills as the maps are computed and stays afterwards; it is in the order of the first computation. A map
    that is computed again, by a second forward or by a block that runs twice, replaces the one before. Only forwards
    of the thread that entered the ``with`` count. Wrappers (``torch.compile``, DDP, FSDP) leave no trace in the names,
    and compiled models run uncompiled meanwhile. No hook is left behind.

    Args:
        model: Any model with attention blocks inside.
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
    places = {name: module for name, module in bare_modules(model).items() if isinstance(module, AttentionMap)}
    if not places:
        raise ValueError(
            f"{type(model).__name__} has no attention map to record: none of its modules is an AttentionMap; "
            "insert a block first, as in cv_attention.insert(model, 'cbam')"
        )
    if only is not None:
        globs = [only] if isinstance(only, str) else list(only)
        places = {name: places[name] for name in select(list(places), globs, "attention map")}

    maps: dict[str, RecordedMap] = {}
    thread = threading.get_ident()

    def keep(name: str, module: AttentionMap, values: Tensor) -> None:
        if threading.get_ident() == thread:
            values = values.detach() if detach else values
            maps[name] = RecordedMap(values.to(device=device, dtype=dtype), module.kind)

    with ExitStack() as stack:
        stack.enter_context(run_eagerly())
        for name, module in places.items():
            hook = module.register_forward_hook(lambda module, _, values, name=name: keep(name, module, values))
            stack.callback(hook.remove)
        yield maps
    if not maps:
        raise ValueError(
            f"nothing was recorded: {type(model).__name__} has {len(places)} attention maps ({', '.join(places)[:200]}), "
            "but none was computed inside the `with record(model)`; run this very model there, in the same thread, "
            "and not a copy, an export or a scripted version of it"
        )
