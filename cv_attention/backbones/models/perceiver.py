"""Perceiver: a few latents read any inputs (Jaegle et al., ICML 2021), https://arxiv.org/abs/2103.03206."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.blocks.base import check_whole
from cv_attention.blocks.context.perceiver_layer import PerceiverLayer, new_latents
from cv_attention.blocks.functional.fourier import fourier_features, grid_positions


class Perceiver(nn.Module):
    """Latents that read the pixels, or any inputs with positions, think, and are averaged for the logits.

    Paper: Perceiver (Jaegle et al., ICML 2021), https://arxiv.org/abs/2103.03206. The latents read all inputs through
    one cross-attention, then pass `layers` layers of self-attention; this is repeated. The cost is linear in the number
    of inputs. Nothing but the Fourier features of the positions says where an input is, so that images of any size,
    videos and sets of points are read by the same network.

    Maps: `reads.<n>.attention.map`, `pairwise`, (B, cross_heads, latents, H, W), one for each of the distinct readings;
    a shared one shows its last call. Inputs without a grid are a grid of one row, and the frames of a video lie one
    below the other, (T * H, W). `thinks.<n>.<m>.attention.map`,
    `alignment`, (B, heads, latents, latents).

    Args:
        num_classes: Number of logits.
        latents: Number of latents.
        width: Channels of a latent.
        repeats: How many times the latents read the inputs and think.
        layers: Layers of self-attention after each reading.
        heads: Heads of these layers.
        cross_heads: Heads of the reading.
        mlp_ratio: Width of the MLPs' hidden layers divided by `width`.
        bands: Frequencies of the Fourier features for each axis.
        resolution: Positions along an axis that the highest frequency tells apart.
        share: Whether all repetitions from the second on share their weights, as in the paper.
        patch: Side of the square of pixels that is one input; 1 are single pixels. Other sizes are padded by zeros. A
            video is divided frame by frame.
        axes: Axes of a position: 2 for images, 3 for videos or points in space.
        in_chans: Channels of the image, or of the values.

    Raises:
        ValueError: if an argument is out of its range; from the forward, if the input has other axes or channels.

    Examples:
        >>> import torch
        >>> from cv_attention import backbones
        >>> model = backbones.build("perceiver", num_classes=10)
        >>> model(torch.randn(2, 3, 32, 32)).shape, model(torch.randn(2, 3, 20, 48)).shape  # images of any size
        (torch.Size([2, 10]), torch.Size([2, 10]))
        >>> videos = backbones.build("perceiver", num_classes=10, axes=3, patch=4)
        >>> videos(torch.randn(2, 3, 5, 32, 32)).shape  # clips of any length and size
        torch.Size([2, 10])
        >>> points = backbones.build("perceiver", num_classes=10, axes=3, in_chans=1)
        >>> points.forward_inputs(torch.ones(2, 100, 1), torch.rand(2, 100, 3) * 2 - 1).shape  # 100 points in space
        torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 10,
        latents: int = 32,
        width: int = 64,
        repeats: int = 2,
        layers: int = 2,
        heads: int = 4,
        cross_heads: int = 1,
        mlp_ratio: float = 1.0,
        bands: int = 6,
        resolution: int = 32,
        share: bool = True,
        patch: int = 1,
        axes: int = 2,
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        check_whole(repeats=repeats, layers=layers, resolution=resolution, patch=patch, axes=axes, in_chans=in_chans)
        check_whole(bands=bands, latents=latents, width=width)
        self.repeats, self.bands, self.resolution, self.patch, self.axes = repeats, bands, resolution, patch, axes
        self.in_chans = in_chans
        # any size will do; dry runs take this one
        self.native_input_size = (in_chans, *(2,) * (axes - 2), 8 * patch, 8 * patch)
        self.values = in_chans * patch**2
        inputs = self.values + axes * (2 * bands + 1)
        distinct = min(repeats, 2) if share else repeats
        self.latents = new_latents(latents, width, {"device": None, "dtype": None})
        self.reads = nn.ModuleList(
            PerceiverLayer(width, inputs, cross_heads, mlp_ratio, "pairwise") for _ in range(distinct)
        )
        self.thinks = nn.ModuleList(
            nn.ModuleList(PerceiverLayer(width, None, heads, mlp_ratio) for _ in range(layers)) for _ in range(distinct)
        )
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W), for `axes` 3 videos (B, in_chans, T, H, W), to logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images or videos `x`, as `forward` takes them, to latents (B, latents, width)."""
        if self.axes not in (2, 3):
            raise ValueError(
                f"axes={self.axes} are neither images nor videos; give values and positions: forward_inputs"
            )
        if x.dim() != self.axes + 2 or x.shape[1] != self.in_chans:
            wanted = f"(B, {self.in_chans}, {'H, W' if self.axes == 2 else 'T, H, W'})"
            raise ValueError(f"the input must be {wanted} for axes={self.axes}, got shape {tuple(x.shape)}")
        frames = x.unsqueeze(2) if self.axes == 2 else x
        if self.patch > 1:
            frames = F.pad(frames, (0, -x.shape[-1] % self.patch, 0, -x.shape[-2] % self.patch))
            frames = F.pixel_unshuffle(frames.transpose(1, 2), self.patch).transpose(1, 2)
        length, height, width = frames.shape[2:]
        dtype = torch.promote_types(x.dtype, torch.float32)
        size = (height, width) if self.axes == 2 else (length, height, width)
        positions = grid_positions(*size, device=x.device, dtype=dtype)
        return self._read(frames.flatten(2).transpose(1, 2), positions, None, (length * height, width))

    def forward_inputs(self, values: Tensor, positions: Tensor, keep: Tensor | None = None) -> Tensor:
        """Maps any inputs with positions to logits.

        Args:
            values: (B, N, in_chans * patch²).
            positions: (N, axes), or (B, N, axes), from -1 to 1 along each axis.
            keep: (B, N): whether an input is one, and not padding; None keeps all. What is not kept has no influence.

        Returns:
            Logits (B, num_classes).

        Raises:
            ValueError: if a shape is another one, or nothing of a sample is kept.
        """
        batch, count = values.shape[:2]
        if values.dim() != 3 or values.shape[2] != self.values:
            raise ValueError(f"values must be (B, N, {self.values}), got shape {tuple(values.shape)}")
        if positions.shape not in ((count, self.axes), (batch, count, self.axes)):
            raise ValueError(
                f"positions must be ({count}, {self.axes}) or ({batch}, {count}, {self.axes}), "
                f"got shape {tuple(positions.shape)}"
            )
        if keep is not None:
            if keep.shape != (batch, count) or keep.dtype != torch.bool:
                raise ValueError(f"keep must be booleans ({batch}, {count}), got {keep.dtype} {tuple(keep.shape)}")
            empty = (~keep.any(1)).nonzero().flatten().tolist()
            if empty:
                raise ValueError(f"keep leaves nothing of sample {empty[0]}")
        return self.forward_head(self._read(values, positions, keep, (1, count)))

    def forward_head(self, latents: Tensor) -> Tensor:
        """Maps `latents` (B, latents, width) to logits (B, num_classes)."""
        return self.fc(self.norm(latents.mean(1)))

    def _read(self, values: Tensor, positions: Tensor, keep: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Reads from inputs: `values` (B, N, C) at `positions` (N, d) or (B, N, d), over the grid `size` of N."""
        places = fourier_features(positions, self.bands, self.axes * [self.resolution]).to(values.dtype)
        inputs = torch.cat([values, places.expand(len(values), -1, -1)], 2)
        bias = None
        if keep is not None:
            inputs = inputs.masked_fill(~keep[..., None], 0)  # what is not a number times a weight of 0 is none, either
            bias = torch.zeros_like(inputs[:, None, None, :, 0]).masked_fill(~keep[:, None, None], float("-inf"))
        z: Tensor = self.latents.to(values.dtype)
        for step in range(self.repeats):
            index = min(step, len(self.reads) - 1)
            z = self.reads[index](z, inputs, size, bias)
            for layer in self.thinks[index]:  # pyright: ignore[reportGeneralTypeIssues]
                z = layer(z)
        return z
