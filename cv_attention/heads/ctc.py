"""Connectionist temporal classification (Graves et al., ICML 2006): reading without attention."""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.alphabet import END
from cv_attention.blocks.base import check_whole
from cv_attention.blocks.memory import Memory
from cv_attention.heads.text_head import Found, TextHead

_BLANK = END  # nothing ends a text here but the last column, so that its number is free


class CTCHead(TextHead):
    """Writes a unit or a blank for every column of the feature map; repeated units and blanks are dropped.

    Paper: Connectionist temporal classification (Graves et al., ICML 2006), https://doi.org/10.1145/1143844.1143891.
    With a recurrent layer over the columns as in CRNN (Shi et al., 2017), https://arxiv.org/abs/1507.05717.

    It has no attention, and so no map: the control that attention is compared with. A text of n units, of which r are
    like the unit before, needs n + r columns.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written; 0 stands for the blank here.
        longest: Units of the longest text.
        grid: Rows and columns of the memory.
        width: Length of the state of the bidirectional LSTM over the columns, in each direction.
        layers: Number of its layers; 0 leaves it out.

    Raises:
        ValueError: if the grid has fewer columns than the longest text has units, or a number is out of range.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import CTCHead, Memory
        >>> CTCHead(64, outputs=11, longest=5, grid=(3, 16))(Memory(torch.randn(2, 48, 64), (3, 16))).shape
        torch.Size([2, 16, 11])
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        longest: int,
        grid: tuple[int, int] = (8, 32),
        *,
        width: int = 64,
        layers: int = 1,
    ) -> None:
        super().__init__(channels, outputs, longest, attends=False)
        check_whole(width=width)
        if not isinstance(layers, int) or layers < 0:
            raise ValueError(f"layers must be a whole number of at least 0, got layers={layers!r}")
        if grid[1] < longest:
            raise ValueError(
                f"the feature map has {grid[1]} columns, but texts have up to {longest} units, and ctc writes at most "
                "one for each column; take a backbone with smaller strides or wider images"
            )
        self.recurrent = nn.LSTM(channels, width, layers, batch_first=True, bidirectional=True) if layers else None
        self.output = nn.Linear(2 * width if layers else channels, outputs)

    def forward(self, memory: Memory, tokens: Tensor | None = None) -> Tensor:
        """Computes the logits (B, columns, outputs); `tokens` make no difference."""
        memory.check()
        columns, lengths = _columns(memory)
        if self.recurrent is not None:
            columns = self._read_both_ways(columns, None if memory.keep is None else lengths)
        return self.output(columns)

    def _read_both_ways(self, columns: Tensor, lengths: Tensor | None) -> Tensor:
        """Runs the LSTM over columns (B, columns, C), of which the first `lengths` (B,) are no padding."""
        assert self.recurrent is not None
        if lengths is None:
            return self.recurrent(columns)[0]
        pack, unpack = nn.utils.rnn.pack_padded_sequence, nn.utils.rnn.pad_packed_sequence
        packed = pack(columns, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return unpack(self.recurrent(packed)[0], batch_first=True, total_length=columns.shape[1])[0]

    def loss(self, memory: Memory, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
        """Computes ``-log p(text)`` divided by the number of units, the mean over the batch; nothing is smoothed."""
        _, lengths = _columns(memory)
        units = (tokens != self.padding) & (tokens != END)
        with torch.autocast(memory.values.device.type, enabled=False):
            logs = self(memory).float().log_softmax(2).transpose(0, 1)
            return F.ctc_loss(logs, tokens, lengths, units.sum(1), blank=_BLANK, zero_infinity=True)

    def read(self, memory: Memory, *, beams: int = 1, length_penalty: float = 0.0) -> Found:
        """Reads by the likeliest number of each column, or by prefix beam search.

        The logarithms of a text sum to that of its probability, over all ways to write it: those of its units are of
        the columns where they are likeliest, and that of its end is the rest.

        Args:
            memory: What is read.
            beams: Number of prefixes that are followed at once; 1 takes the likeliest number of each column.
            length_penalty: Must be 0: probabilities of all lengths are compared as they are.
        """
        check_whole(beams=beams)
        if length_penalty:
            raise ValueError(f"ctc has no length penalty, got length_penalty={length_penalty!r}")
        logs = self(memory).float().log_softmax(2).detach()
        _, lengths = _columns(memory)
        found = []
        for each, length in zip(logs, lengths.tolist(), strict=True):
            own = each[:length]
            units = best_path(own) if beams == 1 else prefix_search(own, beams)
            found.append(_scored(own, units))
        return _batched(found, self.padding, logs.device)


def best_path(logs: Tensor) -> list[int]:
    """Returns the units of the likeliest number of each column, (columns, outputs)."""
    path = logs.argmax(1).tolist()
    return [number for before, number in zip([_BLANK, *path], path, strict=False) if number not in (before, _BLANK)]


def prefix_search(logs: Tensor, beams: int) -> list[int]:
    """Searches for the likeliest text over all ways to write it (Graves 2012, section 7.5).

    Args:
        logs: Logarithms of probabilities, (columns, outputs).
        beams: Number of prefixes that are kept after each column.

    Returns:
        The units of the likeliest text.
    """
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}  # log p, ending in a blank or in a unit
    for column in logs.tolist():
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (blank, unit) in beam.items():
            both, here = _log_sum(blank, unit), grown[prefix]
            here[0] = _log_sum(here[0], both + column[_BLANK])
            if prefix:
                here[1] = _log_sum(here[1], unit + column[prefix[-1]])
            for number in range(1, len(column)):
                before = blank if prefix and number == prefix[-1] else both
                longer = grown[(*prefix, number)]
                longer[1] = _log_sum(longer[1], before + column[number])
        best = sorted(grown.items(), key=lambda item: -_log_sum(*item[1]))[:beams]
        beam = {prefix: (blank, unit) for prefix, (blank, unit) in best}
    return list(max(beam, key=lambda prefix: _log_sum(*beam[prefix])))


def _columns(memory: Memory) -> tuple[Tensor, Tensor]:
    """Returns the mean over the rows of each column, (B, columns, C), and how many columns are no padding, (B,)."""
    if memory.grid is None:
        raise ValueError("ctc needs a memory with a grid, whose columns it reads")
    values = memory.values.unflatten(1, memory.grid)
    if memory.keep is None:
        return values.mean(1), torch.full((values.shape[0],), memory.grid[1], device=values.device)
    keep = memory.keep.unflatten(1, memory.grid)
    weights = keep / keep.sum(1, keepdim=True).clamp(min=1)
    return (values * weights[..., None].to(values.dtype)).sum(1), keep.any(1).sum(1)


def _scored(logs: Tensor, units: list[int]) -> tuple[list[int], list[float]]:
    """Returns the units and the end, and logarithms that sum to that of the text's probability."""
    target = torch.tensor([units], dtype=torch.int64, device=logs.device)
    sizes = (torch.tensor([len(logs)]), torch.tensor([len(units)]))
    total = -float(F.ctc_loss(logs[:, None], target, *sizes, blank=_BLANK, reduction="sum"))
    each = [float(logs[:, unit].max()) for unit in units]
    return [*units, END], [*each, total - sum(each)]


def _batched(found: list[tuple[list[int], list[float]]], padding: int, device: torch.device) -> Found:
    longest = max(len(numbers) for numbers, _ in found)
    tokens = [numbers + [padding] * (longest - len(numbers)) for numbers, _ in found]
    logs = [each + [0.0] * (longest - len(each)) for _, each in found]
    return Found(torch.tensor(tokens, device=device), torch.tensor(logs, device=device), None)


def _log_sum(first: float, second: float) -> float:
    larger, smaller = max(first, second), min(first, second)
    return larger if smaller == -math.inf else larger + math.log1p(math.exp(smaller - larger))
