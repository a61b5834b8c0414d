"""Reads with a decoder: greedy and beam search."""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from cv_attention.alphabet import END
from cv_attention.blocks.base import check_whole
from cv_attention.blocks.memory import Memory
from cv_attention.heads.text_head import Found


class Stepwise(Protocol):
    """What a search needs of a decoder.

    Attributes:
        first: The number that starts a text.
        padding: The number that follows its end.
    """

    first: int
    padding: int

    def start(self, memory: Memory) -> Any:
        """Returns the state before the first step."""
        ...

    def step(self, state: Any, token: Tensor) -> tuple[Tensor, Any, Tensor | None]:
        """Returns logits (B, outputs), the next state, and weights (B, heads, N)."""
        ...


class _Beams(NamedTuple):
    """The texts that are followed: all have the first two axes (B, beams)."""

    totals: Tensor  # log p of each text
    lengths: Tensor  # of each, the end counted
    ended: Tensor
    tokens: Tensor  # (B, beams, t)
    logs: Tensor  # (B, beams, t)
    weights: Tensor | None  # (B, beams, heads, t, N)


def search(decoder: Stepwise, memory: Memory, steps: int, beams: int = 1, length_penalty: float = 0.0) -> Found:
    """Searches for the likeliest texts; one beam is greedy search.

    Texts are compared by ``log p / ((5 + length) / 6)^α``. The search stops as soon as every best text has ended and no
    other can still become better, or after `steps`.

    Args:
        decoder: Has `start` and `step`.
        memory: What is read, B samples.
        steps: The most numbers of a text, its end counted.
        beams: Number of texts that are followed at once.
        length_penalty: α; 0 compares probabilities.

    Returns:
        The best text of every sample.

    Raises:
        ValueError: if `beams` is not a positive integer, `length_penalty` is negative, or a sample is all padding.
    """
    check_whole(beams=beams)
    if not length_penalty >= 0:
        raise ValueError(f"length_penalty must be at least 0, got length_penalty={length_penalty!r}")
    memory.check()
    state, device = decoder.start(memory.repeated(beams)), memory.values.device
    found = _started(len(memory.values), beams, device)
    token = torch.full((len(memory.values) * beams,), decoder.first, device=device)
    for _ in range(steps):
        logits, state, weights = decoder.step(state, token)
        found, origin = _extended(found, logits, weights, length_penalty, decoder.padding)
        rows = (torch.arange(len(origin), device=device)[:, None] * beams + origin).flatten()
        state = _selected(state, rows) if beams > 1 else state
        token = found.tokens[..., -1].flatten()
        if _is_settled(found, length_penalty, steps):
            break
    return _best(found, length_penalty)


def _started(samples: int, beams: int, device: torch.device) -> _Beams:
    totals = torch.full((samples, beams), -torch.inf, device=device)
    totals[:, 0] = 0  # all beams are alike: the first step continues one of them
    zeros = torch.zeros(samples, beams, dtype=torch.int64, device=device)
    empty = torch.zeros(samples, beams, 0, device=device)
    return _Beams(totals, zeros, zeros.bool(), empty.long(), empty, None)


def _extended(
    found: _Beams, logits: Tensor, weights: Tensor | None, penalty: float, padding: int
) -> tuple[_Beams, Tensor]:
    """Extends every text by every number and keeps the best; returns these, and which text each continues."""
    samples, beams = found.totals.shape
    logs = logits.float().log_softmax(-1).unflatten(0, (samples, beams))
    stay = torch.full_like(logs[0, 0], -torch.inf)
    stay[END] = 0  # a text that has ended stays as it is
    logs = torch.where(found.ended[..., None], stay, logs)
    totals = found.totals[..., None] + logs
    lengths = found.lengths + ~found.ended
    scores = totals / _penalised(lengths, penalty)[..., None]
    chosen = scores.flatten(1).topk(beams, 1).indices
    origin, token = chosen // logs.shape[2], chosen % logs.shape[2]
    before = found.ended.gather(1, origin)
    token = torch.where(before, padding, token)
    log = logs.flatten(1).gather(1, chosen)
    if weights is not None:
        heads = weights.unflatten(0, (samples, beams))[:, :, :, None]
        past = heads if found.weights is None else torch.cat([found.weights, heads], 3)
        weights = _by_origin(past, origin)
        weights[:, :, :, -1] = weights[:, :, :, -1].masked_fill(before[..., None, None], 0)
    extended = _Beams(
        totals.flatten(1).gather(1, chosen),
        lengths.gather(1, origin),
        before | (token == END),
        torch.cat([_by_origin(found.tokens, origin), token[..., None]], 2),
        torch.cat([_by_origin(found.logs, origin), log[..., None]], 2),
        weights,
    )
    return extended, origin


def _by_origin(values: Tensor, origin: Tensor) -> Tensor:
    samples = torch.arange(len(origin), device=origin.device)[:, None]
    return values[samples, origin]


def _selected(state: Any, rows: Tensor) -> Any:
    """Returns a state with the rows (of samples and beams) in another order."""
    return type(state)(*(part[rows] if isinstance(part, Tensor) else part for part in state))


def _penalised(lengths: Tensor, penalty: float) -> Tensor:
    return ((5 + lengths) / 6) ** penalty


def _is_settled(found: _Beams, penalty: float, steps: int) -> bool:
    """Returns whether each sample's best text has ended, and no other can still become better."""
    scores = torch.where(found.ended, found.totals / _penalised(found.lengths, penalty), -torch.inf)
    open_ended = torch.where(found.ended, -torch.inf, found.totals)
    # A total only falls, and the longest text has the largest divisor.
    bound = open_ended / _penalised(torch.full_like(found.lengths, steps), penalty)
    return bool((scores.amax(1) >= bound.amax(1)).all())


def _best(found: _Beams, penalty: float) -> Found:
    scores = found.totals / _penalised(found.lengths, penalty)
    best = scores.argmax(1, keepdim=True)
    weights = None if found.weights is None else _by_origin(found.weights, best)[:, 0]
    return Found(_by_origin(found.tokens, best)[:, 0], _by_origin(found.logs, best)[:, 0], weights)
