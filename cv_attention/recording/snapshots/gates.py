"""Records how each channel gate is distributed over images."""

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.maps import RecordedMap, record
from cv_attention.maps.adapters import adapter_of
from cv_attention.maps.wrappers import bare_modules
from cv_attention.rundir.contents import gate_array

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_IMAGES = 1024  # spread evenly over the split; more would not visibly change a quantile
_MOST_CLASSES = 100
_BINS = 40


class GateStatistics:
    """Collects the channel gates of forwards that run between `look` and `take`, or that are given to `add`.

    Args:
        network: The network.
        images: Number of images in all; every n-th is kept, so that at most `MOST_IMAGES` are.
    """

    def __init__(self, network: nn.Module, images: int) -> None:
        self.network, self.stride = network, -(-max(1, images) // MOST_IMAGES)
        self.names = [
            name
            for name, module in bare_modules(network).items()
            if (adapter := adapter_of(module)) and "channel" in adapter.kinds
        ]
        self._seen, self._hooks = 0, ExitStack()
        self._maps: dict[str, RecordedMap] = {}
        self._gates: dict[str, list[Tensor]] = {}
        self._labels: list[Tensor] = []

    def look(self) -> None:
        """Starts recording a forward pass."""
        if self.names:
            self._maps = self._hooks.enter_context(record(self.network, only=self.names))

    def take(self, labels: Tensor) -> None:
        """Stores the gates of these images (labels (B,)) from the recorded forward pass."""
        self.close()
        self.add(self._maps, labels)

    def add(self, maps: Mapping[str, RecordedMap], labels: Tensor) -> None:
        """Keeps the channel gates among the `maps` of images with labels (B,), -1 where unknown, or (B, classes)."""
        chosen = torch.arange(len(labels))[-self._seen % self.stride :: self.stride]
        self._seen += len(labels)
        self._labels.append(labels[chosen.to(labels.device)].cpu())
        for name, recorded in maps.items():
            if recorded.kind != "channel":
                continue
            gates = recorded.values.flatten(1)
            self._gates.setdefault(name, []).append(gates[chosen.to(gates.device)].float().cpu())

    def close(self) -> None:
        """Removes all hooks, even after an error."""
        self._hooks.close()

    def arrays(self, classes: int) -> dict[str, np.ndarray]:
        """Computes the statistics of every gate, as arrays for one file.

        Returns:
            The arrays of ``maps/gates-XXXX.npz``: quantiles at `QUANTILES`, means, histograms and, of at most 100
            classes, means by class, NaN for a class without an image. Gates with a value that is not finite are left
            out. Empty where nothing was recorded.
        """
        arrays: dict[str, np.ndarray] = {}
        labels = torch.cat(self._labels) if self._labels else torch.empty(0, dtype=torch.long)
        for name, batches in self._gates.items():
            if not batches:
                continue
            values = torch.cat(batches)
            if not bool(values.isfinite().all()):  # training has diverged
                continue
            low, high = float(values.min()), float(values.max())
            quantiles = values.quantile(torch.tensor(QUANTILES), dim=0)
            counts, _ = np.histogram(values.double().numpy(), bins=_BINS, range=(low, max(high, low + 1e-6)))
            arrays[gate_array("quantiles", name)] = quantiles.numpy().astype(np.float16)
            arrays[gate_array("mean", name)] = values.mean(0).numpy().astype(np.float16)
            arrays[gate_array("histogram", name)] = counts.astype(np.int32)
            arrays[gate_array("range", name)] = np.array([low, high], np.float32)
            if classes <= _MOST_CLASSES:
                there = labels > 0 if labels.ndim == 2 else labels[:, None] == torch.arange(classes)
                means = [values[there[:, label]].mean(0).numpy() for label in range(classes)]  # NaN without images
                arrays[gate_array("by_class", name)] = np.stack(means).astype(np.float16)
        if arrays:
            arrays["images"] = np.array(len(labels))
        return arrays
