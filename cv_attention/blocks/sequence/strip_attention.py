"""Attends in strips of rows, each of which remembers those above it, by content and by relative position."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.blocks.base import Block, Device, Dtype, Factory, check_divisible, check_whole, zero
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.functional.layout import to_map, to_tokens
from cv_attention.blocks.windows import WindowMap


class StripMap(WindowMap):
    """The map of attention to the own strip of rows and to those of the memory above it.

    Args:
        rows: Rows of a strip.
        memory: Strips of the memory.
    """

    def __init__(self, rows: int, memory: int) -> None:
        super().__init__()
        self.rows, self.memory = rows, memory

    def keys(self, height: int, width: int, device: torch.device | None = None) -> Tensor:
        """Returns the number of each key on the grid, (H*W, h*W) with h rows of keys; -1 where it is off the grid."""
        rows, memory = strips_of(height, self.rows, self.memory)
        own = torch.arange(height, device=device) // rows * rows
        seen = own[:, None] + torch.arange(-memory * rows, rows, device=device)
        keys = seen[:, :, None] * width + torch.arange(width, device=device)
        keys = keys.where(((seen >= 0) & (seen < height))[:, :, None], -1)
        return keys.flatten(1).repeat_interleave(width, 0)


def strips_of(height: int, rows: int, memory: int) -> tuple[int, int]:
    """Returns the rows of a strip and the number of strips remembered, for a map of this height."""
    rows = min(rows, height)
    return rows, min(memory, -(-height // rows) - 1)


class StripAttention(Block):
    """Base class of attention in strips, with a memory of earlier strips and Transformer-XL's relative positions.

    A subclass documents the arguments; `causal` says whether a position sees those before it in raster order alone.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        rows: int,
        memory: int,
        causal: bool,
        detach: bool,
        device: Device,
        dtype: Dtype,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(rows=rows)
        if isinstance(memory, bool) or not isinstance(memory, int) or memory < 0:
            raise ValueError(f"memory must be a whole number of at least 0, got memory={memory!r}")
        self.heads, self.rows, self.memory, self.causal, self.detach = heads, rows, memory, causal, detach
        self.query = nn.Linear(channels, channels, bias=False, **factory)
        self.key_value = nn.Linear(channels, 2 * channels, bias=False, **factory)
        self.position = nn.Linear(channels, channels, bias=False, **factory)
        self.project = nn.Linear(channels, channels, bias=False, **factory)
        self.content_bias = nn.Parameter(torch.empty(heads, channels // heads, **factory))
        self.position_bias = nn.Parameter(torch.empty(heads, channels // heads, **factory))
        for parameter in (self.content_bias, self.position_bias):
            nn.init.normal_(parameter, std=0.02)
        self.map = StripMap(rows, memory)

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W), all strips at once; keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        rows, memory = strips_of(size[0], self.rows, self.memory)
        length, count = rows * size[1], -(-size[0] // rows)
        tokens = F.pad(to_tokens(x), (0, 0, 0, count * length - size[0] * size[1])).unflatten(1, (count, length))
        key_value = self.key_value(tokens)
        if memory:
            # The memory's keys and values reach the weights alone, where they are detached.
            again = self.detach and (torch.is_grad_enabled() or torch.jit.is_tracing())
            earlier = self.key_value(tokens.detach()) if again else key_value
            earlier = F.pad(earlier, (0, 0, 0, 0, memory, 0))
            key_value = torch.cat([*(earlier[:, step : step + count] for step in range(memory)), key_value], 2)
        first = torch.arange(0, count * length, length, device=x.device)[:, None]
        place = first + torch.arange(-memory * length, length, device=x.device)
        there = (place >= 0) & (place < size[0] * size[1])
        mixed = self._attend(self.query(tokens), key_value, there, size if self.map.observed else None)
        return to_map(self.project(mixed.flatten(1, 2))[:, : size[0] * size[1]], x)

    def stream(self, strip: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mixes one strip after another, for images too tall for the memory of the machine.

        Args:
            strip: The next rows (B, C, rows, W); fewer rows only at the end of the image.
            state: What the call for the strip above returned; None for the first strip.

        Returns:
            The strip's result, that of `forward` on the whole map, and the state for the next call: the rows
            (B, C, at most memory * rows, W) that it will see. Maps are not recorded.

        Raises:
            ValueError: if the strip has another number of rows, or another width than the state.
        """
        if strip.dim() != 4 or not 0 < strip.shape[2] <= self.rows:
            raise ValueError(f"strip must be (B, C, at most {self.rows} rows, W), got shape {tuple(strip.shape)}")
        state = strip[:, :, :0] if state is None else state
        if state.shape[3] != strip.shape[3] or state.shape[:2] != strip.shape[:2]:
            raise ValueError(f"strip has shape {tuple(strip.shape)}, but the state is of {tuple(state.shape)}")
        if state.shape[2] % self.rows:
            raise ValueError(
                f"the strip above had fewer than {self.rows} rows, which only an image's last one may have"
            )
        state = state.detach() if self.detach else state
        query = self.query(to_tokens(strip))[:, None]
        key_value = self.key_value(torch.cat([to_tokens(state), to_tokens(strip)], 1))[:, None]
        there = torch.ones(1, key_value.shape[2], dtype=torch.bool, device=strip.device)
        mixed = self._attend(query, key_value, there, None)
        kept = torch.cat([state, strip], 2)
        return to_map(self.project(mixed[:, 0]), strip), kept[:, :, max(kept.shape[2] - self.memory * self.rows, 0) :]

    def _attend(self, query: Tensor, key_value: Tensor, there: Tensor, size: tuple[int, int] | None) -> Tensor:
        """Attends in each strip.

        `query` is (B, strips, S, C), `key_value` (B, strips, K, 2 C), of which the last S are the strip's own; `there`
        (strips, K) says which keys exist; `size` is the map's, where it is observed. Returns (B, strips, S, C).
        """
        length, keys = query.shape[2], key_value.shape[2]
        query, key, value = (self._by_head(part) for part in (query, *key_value.chunk(2, 3)))
        scale = query.shape[-1] ** -0.5
        with without_autocast(query):
            asking = widened(query) + widened(self.position_bias)[:, None, None]
            bias = self._relative(asking * scale, length, keys)
        visible = there[:, None]
        if self.causal:
            own = torch.arange(length, device=query.device)[:, None] + (keys - length)
            visible = visible & (torch.arange(keys, device=query.device) <= own)
        bias = bias.masked_fill(~visible, float("-inf")).to(query.dtype)
        query = query + self.content_bias.to(query.dtype)[:, None, None]
        parts = (part.flatten(1, 2) for part in (query, key, value))
        observe = None if size is None else (lambda weights: self._seen(weights, query.shape[2], size))
        mixed = attend(*parts, bias=bias.flatten(1, 2), scale=scale, observe=observe)
        return mixed.unflatten(1, query.shape[1:3]).permute(0, 2, 3, 1, 4).flatten(3)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(3, (self.heads, -1)).permute(0, 3, 1, 2, 4)

    def _relative(self, query: Tensor, length: int, keys: int) -> Tensor:
        """Computes ``query · W R_(i-j)``, (B, heads, strips, S, K), of `query` (B, heads, strips, S, d)."""
        distance = torch.arange(keys, -1 if self.causal else -length, -1, device=query.device, dtype=query.dtype)
        vectors = widened(self.position.weight) @ encoded(distance, self.position.in_features).T  # (C, distances)
        products = torch.einsum("bhtsd,hdl->bhtsl", query, vectors.unflatten(0, (self.heads, -1)))
        # Row i of (S, distances) is moved by i, so that each column is a key. If strips and positions were flattened
        # before the product, the exporter to ONNX would merge both reshapes wrongly.
        return products.flatten(3)[..., length:].unflatten(3, (length, -1))[..., :keys]

    def _seen(self, weights: Tensor, count: int, size: tuple[int, int]) -> Tensor:
        """Shows `weights` (B, heads * strips, S, K) on the windows of all positions."""
        height, width = size
        by_row = weights.unflatten(1, (self.heads, count)).unflatten(3, (-1, width)).unflatten(5, (-1, width))
        whole = by_row.flatten(2, 3)
        seen = F.pad(self.map(whole[:, :, :height]), (0, 0) * 3 + (0, whole.shape[2] - height))
        return seen.unflatten(2, by_row.shape[2:4]).flatten(5).flatten(3, 4).flatten(1, 2)


def encoded(distance: Tensor, width: int) -> Tensor:
    """Encodes distances (n,) by sines, then cosines, (n, width), as Transformer-XL does."""
    half = -(-width // 2)
    frequency = 10000.0 ** (-torch.arange(half, device=distance.device, dtype=distance.dtype) * (2 / width))
    angle = distance[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width]
