"""Defines `PlaceDraw`: samples where a network looks next, and shows the places to hooks."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from cv_attention.blocks.base import check_choice
from cv_attention.blocks.draw import Reward, SampledChoice
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.uncompiled import uncompiled

Policy = Literal["reinforce", "pathwise", "random"]


class PlaceDraw(SampledChoice):
    """Samples places around the means that a network proposes, and marks the point where they pass.

    Places are (x, y) from -1, the left or upper edge of the image, to 1, the right or lower edge. It is the twin of
    `AttentionMap` for places: `record` shows them, (B, steps, 2), as a map of kind ``places``. In evaluation nothing is
    random: a place is its mean.

    Papers: recurrent attention (Mnih et al., NeurIPS 2014), https://arxiv.org/abs/1406.6247; the gradient along the
    path of the sample (Kingma & Welling, ICLR 2014), https://arxiv.org/abs/1312.6114.

    Args:
        policy: Where the means get their gradient from. ``reinforce``: from rewards, by `training.Reinforce`; the
            sample is cut off the graph, so that the loss of the classes does not reach the means through it.
            ``pathwise``: through the sample, from whatever is computed with it. ``random``: the places are uniform,
            whatever the means are: a control.
        sigma: Standard deviation of the samples in training, from 0 to 1; above 0 for ``reinforce``.
        reward: What ``reinforce`` rewards: 1 where the prediction is ``correct``, as in the paper, or the
            ``log_probability`` of the true class.

    Raises:
        ValueError: if `policy` or `reward` is unknown, or `sigma` is out of its range.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import PlaceDraw
        >>> draw, mean = PlaceDraw(sigma=0.1), torch.tensor([[0.5, -0.5]])
        >>> draw.eval().choose(mean, None)[0]  # the mean itself
        tensor([[ 0.5000, -0.5000]])
        >>> place, log_probability = draw.train().choose(mean, torch.tensor([[1.0, 9.0]]))  # noise in sigmas
        >>> place  # inside the image; the log-probability is that of (0.6, 0.4)
        tensor([[0.6000, 0.4000]])
    """

    def __init__(self, policy: Policy = "reinforce", *, sigma: float = 0.1, reward: Reward = "correct") -> None:
        check_choice("policy", policy, get_args(Policy))
        if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 <= sigma <= 1:
            raise ValueError(f"sigma must be a number from 0 to 1, got sigma={sigma!r}")
        if policy == "reinforce" and sigma == 0:
            raise ValueError("sigma must be above 0 for policy='reinforce', which learns from the samples' spread")
        super().__init__(policy, reward, entropy=0.0)
        self.sigma = float(sigma)

    @uncompiled  # generators change in every step, and would compile the program again
    def noise(self, batch: int, steps: int, like: Tensor) -> Tensor:
        """Draws the random numbers of a forward in training.

        Args:
            batch: Number of images B.
            steps: Number of glimpses.
            like: A tensor with the device of the result and its floating type, at least float32.

        Returns:
            (B, steps, 2): uniform from -1 to 1 for the first glimpse, and standard normal for the others; with the
            policy ``random`` uniform for all of them.
        """
        dtype = torch.promote_types(like.dtype, torch.float32)
        generator = self.generator(like.device)
        size = (batch, steps, 2)
        uniform = 2 * torch.rand(size, dtype=dtype, device=like.device, generator=generator) - 1
        if self.estimator == "random":
            return uniform
        normal = torch.randn(size, dtype=dtype, device=like.device, generator=generator)
        return torch.cat([uniform[:, :1], normal[:, 1:]], 1)

    def choose(self, mean: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Chooses the places of one step around their means.

        Args:
            mean: (B, 2), inside the image.
            noise: (B, 2) from `noise`; None, and always in evaluation, takes the mean itself.

        Returns:
            The places (B, 2), not outside the image, and the log-probability (B,) of the samples before they were
            moved to its edge, with its gradient to the means; 0 where nothing is sampled.
        """
        mean = widened(mean)
        if noise is None or not self.training:
            return mean, mean.new_zeros(mean.shape[0])
        if self.estimator == "random":
            return noise, mean.new_zeros(mean.shape[0])
        sample = mean + self.sigma * noise
        if self.estimator == "pathwise":
            return sample.clamp(-1, 1), mean.new_zeros(mean.shape[0])
        sample = sample.detach()
        squares = ((sample - mean) / self.sigma).square().sum(1)
        log_probability = -squares / 2 - 2 * math.log(self.sigma) - math.log(2 * math.pi)
        return sample.clamp(-1, 1), log_probability

    def forward(
        self,
        places: Tensor,
        log_probability: Tensor,
        entropy: Tensor,
        baseline: Tensor | None = None,
        extents: Tensor | None = None,
    ) -> Tensor:
        """Returns `places` (B, steps, 2) unchanged; the rest is for hooks.

        Args:
            places: Where the network has looked.
            log_probability: (B, choices) of the samples; the network does not choose the first glimpse.
            entropy: (B,) of what was sampled from.
            baseline: (B, choices) expected rewards, with their gradient; None takes a moving mean.
            extents: (B, steps, scales, 2): half of the width and of the height of what was seen, in the unit of places.
        """
        return places
