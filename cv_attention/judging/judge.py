"""Collects one value per image, method and measure, batch by batch, so that no maps are kept."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.judging.measures import AGREEMENT, ATTENTION, GRID, Case, Measure
from cv_attention.judging.recommendation import Verdict, compare
from cv_attention.saliency import metrics
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.methods.attention.block_maps import block_heatmaps
from cv_attention.saliency.methods.model_free.baselines import random_map
from cv_attention.saliency.metrics.agreement import rank_correlations
from cv_attention.statistics import Interval, bootstrap
from cv_attention.training.tasks.classifier import Classifier

BASELINES = ("random_map", "centre_bias")
# Independent of the class, hence not attributions: excluded when blocks' maps are compared with attributions.
_CLASSLESS = (
    *("eigen_cam", "kpca_cam", "fem", "block_maps", "attention_rollout", "attention_flow"),
    *("itti_koch_niebur", "spectral_residual", *BASELINES),
)

Method = Callable[..., Tensor]
T = TypeVar("T")


class Judge:
    """Explains and measures images, batch by batch.

    Args:
        classifier: The network, on its device.
        methods: Name -> method, the baselines among them.
        measures: Name -> measure of single maps; None for those of several: the grid and the agreements.
        left_out: Receives what does not work, with the reason.
        target: ``predicted`` or ``true``.
        seed: Seed of the random maps, the mosaics and the bootstrap.
        steps: Steps of insertion, deletion and selectivity, see `Case`.
    """

    def __init__(
        self,
        classifier: Classifier,
        methods: Mapping[str, Method],
        measures: Mapping[str, Measure | None],
        left_out: dict[str, str],
        *,
        target: str,
        seed: int,
        steps: int | None = None,
    ) -> None:
        self.classifier, self.network = classifier, classifier.network
        self.methods, self.measures, self.left_out = methods, measures, left_out
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be positive, got {steps}")
        self.target, self.seed, self.steps = target, seed, steps
        self.right = torch.empty(0, dtype=torch.bool)
        self._values: dict[str, dict[str, list[Tensor]]] = {name: defaultdict(list) for name in methods}
        self._alike: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: defaultdict(list))
        self._blocks: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: defaultdict(list))

    @torch.no_grad()
    def add(self, batch: Mapping[str, Tensor]) -> None:
        """Explains and measures a batch from `ImageSet.batch`, on the network's device, with every method."""
        images, labels = self.classifier.normalise(batch["image"]), batch["label"]
        predicted = self.network(images).argmax(1)
        targets = labels if self.target == "true" else predicted
        heats: dict[str, Tensor] = {}
        for name in self._working():
            method = self._method(name, len(self.right))
            heat = self._try(name, lambda method=method: _finite(method(self.network, images, targets)))
            if heat is None:
                continue
            heats[name] = heat
            boxes = batch.get("mask", batch.get("box"))
            case = Case(self.network, method, images, targets, heat, boxes, self.steps)
            for measure, one in self.measures.items():
                if one is not None:
                    self._measure(name, measure, lambda one=one, case=case: one.compute(case))
        if AGREEMENT in self.measures:
            self._compare(heats)
        if ATTENTION in self.measures:
            self._compare_blocks(heats, images)
        self.right = torch.cat([self.right, (predicted == labels).cpu()])

    def play_grid(self, batch: Mapping[str, Tensor], count: int, at_once: int) -> None:
        """Plays the grid pointing game on mosaics of a batch of correctly classified images, `at_once` in a pass."""
        mosaics = self._try(GRID, lambda: metrics.mosaics(batch["image"], batch["label"], count, seed=self.seed))
        if mosaics is None:
            self.left_out[GRID] += " among the correctly classified images"
            return
        pictures = self.classifier.normalise(mosaics.images.to(self.classifier.device))
        mosaics = mosaics._replace(images=pictures, labels=mosaics.labels.to(pictures.device))
        for name in self._working():
            method = self._method(name, 0)
            game = partial(metrics.grid_pointing_game, method, self.network, mosaics, batch_size=at_once)
            self._measure(name, GRID, lambda game=game: game().mean(1))

    def table(self) -> dict[str, dict[str, Interval]]:
        """Returns method -> measure -> mean over images with its interval."""
        return {
            name: {
                measure: self._interval(values)
                for measure in self.measures
                if (values := self._values[name].get(measure)) and f"{measure} of {name}" not in self.left_out
            }
            for name in self._working()
        }

    def values(self, measure: str) -> dict[str, np.ndarray]:
        """Returns method -> the values of the images, in order, of a measure that did not fail."""
        return {
            name: torch.cat(found).numpy()
            for name in self._working()
            if (found := self._values[name].get(measure)) and f"{measure} of {name}" not in self.left_out
        }

    def verdicts(self, good: Mapping[str, str]) -> list[Verdict]:
        """Compares the two best methods on each measure that has a direction."""
        found = [
            compare(measure, self.values(measure), direction, seed=self.seed)  # pyright: ignore[reportArgumentType]
            for measure, direction in good.items()
            if direction
        ]
        return [verdict for verdict in found if verdict is not None]

    def agreement(self) -> dict[str, dict[str, float]]:
        """Returns method -> method -> mean rank correlation."""
        working = self._working()
        return {
            first: {second: self._interval(self._alike[first][second]).mean for second in working}
            for first in working
            if first in self._alike
        }

    def attention(self) -> dict[str, dict[str, Interval]]:
        """Returns block's map -> method -> mean rank correlation with its interval."""
        return {
            block: {name: self._interval(values) for name, values in row.items() if name not in self.left_out}
            for block, row in self._blocks.items()
        }

    def _working(self) -> list[str]:
        return [name for name in self.methods if name not in self.left_out]

    def _method(self, name: str, first: int) -> Method:
        """Returns the method; random maps differ per image, or one pixel would decide the whole pointing game."""
        return _random_maps(self.seed + first) if name == "random_map" else self.methods[name]

    def _measure(self, name: str, measure: str, compute: Callable[[], Tensor]) -> None:
        what = f"{measure} of {name}"
        values = None if what in self.left_out else self._try(what, compute)
        if values is not None and len(values):
            self._values[name][measure].append(values.detach().float().cpu())

    def _try(self, what: str, compute: Callable[[], T]) -> T | None:
        """Returns the result of `compute`; notes a failure due to this network or its image size instead."""
        try:
            return compute()
        except (ValueError, RuntimeError) as error:
            self.left_out[what] = " ".join(str(error).split())[:200]
            return None

    def _compare(self, heats: Mapping[str, Tensor]) -> None:
        """Computes rank correlations of all pairs of methods, and of each with all others except baselines."""
        correlations, names = rank_correlations(list(heats.values())).cpu(), list(heats)
        for i, first in enumerate(names):
            for j, second in enumerate(names):
                self._alike[first][second].append(correlations[:, i, j])
            others = [j for j, second in enumerate(names) if second not in (first, *BASELINES)]
            if others:
                self._values[first][AGREEMENT].append(correlations[:, i, others].mean(1))

    def _compare_blocks(self, heats: Mapping[str, Tensor], images: Tensor) -> None:
        """Correlates the methods with all blocks' maps combined, and the class-specific ones with each map."""
        blocks = None
        if ATTENTION not in self.left_out:
            blocks = self._try(ATTENTION, lambda: block_heatmaps(self.network, images))
        if blocks is None:
            return
        compared = [name for name in heats if name != "block_maps"]
        maps = [fuse(list(blocks.values()), images), *(fuse([heat], images) for heat in blocks.values())]
        correlations = rank_correlations([*maps, *(heats[name] for name in compared)]).cpu()
        for column, name in enumerate(compared, len(maps)):
            self._values[name][ATTENTION].append(correlations[:, 0, column])
            if name not in _CLASSLESS:
                for row, block in enumerate(blocks, 1):
                    self._blocks[block][name].append(correlations[:, row, column])

    def _interval(self, values: Sequence[Tensor]) -> Interval:
        return bootstrap(torch.cat(list(values)).numpy(), seed=self.seed)


def _random_maps(first: int) -> Method:
    def method(model: nn.Module | None, images: Tensor, targets: Tensor | None = None) -> Tensor:
        return torch.cat([random_map(model, images[i : i + 1], seed=first + i) for i in range(len(images))])

    return method


def _finite(heat: Tensor) -> Tensor:
    heat = heat.detach()
    if not bool(heat.isfinite().all()):
        raise ValueError("its maps are not finite")
    return heat
