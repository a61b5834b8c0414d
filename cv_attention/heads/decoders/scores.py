"""Scores of a decoder's state and the vectors of its memory, as modules; the equations are functions of the blocks."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_choice
from cv_attention.blocks.functional.scores import additive_scores, dot_scores, general_scores, local_scores

ScoreName = Literal["additive", "dot", "general", "concat", "local"]
Grid = tuple[int, int] | None


def create_score(name: ScoreName, state: int, channels: int, width: int, reach: int) -> "Score":
    """Creates the score called `name`.

    Args:
        name: ``additive``, ``dot``, ``general``, ``concat`` or ``local``.
        state: Length S of the decoder's state.
        channels: Channels C of the memory.
        width: Length of the hidden vector of additive and concatenated scores.
        reach: D of local scores, in positions.

    Raises:
        ValueError: if the name is unknown, or the dot product would be of vectors of different lengths.
    """
    check_choice("score", name, get_args(ScoreName))
    if name == "additive":
        return AdditiveScore(state, channels, width)
    if name == "concat":
        return ConcatScore(state, channels, width)
    if name == "general":
        return GeneralScore(state, channels)
    if name == "local":
        return LocalScore(state, channels, width, reach)
    return DotScore(state, channels)


class Score(nn.Module):
    """Base class: `keys` is computed once for a memory, and `forward` for every state."""

    def keys(self, values: Tensor) -> Tensor:
        """Projects the vectors (B, N, C) of a memory, once for all steps."""
        return values

    def forward(self, state: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        """Computes the scores (B, Q, N) of states (B, Q, S) and what `keys` returned, in float32 or wider."""
        raise NotImplementedError


class AdditiveScore(Score):
    """Computes ``v · tanh(W_h h_i + W_s s + b)`` (Bahdanau et al., ICLR 2015)."""

    def __init__(self, state: int, channels: int, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(channels, width, bias=False)
        self.query = nn.Linear(state, width)
        self.v = nn.Parameter(torch.empty(width).uniform_(-1, 1) * width**-0.5)

    def keys(self, values: Tensor) -> Tensor:
        """Projects the vectors (B, N, C) to W_h h, (B, N, width)."""
        return self.key(values)

    def forward(self, state: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        """Computes the scores (B, Q, N)."""
        return additive_scores(self.query(state), keys, self.v)


class ConcatScore(Score):
    """Computes ``v · tanh(W [s; h_i])`` (Luong et al., EMNLP 2015): the columns of W for h are applied once."""

    def __init__(self, state: int, channels: int, width: int) -> None:
        super().__init__()
        self.state_width = state
        self.weight = nn.Parameter(torch.empty(width, state + channels))
        nn.init.xavier_uniform_(self.weight)
        self.v = nn.Parameter(torch.empty(width).uniform_(-1, 1) * width**-0.5)

    def keys(self, values: Tensor) -> Tensor:
        """Projects the vectors (B, N, C) by the columns of W that are theirs, (B, N, width)."""
        return nn.functional.linear(values, self.weight[:, self.state_width :])

    def forward(self, state: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        """Computes the scores (B, Q, N)."""
        return additive_scores(nn.functional.linear(state, self.weight[:, : self.state_width]), keys, self.v)


class DotScore(Score):
    """Computes ``s · h_i`` (Luong et al., EMNLP 2015)."""

    def __init__(self, state: int, channels: int) -> None:
        super().__init__()
        if state != channels:
            raise ValueError(
                f"score 'dot' needs a state as long as the vectors of the memory, but width is {state} and they have "
                f"{channels} channels; set width to {channels}, or take score 'general'"
            )

    def forward(self, state: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        """Computes the scores (B, Q, N)."""
        return dot_scores(state, keys)


class GeneralScore(Score):
    """Computes ``s · W h_i / sqrt(C)`` (Luong et al., EMNLP 2015).

    The divisor is that of scaled dot products. Without it, one step of Adam, which moves every number of W, can change
    scores by so much that a single position gets all the weight, and training begins late.
    """

    def __init__(self, state: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(state, channels))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, state: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        """Computes the scores (B, Q, N)."""
        return general_scores(state, keys, self.weight * self.weight.shape[1] ** -0.5)


class LocalScore(GeneralScore):
    """Adds to general scores the logarithm of a Gaussian around a predicted centre ("local-p" of Luong et al.)."""

    def __init__(self, state: int, channels: int, width: int, reach: int) -> None:
        super().__init__(state, channels)
        self.reach = reach
        self.hidden = nn.Linear(state, width)
        self.centre = nn.Linear(width, 2)

    def forward(self, state: Tensor, keys: Tensor, grid: Grid) -> Tensor:
        """Computes the scores (B, Q, N); a memory without a grid is a ValueError."""
        if grid is None:
            raise ValueError("score 'local' needs a memory with a grid, which has positions")
        share = self.centre(self.hidden(state).tanh()).sigmoid().float()
        centre = share * torch.tensor(grid, device=share.device, dtype=share.dtype)
        return super().forward(state, keys, grid) + local_scores(centre, grid, self.reach)
