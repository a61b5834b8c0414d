"""Fourier features of positions (Perceiver: Jaegle et al., ICML 2021), https://arxiv.org/abs/2103.03206."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def fourier_features(positions: Tensor, bands: int, resolution: Sequence[float]) -> Tensor:
    """Encodes positions by sines and cosines of frequencies between one half wave and the resolution's limit.

    Paper: Perceiver (Jaegle et al., ICML 2021), section 3.2, https://arxiv.org/abs/2103.03206.

    Along an axis of resolution m the frequencies f_k are `bands` numbers from 1 to m / 2, equally far apart. The result
    is, in this order, the positions x, ``sin(π f_k x)`` of all axes, and ``cos(π f_k x)`` of all axes.

    Args:
        positions: (..., d), each axis from -1 to 1.
        bands: Number of frequencies K for each axis; 0 returns the positions alone.
        resolution: m of each of the d axes.

    Returns:
        (..., d * (2 K + 1)), in float32 or wider.

    Raises:
        ValueError: if there is not one resolution for each axis.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.fourier_features(torch.tensor([[0.0], [1/3]]), bands=1, resolution=(2,))  # x, sin(πx), cos(πx)
        tensor([[0.0000, 0.0000, 1.0000],
                [0.3333, 0.8660, 0.5000]])
    """
    if positions.shape[-1] != len(resolution):
        raise ValueError(
            f"resolution must name {positions.shape[-1]} axes, one for each of positions, got {resolution}"
        )
    dtype = torch.promote_types(positions.dtype, torch.float32)
    positions = positions.to(dtype)
    device = positions.device
    frequencies = torch.stack([torch.linspace(1.0, m / 2, bands, dtype=dtype, device=device) for m in resolution])
    angles = (math.pi * positions[..., None] * frequencies).flatten(-2)
    return torch.cat([positions, angles.sin(), angles.cos()], -1)


def grid_positions(*size: int, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """Lists the positions of a grid in raster order, each axis from -1, its first position, to 1, its last.

    Args:
        *size: Number of positions along each axis, such as H and W; a single one lies at 0.
        device: Device of the result; None takes torch's default.
        dtype: Floating type of the result.

    Returns:
        (product of sizes, axes).

    Examples:
        >>> from cv_attention.blocks import functional
        >>> functional.grid_positions(2, 1)
        tensor([[-1.,  0.],
                [ 1.,  0.]])
    """
    axes = [2 * torch.arange(n, device=device, dtype=dtype) / max(n - 1, 1) - float(n > 1) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
