"""Hard attention pooling (Xu et al., ICML 2015), https://arxiv.org/abs/1502.03044."""

from torch import Tensor

from cv_attention.blocks.base import Device, Dtype, check_number
from cv_attention.blocks.draw import Draw, Estimator, Reward
from cv_attention.blocks.functional.gating import softmax_gate
from cv_attention.blocks.pooling.additive import AdditivePool
from cv_attention.blocks.pooling.weighted import State


class HardPool(AdditivePool):
    """Looks at a single position, drawn by additive scores: ``x_i * N s_i``, with s a one-hot sample of their softmax.

    Paper: Hard attention (Xu et al., ICML 2015), https://arxiv.org/abs/1502.03044.

    At the position `pool`, the network's mean makes of it the features of the drawn position alone. In evaluation it is
    the position of the largest score, so that predictions are not random; equal scores share the weight, and a fresh
    block is the identity.

    Sampling from the start often ends at the same corner of every image. So the block first pools softly, as
    `AdditivePool`, as long as `soft` is true: ``cv-attention fit`` clears it after the share `warmup` of the training.
    In a training loop of your own, set ``block.soft = False`` when it is time.

    Map: `spatial`, (B, 1, H, W), N at one position and 0 elsewhere; with several heads `joint`, (B, C, H, W).

    Args:
        channels: Channels C of the input.
        width: Length of v; None takes C // 4, at least 1.
        state: The state s of the scores: ``learned`` or ``global``, as `AdditivePool` says.
        heads: Number of groups of C / heads neighbouring channels, each with a sample of its own.
        estimator: How the scores learn: ``gumbel`` by the straight-through Gumbel-softmax; ``reinforce`` by rewards,
            which ``cv-attention fit`` adds to the loss, and in your own loop `training.Reinforce`.
        temperature: Temperature of the Gumbel-softmax's gradient, above 0.
        warmup: Share of the training that is soft, in [0, 1].
        soft_chance: Chance that a sampled training image is pooled softly, in [0, 1]; 0.5 in the paper.
        reward: What ``reinforce`` rewards: ``log_probability`` of the true class, as in the paper, or ``correct``.
        entropy: Weight of the entropy that ``reinforce`` adds to the reward.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Attributes:
        soft: Whether training pools softly now.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or another argument is out of its range.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import HardPool
        >>> block, x = HardPool(64, warmup=0), torch.randn(2, 64, 7, 7)
        >>> (block(x) != 0).flatten(2).any(1).sum(1)  # positions that count, of each image
        tensor([1, 1])
        >>> torch.equal(block.eval()(x), x)  # all scores are equal
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int | None = None,
        state: State = "learned",
        heads: int = 1,
        estimator: Estimator = "gumbel",
        temperature: float = 1.0,
        warmup: float = 0.5,
        soft_chance: float = 0.0,
        reward: Reward = "log_probability",
        entropy: float = 0.02,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(channels, width=width, state=state, heads=heads, device=device, dtype=dtype)
        check_number(warmup=warmup, soft_chance=soft_chance)
        for name, share in {"warmup": warmup, "soft_chance": soft_chance}.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {name}={share!r}")
        self.warmup, self.soft_chance, self.soft = warmup, soft_chance, warmup > 0
        self.draw = Draw(estimator, temperature=temperature, reward=reward, entropy=entropy)

    def gate(self, x: Tensor) -> Tensor:
        """Computes N times the weights, (B, heads, H*W), of `x` (B, C, H, W)."""
        scores = self.scores(x)
        if self.training and self.soft:
            return softmax_gate(scores)
        return self.draw.choose(scores, self.soft_chance, total=scores.shape[-1])
