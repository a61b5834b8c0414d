"""Implements progressive resizing: small images first, the full size at the end."""

from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback


class ProgressiveSize(Callback):
    """Resizes training batches on the device; validation and test use the full size.

    Args:
        sizes: Shorter side in pixels by starting epoch: ``{0: 128, 10: 160}`` trains at 128 px for ten epochs and then
            at 160 px. Before the first given epoch, images keep their size.

    Raises:
        ValueError: if an epoch or a side is out of range.
    """

    def __init__(self, sizes: dict[int, int]) -> None:
        self.sizes = {int(epoch): side for epoch, side in sizes.items()}  # JSON keys are strings
        for epoch, side in self.sizes.items():
            if epoch < 0 or side < 1:
                raise ValueError(f"data.progressive: epochs count from 0 and sides from 1, got {{{epoch}: {side}}}")

    def side(self, epoch: int) -> int | None:
        """Returns the shorter side of the images in `epoch`; None leaves them unchanged."""
        begun = [start for start in self.sizes if start <= epoch]
        return self.sizes[max(begun)] if begun else None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Resizes the batch in place."""
        side = self.side(trainer.current_epoch)
        if side is not None and side != min(batch["image"].shape[2:]):
            from torchvision.transforms.v2 import functional

            resized = functional.resize(batch["image"], [side], antialias=True)
            batch["image"] = resized.contiguous(memory_format=torch.channels_last)
