"""Reads the patches of a glimpse: by one linear layer, or by convolutions and attention over their positions."""

import torch
from torch import Tensor, nn


class LinearEncoder(nn.Module):
    """Reads all numbers of a glimpse by one linear layer (Mnih et al., NeurIPS 2014), https://arxiv.org/abs/1406.6247.

    Args:
        in_chans: Channels of the image.
        patch: Side of a patch in numbers.
        scales: Number of patches.
        width: Length of the output.
    """

    def __init__(self, in_chans: int, patch: int, scales: int, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(scales * in_chans * patch**2, width)
        self.apply(keep_size)

    def forward(self, seen: Tensor, state: Tensor, cut: bool) -> tuple[Tensor, None]:
        """Maps patches `seen` (B, scales, C, patch, patch) to (B, width), and to no offset."""
        return self.out(seen.flatten(1)).relu(), None


class PooledEncoder(nn.Module):
    """Reads the patches by convolutions that all scales share, and pools each patch by additive attention.

    Paper: additive attention (Bahdanau et al., ICLR 2015), https://arxiv.org/abs/1409.0473.

    What a patch shows is ``sum_i a_i f_i`` with ``a = softmax_i(v . tanh(W f_i + U h))`` over its positions, h being
    the network's state before the glimpse; where that is, ``sum_i a_i p_i``. The latter, of the widest patch, is the
    offset at which the network is to look next. v and U start at 0: all positions count alike.

    Args:
        in_chans: Channels of the image.
        patch: Side of a patch in numbers; of no influence.
        scales: Number of patches.
        width: Length of the output.
        channels: Channels of the convolutions.
    """

    def __init__(
        self, in_chans: int, patch: int, scales: int, width: int, channels: tuple[int, ...] = (16, 32, 48)
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for number, channel in enumerate(channels):
            before = channels[number - 1] if number else in_chans
            self.layers.append(nn.Conv2d(before, channel, 3, 2 if number == 1 else 1, padding=1, bias=False))
            self.layers.append(nn.BatchNorm2d(channel))
            self.layers.append(nn.ReLU(inplace=True))
        self.key, self.query = nn.Conv2d(channels[-1], 32, 1), nn.Linear(width, 32, bias=False)
        self.v = nn.Parameter(torch.zeros(32))
        self.out = nn.Linear(scales * (channels[-1] + 2), width)
        self.apply(keep_size)
        nn.init.zeros_(self.query.weight)

    def forward(self, seen: Tensor, state: Tensor, cut: bool) -> tuple[Tensor, Tensor]:
        """Reads a glimpse.

        Args:
            seen: (B, scales, C, patch, patch).
            state: h, (B, width).
            cut: Whether the gradient of the offset stops at features and state, so that it reaches the scores alone.

        Returns:
            What is seen, (B, width), and the offset (x, y) of what stands out in the widest patch, (B, 2), from -1 to 1
            between its edges.
        """
        batch, scales = seen.shape[:2]
        features = self.layers(seen.flatten(0, 1)).unflatten(0, (batch, scales))
        weights = self._weights(features, state)
        pooled = torch.einsum("bschw,bshw->bsc", features, weights)
        where = _means(self._weights(features.detach(), state.detach()) if cut else weights)
        found = torch.cat([pooled, where.to(pooled.dtype)], 2)
        return self.out(found.flatten(1)).relu(), where[:, -1]

    def _weights(self, features: Tensor, state: Tensor) -> Tensor:
        """The attention (B, scales, h, w) over the positions of each patch; sums to 1."""
        keys = self.key(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        hidden = (keys + self.query(state)[:, None, :, None, None]).tanh()
        scores = torch.einsum("bschw,c->bshw", hidden, self.v.to(hidden.dtype))
        return scores.flatten(2).softmax(2).unflatten(2, features.shape[-2:])


def keep_size(layer: nn.Module) -> None:
    """Starts a layer so that what passes it before a ReLU keeps its size (He et al., ICCV 2015)."""
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _means(weights: Tensor) -> Tensor:
    """The mean position (x, y) from -1 to 1, (B, scales, 2), of weights (B, scales, h, w)."""
    sides = []
    for size in weights.shape[-1:-3:-1]:
        ticks = 2 * torch.arange(size, device=weights.device, dtype=weights.dtype) + 1
        sides.append(ticks / size - 1)
    return torch.stack([weights.sum(2) @ sides[0], weights.sum(3) @ sides[1]], 2)
