"""Runs a network on the recorded images once: its attention maps, its logits, and saliency maps of its predictions."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.maps import BlockUsage, RecordedMap, UsageStatistics, record
from cv_attention.maps.adapters import adapters_of
from cv_attention.maps.wrappers import bare_modules
from cv_attention.recording.snapshots.class_maps import class_maps
from cv_attention.recording.snapshots.columns import GRAD_CAM, Column, compact, drawable
from cv_attention.recording.snapshots.gates import GateStatistics
from cv_attention.recording.snapshots.glimpses import glimpse_arrays
from cv_attention.recording.snapshots.heads import head_maps
from cv_attention.saliency import grad_cam
from cv_attention.saliency.core.engine import check_logits
from cv_attention.saliency.core.state import undisturbed

_MOST_PAIRWISE = 8  # images whose pairwise maps are kept

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Snapshot:
    """What a network shows on N images.

    Attributes:
        columns: Short key -> maps, in the order of the network; saliency methods last.
        logits: (N, classes), float32 on the CPU.
        classes: Grad-CAM of several classes, see `class_maps`; empty where Grad-CAM is not recorded.
        heads: Name of a self-attention -> (N, heads, h, w), see `head_maps`.
        pairwise: Name of a self-attention -> (at most 8, heads, queries, h, w).
        glimpses: Where the network looked, see `glimpse_arrays`.
        blocks: How much each inserted block is in use on these images.
    """

    columns: dict[str, Column]
    logits: Tensor
    classes: Arrays = field(default_factory=dict)
    heads: Arrays = field(default_factory=dict)
    pairwise: Arrays = field(default_factory=dict)
    glimpses: Arrays = field(default_factory=dict)
    blocks: tuple[BlockUsage, ...] = ()


def take_snapshot(
    network: nn.Module,
    batches: Iterable[Tensor],
    labels: Tensor,
    methods: Mapping[str, Callable[..., Tensor]],
    statistics: GateStatistics | None = None,
) -> Snapshot:
    """Records every attention map, and saliency maps of the predicted classes; the network is left as it was.

    Args:
        network: Maps images to logits (B, classes); run in eval mode.
        batches: Images (B, C, H, W) as the network takes them, on its device; N in all, at least one.
        labels: Their true classes (N), -1 where unknown.
        methods: Name -> saliency method; CAMs are kept at the size of their feature map, others at the images'.
        statistics: Collects the channel gates of these images.

    Raises:
        ValueError: if a method does not work with the network, or it does not return logits.
    """
    snapshots: list[Snapshot] = []
    used, done = UsageStatistics(network), 0
    for batch in batches:
        true = labels[done : done + len(batch)]
        with used.observing():
            logits, maps = _forward(network, batch)
        if statistics is not None:
            statistics.add(maps, true)
        drawn = {name: one for name, one in maps.items() if one.kind != "places"}
        columns = [Column(name, "attention", one.kind, compact(drawable(one))) for name, one in drawn.items()]
        columns += [_explained(network, batch, logits, *method) for method in methods.items()]
        heads, pairwise_left = head_maps(maps), max(0, _MOST_PAIRWISE - done)
        snapshots.append(
            Snapshot(
                {f"m{number}": column for number, column in enumerate(columns)},
                logits.float().cpu(),
                class_maps(network, batch, logits, true) if grad_cam in methods.values() else {},
                {name: compact(one.heads) for name, one in heads.items()},
                {name: compact(one.pairwise[:pairwise_left]) for name, one in heads.items() if one.pairwise.numel()},
                glimpse_arrays(maps),
            )
        )
        done += len(batch)
    return replace(snapshots[0] if len(snapshots) == 1 else _joined(snapshots), blocks=used.blocks())


def _forward(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Mapping[str, RecordedMap]]:
    """Returns the logits, and every map that was computed; a network without attention gives none."""
    maps: Mapping[str, RecordedMap] = {}
    output: Any = None
    with undisturbed(network, inputs.device.type):
        try:
            if adapters_of(bare_modules(network)):
                with record(network) as maps:
                    output = network(inputs)
            else:
                output = network(inputs)
        except ValueError:
            if output is None or maps:
                raise  # else a module is called attention, and computes no map that can be seen
    return check_logits(output, len(inputs), network), maps


def _explained(network: nn.Module, inputs: Tensor, logits: Tensor, name: str, method: Callable[..., Tensor]) -> Column:
    options = {"upsample": False} if "upsample" in inspect.signature(method).parameters else {}
    try:
        heat = method(network, inputs, logits.argmax(1), **options)[:, 0]
    except ValueError as error:
        raise ValueError(
            f"method {name} does not work with {type(network).__name__}: {error}; leave it out of methods"
        ) from error
    return Column(GRAD_CAM if method is grad_cam else name, "saliency", name, compact(heat))


def _joined(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Puts the images of several forwards in a row."""

    def rows(arrays: Sequence[Arrays]) -> Arrays:
        return {key: np.concatenate([each[key] for each in arrays]) for key in arrays[0]}

    columns = {
        key: replace(column, values=np.concatenate([snapshot.columns[key].values for snapshot in snapshots]))
        for key, column in snapshots[0].columns.items()
    }
    return Snapshot(
        columns,
        torch.cat([snapshot.logits for snapshot in snapshots]),
        rows([snapshot.classes for snapshot in snapshots]),
        rows([snapshot.heads for snapshot in snapshots]),
        rows([snapshot.pairwise for snapshot in snapshots if snapshot.pairwise] or [{}]),
        rows([snapshot.glimpses for snapshot in snapshots]),
    )
