"""Two-stream attention over sampled orders: XLNet's idea, as PARSeq uses it to read text."""

from typing import Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor, nn

from cv_attention.alphabet import END
from cv_attention.blocks.base import check_choice, check_whole
from cv_attention.blocks.memory import Memory
from cv_attention.heads.decoders.decoder import Decoded, Decoder
from cv_attention.heads.decoders.layers import DecoderLayer, check_layers, check_length, over_vectors
from cv_attention.heads.decoders.orders import all_but_own, behind_end, content_mask, itself, query_mask, sample_orders
from cv_attention.heads.decoders.positions import Position, Positions
from cv_attention.heads.decoders.queries import Written
from cv_attention.heads.decoders.search import search
from cv_attention.heads.text_head import Found

Decode = Literal["autoregressive", "parallel"]


class _State(NamedTuple):
    memory: Tensor  # keys and values of the memory for each layer, (B, layers, 2, heads, N, d)
    keep: Tensor | None
    told: Tensor  # the start and the numbers so far, (B, t)
    begun: bool  # whether the start has been told


class _TwoStreamLayer(DecoderLayer):
    """A layer of which queries and texts have their own norm, and share everything else."""

    def __init__(self, width: int, channels: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__(width, channels, heads, mlp_ratio, dropout)
        self.norm_content = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, content: Tensor, mask: Tensor, memory: Tensor, keep: Tensor | None, *, seen: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Adds to `x` what it reads from the text and the memory; returns it, and the weights of the memory."""
        assert self.norm1 is not None
        assert self.own is not None
        keys_and_values = self.own.keys_and_values(self.norm_content(content))
        found, _ = self.own(self.norm1(x), keys_and_values, mask, seen=False)
        return self.read(x + self.dropout(found), memory, keep, seen=seen)


class PermutedDecoder(Decoder):
    """Writes a text in any order: each step has a query that knows its place, and sees the numbers that come before.

    Papers: the two streams of XLNet (Yang et al., NeurIPS 2019), https://arxiv.org/abs/1906.08237; permuted decoding of
    text in images, PARSeq (Bautista and Atienza, ECCV 2022), https://arxiv.org/abs/2207.06966.

    Training averages the loss over `orders` orders of the steps: from left to right, from right to left, and random
    ones with their mirror images. A query sees the start and the numbers whose steps come before its own in the order,
    never itself; the end of a text is seen by none. So the same weights read step by step, all at once, or correct a
    text of which all numbers but one are seen.

    Map: `map`, `pairwise`, (B, heads, steps, H, W): the last layer's weights of the memory; each step's sum to 1.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written.
        longest: Units of the longest text.
        grid: Rows and columns of the memory, for learned positions.
        width: Length of the vectors.
        heads: Number of heads.
        layers: Number of layers; 1 in PARSeq.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`.
        orders: Number of orders that training averages over; 1 trains from left to right alone.
        decode: How texts are read: ``autoregressive``, from left to right, or ``parallel``, all steps at once.
        refinements: How often a text that was read is written again, each step told all other numbers of it.
        dropout: Share of the numbers that training drops, in [0, 1).
        position: Encoding of the positions that is added to the memory: ``sine``, ``learned`` or ``none``.

    Raises:
        ValueError: if `width` is not divisible by `heads`, `decode` is unknown, or a number is out of range.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import Memory, PermutedDecoder
        >>> decoder = PermutedDecoder(64, outputs=11, longest=5, decode="parallel", refinements=1)
        >>> decoder(Memory(torch.randn(2, 12, 64), (3, 4))).shape
        torch.Size([2, 6, 11])
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        longest: int,
        grid: tuple[int, int] = (8, 32),
        *,
        width: int = 128,
        heads: int = 4,
        layers: int = 1,
        mlp_ratio: float = 4.0,
        orders: int = 6,
        decode: Decode = "autoregressive",
        refinements: int = 0,
        dropout: float = 0.0,
        position: Position = "sine",
    ) -> None:
        super().__init__(channels, outputs, longest)
        check_layers(width, heads, layers, mlp_ratio, dropout)
        check_whole(orders=orders)
        check_choice("decode", decode, get_args(Decode))
        if not isinstance(refinements, int) or refinements < 0:
            raise ValueError(f"refinements must be a whole number of at least 0, got refinements={refinements!r}")
        self.orders, self.how, self.refinements = orders, decode, refinements
        self.positions = Positions(channels, position, grid)
        self.embedding = nn.Embedding(outputs + 2, width, padding_idx=self.padding)
        self.steps = nn.Parameter(torch.randn(longest + 1, width) * 0.02)
        self.layers = nn.ModuleList(_TwoStreamLayer(width, channels, heads, mlp_ratio, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, outputs)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def start(self, memory: Memory) -> _State | Written:
        """Returns the state before the first step; if reading is parallel, all steps are computed here."""
        stacked, keep = self._stacked(memory)
        told = torch.full((stacked.shape[0], 1), self.first, device=stacked.device)
        if self.how == "autoregressive":
            return _State(stacked, keep, told, begun=False)
        length = len(self.steps)
        told = torch.cat([told, told.new_full((told.shape[0], length - 1), self.padding)], 1)
        order = torch.zeros(length, dtype=torch.int64, device=told.device)  # no step comes before another
        decoded = self._run(stacked, keep, told, order, seen=True)
        if self.refinements:
            decoded = self._refined(stacked, keep, decoded.logits.argmax(2))
        assert decoded.weights is not None
        return Written(decoded.logits, decoded.weights, 0)

    def step(self, state: _State | Written, token: Tensor) -> tuple[Tensor, _State | Written, Tensor]:
        """Writes one number from left to right: logits (B, outputs), the next state, and weights (B, heads, N)."""
        if isinstance(state, Written):
            return state.step()
        told = torch.cat([state.told, token[:, None]], 1) if state.begun else state.told
        order = torch.arange(told.shape[1], device=told.device)
        logits, weights = self._run(state.memory, state.keep, told, order, seen=True)
        assert weights is not None
        return logits[:, -1], state._replace(told=told, begun=True), weights[:, :, -1]

    def decode(self, memory: Memory, tokens: Tensor) -> Decoded:
        """Computes all steps for a given text, each told the numbers before it; read in parallel, it is told none."""
        check_length(tokens, self.longest)
        stacked, keep = self._stacked(memory)
        told, order = self.inputs(tokens), torch.arange(tokens.shape[1], device=tokens.device)
        if self.how == "parallel":
            order = torch.zeros_like(order)
        return self._run(stacked, keep, told, order, seen=self.observed)

    def loss(self, memory: Memory, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
        """Computes the training loss, the mean over `orders` orders of the steps."""
        memory.check()
        check_length(tokens, self.longest)
        stacked, keep = self._stacked(memory)
        told, losses = self.inputs(tokens), []
        for order in sample_orders(tokens.shape[1], self.orders, device=tokens.device):
            logits, _ = self._run(stacked, keep, told, order, seen=False)
            losses.append(self.cross_entropy(logits, tokens, smoothing))
        return torch.stack(losses).mean()

    def read(self, memory: Memory, *, beams: int = 1, length_penalty: float = 0.0) -> Found:
        """Reads freely, by greedy or beam search, and refines the text; the map is that of the text returned.

        Args:
            memory: What is read.
            beams: Number of texts that are followed at once; 1 takes the likeliest number of each step.
            length_penalty: α of ``score = log p / ((5 + length) / 6)^α`` by which texts are compared.
        """
        if self.how == "parallel" or not self.refinements:
            return super().read(memory, beams=beams, length_penalty=length_penalty)
        found = search(self, memory, self.longest + 1, beams, length_penalty)
        stacked, keep = self._stacked(memory)
        found = self._cleaned(*self._refined(stacked, keep, found.tokens))
        self.show(found.weights, memory.grid)
        return found

    def _stacked(self, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Returns keys and values of the memory for each layer, and which vectors are real."""
        memory = self.positions(memory)
        each = [layer.cross.keys_and_values(memory.values) for layer in self._each_layer()]
        return torch.stack(each, 1), over_vectors(memory.keep)

    def _each_layer(self) -> list[_TwoStreamLayer]:
        return cast(list[_TwoStreamLayer], list(self.layers))

    def _run(
        self, memory: Tensor, keep: Tensor | None, told: Tensor, order: Tensor, *, seen: bool, cloze: bool = False
    ) -> Decoded:
        """Computes all steps.

        Args:
            memory: Keys and values of the memory for each layer.
            keep: Which of its vectors are real.
            told: The start, then the number of each step but the last, (B, T).
            order: Rank of each step, (T,).
            seen: Whether the weights are asked for.
            cloze: Whether each step sees all numbers but its own, in place of those before it in the order.
        """
        length = told.shape[1]
        # what ends and pads a text says nothing that a step may see
        shown = ((told != END) & (told != self.padding))[:, None, None]
        mask = shown & (all_but_own(length, told.device) if cloze else query_mask(order))
        places = self.steps[:length]
        content = self.embedding(told) + torch.cat([torch.zeros_like(places[:1]), places[:-1]])
        x, weights = places[None].expand(told.shape[0], -1, -1), None
        layers = self._each_layer()
        for index, layer in enumerate(layers):
            last = index == len(layers) - 1
            x, weights = layer(x, content, mask, memory[:, index], keep, seen=seen and last)
            if not last:
                # where a step sees later numbers, these must not have seen the step's own
                within = shown & (itself(length, told.device) if cloze else content_mask(order))
                content, _ = layer(content, content, within, memory[:, index], keep, seen=False)
        return Decoded(self.output(self.norm(x)), weights)

    def _refined(self, memory: Tensor, keep: Tensor | None, tokens: Tensor) -> Decoded:
        """Writes texts again, each step told all other numbers of the text before; at least one refinement is set."""
        short = len(self.steps) - tokens.shape[1]
        tokens = torch.cat([tokens, tokens.new_full((tokens.shape[0], short), self.padding)], 1)
        order = torch.zeros(tokens.shape[1], dtype=torch.int64, device=tokens.device)
        for _ in range(self.refinements):
            told = self.inputs(behind_end(tokens, self.padding))
            decoded = self._run(memory, keep, told, order, seen=True, cloze=True)
            tokens = decoded.logits.argmax(2)
        return decoded  # pyright: ignore[reportPossiblyUnboundVariable]

    def _cleaned(self, logits: Tensor, weights: Tensor | None) -> Found:
        """Returns the likeliest text of each sample, with padding and zeros behind its end."""
        logs, tokens = logits.float().log_softmax(-1).max(2)
        tokens = behind_end(tokens, self.padding)
        behind = tokens == self.padding
        weights = None if weights is None else weights.masked_fill(behind[:, None, :, None], 0)
        longest = max(int((~behind).sum(1).max()), 1)
        found = Found(tokens, logs.masked_fill(behind, 0), weights)
        return Found(
            found.tokens[:, :longest],
            found.log_probabilities[:, :longest],
            None if weights is None else weights[:, :, :longest],
        )
