"""Defines `Draw`: samples one position from attention scores, and shows the sample to hooks."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_choice, check_number, check_positive
from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.uncompiled import uncompiled

Estimator = Literal["gumbel", "reinforce"]
Reward = Literal["log_probability", "correct"]

_STEP = 0x9E3779B97F4A7C15  # between the seeds of one forward's draws: odd, so that they differ


class SampledChoice(nn.Module):
    """Base class of `Draw` and `PlaceDraw`: what is sampled in training, seeded, and learns as its estimator says.

    Args:
        estimator: Where the choice gets its gradient from; ``reinforce`` needs the loss of `training.Reinforce`.
        reward: What ``reinforce`` rewards: ``log_probability`` of the true class, or 1 where the prediction is
            ``correct``.
        entropy: Weight of the entropy in the loss of ``reinforce``.

    Raises:
        ValueError: if `reward` is unknown or `entropy` is not a number.

    Examples:
        >>> from cv_attention.blocks import Draw, PlaceDraw, SampledChoice
        >>> isinstance(Draw(), SampledChoice), isinstance(PlaceDraw(), SampledChoice)
        (True, True)
    """

    def __init__(self, estimator: str, reward: Reward, entropy: float) -> None:
        super().__init__()
        check_choice("reward", reward, get_args(Reward))
        check_number(entropy=entropy)
        self.estimator, self.reward, self.entropy = estimator, reward, entropy
        self._seed: int | None = None
        self._drawn = 0

    def reseed(self, seed: int | None) -> None:
        """Lets the next samples depend on `seed` alone; None takes torch's global random state again."""
        self._seed, self._drawn = seed, 0

    def generator(self, device: torch.device) -> torch.Generator | None:
        """Returns the source of the next sample's random numbers; None is torch's global one.

        Args:
            device: Where the numbers are drawn.
        """
        if self._seed is None:
            return None
        generator = torch.Generator(device).manual_seed((self._seed + self._drawn * _STEP) % 2**63)
        self._drawn += 1
        return generator

    def extra_repr(self) -> str:
        """Shows the estimator in ``print(model)``."""
        return f"estimator={self.estimator!r}"


class Draw(SampledChoice):
    """Samples attention weights that are 1 at one position, and marks the place where the sample passes.

    It is the twin of `AttentionMap`: an identity that hooks can see from outside. A forward hook gets the sample, its
    log-probability (B,) and the entropy (B,) of what it was drawn from as the module's inputs; `training.draws_of`
    collects them. In evaluation nothing is random: the largest score is taken, and equal ones share the weight.

    Papers: "hard" attention (Xu et al., ICML 2015, section 4.1), https://arxiv.org/abs/1502.03044; the straight-through
    Gumbel-softmax (Jang et al., ICLR 2017), https://arxiv.org/abs/1611.01144.

    Args:
        estimator: Where the scores get their gradient from: ``gumbel`` takes that of a softmax with the same noise;
            ``reinforce`` has none in the forward, and needs the loss of `training.Reinforce`.
        temperature: Temperature of that softmax, above 0; the sample does not depend on it.
        reward: What ``reinforce`` rewards: ``log_probability`` of the true class, or 1 where the prediction is
            ``correct``.
        entropy: Weight of the entropy in the loss of ``reinforce``; what is above 0 keeps samples from agreeing early.

    Raises:
        ValueError: if `estimator` or `reward` is unknown, `temperature` is not positive or `entropy` is not a number.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import Draw
        >>> draw = Draw()
        >>> draw.reseed(0)
        >>> draw.choose(torch.zeros(1, 1, 4))
        tensor([[[0., 1., 0., 0.]]])
        >>> draw.eval().choose(torch.tensor([[[0.0, 2.0, 1.0]]]))
        tensor([[[0., 1., 0.]]])
    """

    def __init__(
        self,
        estimator: Estimator = "gumbel",
        *,
        temperature: float = 1.0,
        reward: Reward = "log_probability",
        entropy: float = 0.0,
    ) -> None:
        check_choice("estimator", estimator, get_args(Estimator))
        check_positive(temperature=temperature)
        super().__init__(estimator, reward, entropy)
        self.temperature = temperature

    def choose(self, scores: Tensor, soft_chance: float = 0.0, total: float = 1.0) -> Tensor:
        """Samples weights from the softmax of `scores`, in training; takes the largest score in evaluation.

        Args:
            scores: (B, heads, N); at least one of N finite, -inf is never drawn.
            soft_chance: Chance that an image gets the softmax itself in place of a sample, in [0, 1] (Xu et al.,
                section 4.2.1). It then has the log-probability 0.
            total: Sum of the weights returned: N makes a gate of mean 1, in evaluation without rounding.

        Returns:
            (B, heads, N), in float32, or float64 where the scores are; sums to `total`.
        """
        if self.training:
            return self._sample(scores, soft_chance) * total
        scores = widened(scores)
        largest = (scores == scores.amax(-1, keepdim=True)).to(scores.dtype)
        count = largest.sum(-1, keepdim=True)
        self._pass(scores, largest / count, None)
        return largest * total / count

    @uncompiled  # generators and hooks that change every step would compile the program again
    def _sample(self, scores: Tensor, soft_chance: float) -> Tensor:
        with without_autocast(scores):
            scores = widened(scores)
            noise = self._noise(scores)
            noisy = scores - (-noise[..., :-1].clamp_min(torch.finfo(scores.dtype).tiny).log()).log()  # Gumbel's
            sample = torch.zeros_like(scores).scatter(-1, noisy.detach().argmax(-1, keepdim=True), 1.0)
            drawn = sample
            if self.estimator == "gumbel":
                soft = (noisy / self.temperature).softmax(-1)
                sample = sample + (soft - soft.detach())
            if soft_chance:
                kept = noise[:, :1, -1:] >= soft_chance
                sample, drawn = torch.where(kept, sample, scores.softmax(-1)), drawn * kept
            return self._pass(scores, sample, drawn)

    def _pass(self, scores: Tensor, weights: Tensor, drawn: Tensor | None) -> Tensor:
        logarithms = scores.log_softmax(-1)
        finite = logarithms.masked_fill(logarithms == -torch.inf, 0)
        log_probability = (finite * (weights if drawn is None else drawn)).sum((1, 2))
        entropy = -(logarithms.exp() * finite).sum((1, 2))
        return self(weights, log_probability, entropy)

    def _noise(self, scores: Tensor) -> Tensor:
        """Uniform numbers (B, heads, N + 1): one for each position, and one more."""
        size = (*scores.shape[:-1], scores.shape[-1] + 1)
        generator = self.generator(scores.device)
        return torch.rand(size, dtype=scores.dtype, device=scores.device, generator=generator)

    def forward(self, sample: Tensor, log_probability: Tensor, entropy: Tensor) -> Tensor:
        """Returns `sample` (B, heads, N) unchanged; `log_probability` and `entropy` (B,) are for hooks."""
        return sample
