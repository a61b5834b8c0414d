"""Seeds the samples of hard attention and glimpses, ends soft warm-ups, and warns of attention that never moves."""

from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from cv_attention.blocks import AttentionMap, Draw, HardPool, SampledChoice
from cv_attention.training.callbacks.terminal import say

_COLLAPSED = 0.95  # share of the images whose largest weight lies at one position


class Sampling(Callback):
    """Seeds every `Draw` and `PlaceDraw` before each batch, and lets what draws sample once its warm-up is over.

    Samples depend only on (seed, epoch, batch, process), so that a resumed run draws the same and no other random
    numbers of training change.

    Args:
        seed: The experiment's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Seeds the draws of this batch."""
        progress = (trainer.current_epoch + batch_idx / trainer.num_training_batches) / (trainer.max_epochs or 1)
        for module in pl_module.network.modules():
            if isinstance(getattr(module, "draw", None), Draw):
                module.soft = progress < module.warmup
        key = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        for number, draw in enumerate(_of_type(pl_module.network, SampledChoice)):
            high, low = np.random.SeedSequence((*key, number)).generate_state(2)
            draw.reseed((int(high) << 31) + int(low))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Gives the draws torch's global random state again."""
        for draw in _of_type(pl_module.network, SampledChoice):
            draw.reseed(None)


class CollapseWarning(Callback):
    """Warns once if a hard attention pooling looks at the same position of almost all validation images.

    It counts, over the validation images of the first process, where the largest weight lies. Before the end of the
    soft warm-up, and in blocks with several heads, it does not look.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Tensor] = {}
        self._handles: list[Any] = []
        self._warned = False

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Starts counting."""
        self._counts = {}
        if self._warned or not trainer.is_global_zero or trainer.state.fn != "fit":
            return
        for name, block in pl_module.network.named_modules():
            if isinstance(block, HardPool) and block.heads == 1 and not self._is_soft(trainer, block):
                self._handles.append(block.map.register_forward_hook(self._counter(name)))

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Warns where one position has nearly all images."""
        self._stop()
        for name, counts in self._counts.items():
            share = float(counts.max() / counts.sum())
            if share > _COLLAPSED and not self._warned:
                self._warned = True
                say(
                    trainer,
                    f"warning: {name} looks at the same position of {100 * share:.0f} % of the validation images: its "
                    "sampling has collapsed; try a longer warmup, a higher entropy or another estimator",
                )

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leaves no hook behind."""
        self._stop()

    def _stop(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _counter(self, name: str) -> Any:
        def count(map_: AttentionMap, given: Any, weights: Tensor) -> None:
            flat = weights.detach().flatten(1)
            found = torch.bincount(flat.argmax(1), minlength=flat.shape[1]).cpu()
            before = self._counts.get(name)
            # images of another size have other positions
            self._counts[name] = found if before is None or len(before) != len(found) else before + found

        return count

    @staticmethod
    def _is_soft(trainer: lightning.Trainer, block: HardPool) -> bool:
        # from the epoch, as the network that is validated may be a moving average, whose flags nobody sets
        return (trainer.current_epoch + 1) / (trainer.max_epochs or 1) <= block.warmup


def samples(network: nn.Module) -> bool:
    """Returns whether a network has a `Draw` or a `PlaceDraw`."""
    return bool(_of_type(network, SampledChoice))


def _of_type(network: nn.Module, kind: type[Any]) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, kind)]
