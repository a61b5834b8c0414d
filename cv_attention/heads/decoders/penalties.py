"""Losses of attention itself: vectors that no step looks at, and REINFORCE for vectors that are drawn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.blocks.draw import Draw

_MOMENTUM = 0.9


def uncovered(weights: Tensor, real: Tensor, keep: Tensor | None) -> Tensor:
    """Computes the penalty ``Σ_i (1 - Σ_t α_ti)²`` of Xu et al., ICML 2015, https://arxiv.org/abs/1502.03044.

    Args:
        weights: (B, T, N).
        real: Which steps are not padding, bool (B, T).
        keep: Which vectors are not padding, bool (B, N); None keeps all.

    Returns:
        The mean over the batch, a scalar.
    """
    missed = (1 - weights.masked_fill(~real[..., None], 0).sum(1)).square()
    return (missed if keep is None else missed.masked_fill(~keep, 0)).sum(1).mean()


@contextmanager
def drawn_by(draw: Draw | None) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collects the log-probability and the entropy, (B,) each, of what a `Draw` samples at every step."""
    found: list[tuple[Tensor, Tensor]] = []
    if draw is None:
        yield found
        return

    def keep(module: nn.Module, given: Any, sample: Tensor) -> None:
        found.append((given[1], given[2]))

    handle = draw.register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


class Baseline(nn.Module):
    """Computes the loss of drawn vectors, ``-mean((r - b) log p(s)) - λ mean(H)``, and keeps its moving baseline b.

    The reward r is the log-probability of the text, without a gradient; b is ``0.9 b + 0.1 mean(r)`` of the batches
    before, and of the first batch its own mean.

    Papers: REINFORCE (Williams, Machine Learning 1992); Xu et al., ICML 2015, section 4.1,
    https://arxiv.org/abs/1502.03044.
    """

    mean: Tensor
    batches: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def loss(
        self, drawn: Sequence[tuple[Tensor, Tensor]], logits: Tensor, tokens: Tensor, real: Tensor, entropy: float
    ) -> Tensor:
        """Computes the loss of one batch, and moves the baseline.

        Args:
            drawn: Log-probability and entropy (B,) of each step's sample.
            logits: (B, T, outputs).
            tokens: The texts, (B, T); what is not real may hold any number that can be written.
            real: Which numbers are not padding, bool (B, T).
            entropy: λ.

        Returns:
            A scalar.
        """
        log_probability, spread = (
            torch.stack(part, 1).masked_fill(~real, 0).sum(1) for part in zip(*drawn, strict=True)
        )
        each = logits.detach().float().log_softmax(2).gather(2, tokens[..., None])[..., 0]
        reward = each.masked_fill(~real, 0).sum(1)
        before = torch.where(self.batches == 0, reward.mean(), self.mean)
        self.mean.copy_(_MOMENTUM * before + (1 - _MOMENTUM) * reward.mean())
        self.batches.add_(1)
        return -((reward - before) * log_probability).mean() - entropy * spread.mean()
