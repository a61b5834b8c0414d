"""Recurrent decoders with attention: Bahdanau's, Luong's, and Show, Attend and Tell."""

from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_choice, check_number, check_whole
from cv_attention.blocks.draw import Draw
from cv_attention.blocks.memory import Memory
from cv_attention.heads.decoders.decoder import Decoder, check_dropout, weigh
from cv_attention.heads.decoders.penalties import Baseline, drawn_by, uncovered
from cv_attention.heads.decoders.positions import Position, Positions
from cv_attention.heads.decoders.scores import ScoreName, create_score

Attend = Literal["before", "after"]
Context = Literal["attention", "mean"]
Sampling = Literal["none", "gumbel", "reinforce"]


class _State(NamedTuple):
    hidden: Tensor  # (B, S)
    cell: Tensor | None  # (B, S), of an LSTM
    attentional: Tensor | None  # (B, S), where attention comes after the cell
    values: Tensor  # (B, N, C)
    keys: Tensor  # (B, N, A)
    keep: Tensor | None
    grid: tuple[int, int] | None


class RecurrentDecoder(Decoder):
    """Writes a text with a GRU or an LSTM that looks back at the memory at every step.

    Papers: Bahdanau et al., ICLR 2015, https://arxiv.org/abs/1409.0473; Luong et al., EMNLP 2015,
    https://arxiv.org/abs/1508.04025; Xu et al., ICML 2015, https://arxiv.org/abs/1502.03044.

    With h_i the vectors of the memory, y the numbers, E their embedding and ``s_0 = tanh(W mean_i h_i)``:

    - ``attend: before`` (Bahdanau): ``α_t = softmax_i score(s_{t-1}, h_i)``, ``c_t = Σ_i α_ti h_i``,
      ``s_t = cell([E y_{t-1}; c_t], s_{t-1})``, logits ``W_o [s_t; c_t; E y_{t-1}]``. The paper's maxout is left out.
    - ``attend: after`` (Luong): ``s_t = cell([E y_{t-1}; h̃_{t-1}], s_{t-1})``, α_t from s_t,
      ``h̃_t = tanh(W_c [c_t; s_t])``, logits ``W_o h̃_t``, with input feeding.

    Map: `map`, `pairwise`, (B, 1, steps, H, W); each step's weights sum to 1.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written.
        longest: Units of the longest text.
        grid: Rows and columns of the memory, for learned positions.
        cell: ``gru`` or ``lstm``.
        width: Length S of the state.
        embedding: Length of the embedding of a number.
        score: ``additive``, ``dot``, ``general``, ``concat`` or ``local``.
        hidden: Length of the hidden vector of additive and concatenated scores.
        reach: D of local scores, in positions.
        attend: Whether attention comes ``before`` the cell, with the last state, or ``after`` it.
        context: ``attention``; or ``mean``, where c_t is the mean of the memory at every step: the encoder–decoder with
            a vector of fixed length, which is the control that the papers compare with.
        gate: Whether c_t is multiplied by Xu's ``β_t = sigmoid(W_β s_{t-1})``.
        sampling: ``none`` weighs all vectors; ``gumbel`` and ``reinforce`` draw one at each step of training, which is
            Xu's hard attention, and take the largest score in evaluation. They learn by the straight-through
            Gumbel-softmax or by REINFORCE, whose reward is the log-probability of the text; see `blocks.Draw`.
        warmup: Share of the training that weighs all vectors before any is drawn, in [0, 1].
        entropy: Weight of the entropy that ``reinforce`` adds to the reward.
        coverage: Weight of Xu's penalty ``Σ_i (1 - Σ_t α_ti)²`` on vectors that no step, or more than one, looks at.
        dropout: Share of the numbers that training drops in front of the logits, in [0, 1).
        position: Encoding of the positions that is added to the memory: ``sine``, ``learned`` or ``none``.

    Raises:
        ValueError: if an option is unknown or out of range, or the score does not suit the lengths.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import Memory, RecurrentDecoder
        >>> decoder = RecurrentDecoder(64, outputs=11, longest=5, score="general", width=32)
        >>> found = decoder.read(Memory(torch.randn(2, 12, 64), grid=(3, 4)))
        >>> found.tokens.shape[0], found.weights.shape[1], found.weights.shape[3]
        (2, 1, 12)
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        longest: int,
        grid: tuple[int, int] = (8, 32),
        *,
        cell: Literal["gru", "lstm"] = "gru",
        width: int = 128,
        embedding: int = 64,
        score: ScoreName = "additive",
        hidden: int = 64,
        reach: int = 2,
        attend: Attend = "before",
        context: Context = "attention",
        gate: bool = False,
        sampling: Sampling = "none",
        warmup: float = 0.5,
        entropy: float = 0.02,
        coverage: float = 0.0,
        dropout: float = 0.0,
        position: Position = "sine",
    ) -> None:
        super().__init__(channels, outputs, longest, attends=context == "attention")
        check_whole(width=width, embedding=embedding, hidden=hidden, reach=reach)
        check_number(coverage=coverage, warmup=warmup, entropy=entropy)
        check_choice("cell", cell, ("gru", "lstm"))
        check_choice("attend", attend, get_args(Attend))
        check_choice("context", context, get_args(Context))
        check_choice("sampling", sampling, get_args(Sampling))
        _check_range(coverage, dropout, warmup)
        if context == "mean" and sampling != "none":
            raise ValueError(
                f"context 'mean' attends to nothing, so that sampling={sampling!r} has nothing to draw from"
            )
        self.attend, self.coverage = attend, coverage
        self.positions = Positions(channels, position, grid)
        self.embedding = nn.Embedding(outputs + 2, embedding, padding_idx=self.padding)
        self.start_state = nn.Linear(channels, width)
        self.start_cell = nn.Linear(channels, width) if cell == "lstm" else None
        kind = nn.GRUCell if cell == "gru" else nn.LSTMCell
        self.cell = kind(embedding + (channels if attend == "before" else width), width)
        self.score = create_score(score, width, channels, hidden, reach) if context == "attention" else None
        self.draw = None if sampling == "none" else Draw(sampling, entropy=entropy)
        self.warmup, self.soft = warmup, self.draw is not None and warmup > 0
        self.baseline = Baseline() if sampling == "reinforce" else None
        self.gate = nn.Linear(width, channels) if gate else None
        self.combine = nn.Linear(channels + width, width, bias=False) if attend == "after" else None
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width if attend == "after" else width + channels + embedding, outputs)

    def start(self, memory: Memory) -> _State:
        """Returns the state before the first step: made of the mean of the memory."""
        memory = self.positions(memory)
        mean = _mean(memory)
        hidden = self.start_state(mean).tanh()
        cell = None if self.start_cell is None else self.start_cell(mean).tanh()
        attentional = torch.zeros_like(hidden) if self.attend == "after" else None
        # A fixed vector is a memory of one vector.
        values = memory.values if self.score is not None else mean[:, None]
        keys = memory.values if self.score is None else self.score.keys(memory.values)
        return _State(hidden, cell, attentional, values, keys, memory.keep, memory.grid)

    def step(self, state: _State, token: Tensor) -> tuple[Tensor, _State, Tensor | None]:
        """Writes one number: logits (B, outputs), the next state, and weights (B, 1, N)."""
        embedded = self.embedding(token)
        if self.attend == "after":
            assert self.combine is not None
            assert state.attentional is not None
            state = self._moved(state, torch.cat([embedded, state.attentional], 1))
            context, weights = self._look(state)
            attentional = self.combine(torch.cat([context, state.hidden], 1)).tanh()
            return self.output(self.dropout(attentional)), state._replace(attentional=attentional), weights
        context, weights = self._look(state)
        state = self._moved(state, torch.cat([embedded, context], 1))
        deep = torch.cat([state.hidden, context, embedded], 1)
        return self.output(self.dropout(deep)), state, weights

    def loss(self, memory: Memory, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
        """Computes the training loss; with the penalty of coverage and that of drawn vectors, where these are set."""
        memory.check()
        with drawn_by(self.draw) as drawn:
            decoded = self.decode(memory, tokens)
        loss = self.cross_entropy(decoded.logits, tokens, smoothing)
        real = tokens != self.padding
        if self.coverage and decoded.weights is not None:
            loss = loss + self.coverage * uncovered(decoded.weights[:, 0], real, memory.keep)
        if self.training and self.baseline is not None and self.draw is not None and drawn:
            loss = loss + self.baseline.loss(
                drawn, decoded.logits, tokens.masked_fill(~real, 0), real, self.draw.entropy
            )
        return loss

    def _moved(self, state: _State, entered: Tensor) -> _State:
        if state.cell is None:
            return state._replace(hidden=self.cell(entered, state.hidden))
        moved: Any = self.cell(entered, (state.hidden, state.cell))
        return state._replace(hidden=moved[0], cell=moved[1])

    def _look(self, state: _State) -> tuple[Tensor, Tensor | None]:
        """Returns what a state reads from the memory, (B, C), and its weights (B, 1, N)."""
        if self.score is None:
            context, weights = state.values[:, 0], None
        else:
            weights = self._weights(self.score(state.hidden[:, None], state.keys, state.grid), state.keep)
            context = (weights.to(state.values.dtype) @ state.values)[:, 0]
        return context if self.gate is None else context * self.gate(state.hidden).sigmoid(), weights

    def _weights(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        """Returns the weights (B, 1, N) of scores: all of them, or one that is drawn."""
        if self.draw is None or (self.training and self.soft):
            return weigh(scores, keep)
        return self.draw.choose(scores if keep is None else scores.masked_fill(~keep[:, None], -torch.inf))


def _mean(memory: Memory) -> Tensor:
    """Returns the mean (B, C) of the vectors that are not padding."""
    if memory.keep is None:
        return memory.values.mean(1)
    keep = memory.keep.to(memory.values.dtype)
    return (keep[:, None] @ memory.values)[:, 0] / keep.sum(1, keepdim=True)


def _check_range(coverage: float, dropout: float, warmup: float) -> None:
    if not 0 <= warmup <= 1:
        raise ValueError(f"warmup must be in [0, 1], got warmup={warmup!r}")
    if coverage < 0:
        raise ValueError(f"coverage must be at least 0, got coverage={coverage!r}")
    check_dropout(dropout)


class GRUDecoder(RecurrentDecoder):
    """Writes a text with a GRU that looks back at the memory; see `RecurrentDecoder`, whose options it takes.

    Paper: Bahdanau et al., ICLR 2015, https://arxiv.org/abs/1409.0473.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written.
        longest: Units of the longest text.
        grid: Rows and columns of the memory, for learned positions.
        **options: Options of `RecurrentDecoder` but for ``cell``.

    Examples:
        >>> from cv_attention.heads import GRUDecoder
        >>> GRUDecoder(64, outputs=11, longest=5).cell
        GRUCell(128, 128)
    """

    def __init__(self, channels: int, outputs: int, longest: int, grid: tuple[int, int] = (8, 32), **options: Any):
        super().__init__(channels, outputs, longest, grid, cell="gru", **options)


class LSTMDecoder(RecurrentDecoder):
    """Writes a text with an LSTM that looks back at the memory; see `RecurrentDecoder`, whose options it takes.

    Paper: Xu et al., ICML 2015, https://arxiv.org/abs/1502.03044.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written.
        longest: Units of the longest text.
        grid: Rows and columns of the memory, for learned positions.
        **options: Options of `RecurrentDecoder` but for ``cell``.

    Examples:
        >>> from cv_attention.heads import LSTMDecoder
        >>> LSTMDecoder(64, outputs=11, longest=5).cell
        LSTMCell(128, 128)
    """

    def __init__(self, channels: int, outputs: int, longest: int, grid: tuple[int, int] = (8, 32), **options: Any):
        super().__init__(channels, outputs, longest, grid, cell="lstm", **options)
