"""Saves and restores the states of all random generators."""

import random
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import distributed


class RandomStates(Callback):
    """Saves every process's random states in checkpoints, and restores them just before a resumed run's first batch.

    With another number of processes than before, the states remain those of the seed.
    """

    def __init__(self) -> None:
        self._pending: list[dict[str, Any]] | None = None

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Gathers the states of all processes."""
        states: list[Any] = [random_state(pl_module.device)]
        if trainer.world_size > 1:
            states = states * trainer.world_size
            distributed.all_gather_object(states, random_state(pl_module.device))
        checkpoint["random_states"] = states

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Stores the states for later; building loaders and the like may still draw random numbers."""
        self._pending = checkpoint.get("random_states")

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Restores this process's states."""
        states, self._pending = self._pending, None
        if states is not None and len(states) == trainer.world_size:
            restore(states[trainer.global_rank], pl_module.device)


def random_state(device: torch.device) -> dict[str, Any]:
    """Returns the states of Python's, numpy's and torch's generators as plain values and tensors."""
    version, words, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state(legacy=True)
    states: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore(states: dict[str, Any], device: torch.device) -> None:
    """Restores what `random_state` returned."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
