"""Applies Mixup (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019) to whole batches, by torchvision."""

from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from cv_attention.config import Data


class Mixing(Callback):
    """Mixes each image and label of a training batch with those of its neighbour; labels become (B, classes).

    Random draws depend only on (seed, epoch, batch, process), so that a resumed run draws the same and no other random
    numbers of training change.

    Args:
        data: Has `mixup` and `cutmix`, the alpha of each; if both are above 0, each batch gets one of them at random.
        num_classes: Number of classes.
        seed: The experiment's seed.
    """

    def __init__(self, data: Data, num_classes: int, seed: int) -> None:
        from torchvision.transforms import v2

        kinds = {v2.MixUp: data.mixup, v2.CutMix: data.cutmix}
        self.transforms = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in kinds.items() if alpha > 0]
        self.seed = seed

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Mixes the batch in place."""
        key = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        [state] = np.random.SeedSequence(key).generate_state(1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(state))  # only the CPU's; GPU generators are left alone
            transform = self.transforms[int(torch.randint(len(self.transforms), ()))]
            batch["image"], batch["label"] = transform(batch["image"].float(), batch["label"])
