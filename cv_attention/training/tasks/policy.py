"""Turns the samples of hard attention and glimpses into a loss: REINFORCE with a baseline (Williams 1992)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn

from cv_attention.blocks import SampledChoice


class Drawn(NamedTuple):
    """Holds what one `Draw` or `PlaceDraw` has sampled in a forward.

    Attributes:
        draw: The module.
        log_probability: Log-probability of each image's sample, (B,), or of each of its samples, (B, choices), with its
            gradient.
        entropy: Entropy of what it was drawn from, (B,), with its gradient.
        baseline: Rewards that the network expects, (B, choices), with their gradient; None takes a moving mean.
    """

    draw: SampledChoice
    log_probability: Tensor
    entropy: Tensor
    baseline: Tensor | None = None


@contextmanager
def draws_of(model: nn.Module) -> Iterator[list[Drawn]]:
    """Collects what every `Draw` and `PlaceDraw` of a model samples while it is entered; leaves no hook behind.

    Args:
        model: Any model.

    Yields:
        A list that each forward extends, in the order of the draws.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, training
        >>> block = blocks.HardPool(8, warmup=0)
        >>> with training.draws_of(block) as drawn:
        ...     output = block(torch.randn(2, 8, 4, 4))
        >>> drawn[0].log_probability  # log(1 / 16): a fresh block draws all positions alike
        tensor([-2.7726, -2.7726], grad_fn=<SumBackward1>)
    """
    found: list[Drawn] = []

    def keep(draw: Any, given: tuple[Tensor, ...], sample: Tensor) -> None:
        found.append(Drawn(draw, *given[1:4]))

    handles = [module.register_forward_hook(keep) for module in model.modules() if isinstance(module, SampledChoice)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


class Reinforce:
    """Computes the loss by which sampled choices learn: ``-mean((r - b) log p(s)) - entropy * mean(H)``.

    Papers: REINFORCE (Williams, Machine Learning 1992); with this baseline, hard attention (Xu et al., ICML 2015,
    section 4.1), https://arxiv.org/abs/1502.03044; with a learned one, recurrent attention (Mnih et al., NeurIPS 2014),
    https://arxiv.org/abs/1406.6247.

    r is the reward that each `Draw` asks for, without a gradient. The baseline b is the moving mean of earlier batches'
    rewards, ``0.9 b + 0.1 mean(r)``, of all processes; the first batch takes its own mean. Its gradient with respect to
    the scores is, on average over samples, that of the expected reward. Where a network computes baselines itself, one
    for each of an image's choices, these are taken without their gradient, and learn by ``mean((b - r)^2)``. The terms
    of an image's choices are added up. Draws with another estimator than ``reinforce`` are left out: they have their
    gradient already.

    Attributes:
        baselines: b of each kind of reward, by its name.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, training
        >>> model = torch.nn.Sequential(
        ...     blocks.HardPool(8, warmup=0, estimator="reinforce"),
        ...     torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 3))
        >>> reinforce, labels = training.Reinforce(), torch.tensor([0, 2])
        >>> with training.draws_of(model) as drawn:
        ...     logits = model(torch.randn(2, 8, 4, 4))
        >>> loss = torch.nn.functional.cross_entropy(logits, labels) + reinforce.loss(drawn, logits, labels)
        >>> loss.backward()
        >>> model[0].v.grad is not None
        True
    """

    momentum = 0.9

    def __init__(self) -> None:
        self.baselines: dict[str, Tensor] = {}

    def loss(self, drawn: Sequence[Drawn], logits: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of one batch, and moves the baselines.

        Args:
            drawn: What `draws_of` collected in the forward.
            logits: The network's output, (B, classes).
            labels: Classes (B,), or shares of classes (B, classes).

        Returns:
            A scalar; 0 where nothing was drawn for REINFORCE.
        """
        drawn = [one for one in drawn if one.draw.estimator == "reinforce"]
        loss = logits.new_zeros((), dtype=torch.float32)
        rewards = {kind: _reward(kind, logits, labels) for kind in sorted({one.draw.reward for one in drawn})}
        moving = sorted({one.draw.reward for one in drawn if one.baseline is None})
        before = {kind: self._move(kind, rewards[kind]) for kind in moving}
        for one in drawn:
            reward = rewards[one.draw.reward]
            if one.baseline is None:
                chosen = one.log_probability.reshape(len(reward), -1).sum(1)
                loss = loss - ((reward - before[one.draw.reward]) * chosen).mean()
            else:
                error = one.baseline - reward[:, None]
                loss = loss + (error.detach() * one.log_probability + error.square()).sum() / len(logits)
            loss = loss - one.draw.entropy * one.entropy.mean()
        return loss

    def state_dict(self) -> dict[str, float]:
        """Returns the baselines as plain numbers."""
        return {kind: float(value) for kind, value in self.baselines.items()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Takes over `state`, which `state_dict` returned."""
        self.baselines = {kind: torch.tensor(value, dtype=torch.float32) for kind, value in state.items()}

    def _move(self, kind: str, reward: Tensor) -> Tensor:
        """Returns the baseline for this batch, and makes the next."""
        mean = reward.mean()
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(mean)
            mean = mean / distributed.get_world_size()
        before = self.baselines.get(kind, mean).to(mean.device)
        self.baselines[kind] = self.momentum * before + (1 - self.momentum) * mean
        return before


def _reward(kind: str, logits: Tensor, labels: Tensor) -> Tensor:
    """The reward (B,) of each image, float32 without a gradient."""
    logits = logits.detach().float()
    shares = labels.float() if labels.ndim == 2 else nn.functional.one_hot(labels, logits.shape[1]).float()
    if kind == "correct":
        return shares.gather(1, logits.argmax(1, keepdim=True))[:, 0]
    return (logits.log_softmax(1) * shares).sum(1)
