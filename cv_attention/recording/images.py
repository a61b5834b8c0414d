"""Takes images in the forms people have them: tensors, arrays or files; keeps what the model gets and what is shown."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Normalise = Callable[[Tensor], Tensor]

_FORMS = "a tensor (N, C, H, W), a NumPy array (N, H, W) or (N, H, W, C), or a list of files, tensors or arrays"


@dataclass(frozen=True)
class Images:
    """N images of one size.

    Attributes:
        values: (N, C, H, W) as they were given, uint8 or float32, on the CPU.
        pictures: uint8 (N, H, W, 3), as they are shown.
        names: Path of each file; None for images that came as numbers.
        zero: Colour of a zero in `values`, in [0, 1], for each of three channels.
    """

    values: Tensor
    pictures: np.ndarray
    names: tuple[str | None, ...]
    zero: tuple[float, float, float]


def take(images: Any) -> Images:
    """Reads images.

    Args:
        images: A tensor (N, C, H, W) or (N, H, W); a NumPy array (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels; or
            a list of files, of tensors (C, H, W), of arrays (H, W) or (H, W, C), or of Pillow's images. uint8, or
            floats: those within [0, 1] are shown as they are, others stretched between their extremes. One channel is
            shown as grey, and so is the mean of any other number than three.

    Raises:
        ValueError: if they have another form, several sizes, or numbers that are not finite.
    """
    names: tuple[str | None, ...] = ()
    if isinstance(images, str | os.PathLike):
        raise ValueError(f"images must be {_FORMS}, got the single path {os.fspath(images)!r}: put it into a list")
    if not isinstance(images, Tensor | np.ndarray):
        given: Sequence[Any] = list(images)
        if given and all(isinstance(one, str | os.PathLike) for one in given):
            names = tuple(str(Path(one)) for one in given)
            given = [_read(one) for one in given]
        images = _stack([_pixels(one) for one in given])
    values = _channels_first(images)
    if not len(values):
        raise ValueError("images must be at least one, got none")
    if not bool(values.isfinite().all()):
        raise ValueError("images must be finite, got NaN or infinity")
    pictures, zero = _pictures(values)
    return Images(values, pictures, names or (None,) * len(values), zero)


def _read(path: Any) -> np.ndarray:
    from cv_attention.data.decoding.decode import read_image

    return read_image(path)


def _pixels(one: Any) -> Tensor | np.ndarray:
    """One image as numbers; of Pillow's modes, those that are not grey are shown and given as RGB."""
    if isinstance(one, Image.Image):
        return np.asarray(one.convert("L" if one.mode in ("1", "L") else "RGB"))
    if isinstance(one, Tensor):
        return one
    try:
        found = np.asarray(one)
    except ValueError:  # of several lengths, such as a pair of image and label
        found = np.empty(0, object)
    if found.dtype == object:
        raise ValueError(f"images must be {_FORMS}, got a list with a {type(one).__name__} in it")
    return found


def _stack(given: Sequence[Any]) -> Any:
    shapes = {tuple(np.shape(one)) for one in given}
    if len(shapes) > 1:
        raise ValueError(f"images must have one size; got {', '.join(map(str, sorted(shapes)[:3]))}: resize them first")
    if given and all(isinstance(one, Tensor) for one in given):
        return torch.stack(list(given))
    return np.stack([np.asarray(one) for one in given]) if given else torch.empty(0, 1, 1, 1)


def _channels_first(images: Tensor | np.ndarray) -> Tensor:
    """(N, C, H, W), uint8 or float32, on the CPU."""
    shape = tuple(images.shape)
    if len(shape) not in (3, 4):
        raise ValueError(f"images must be {_FORMS}; got shape {shape}")
    if isinstance(images, np.ndarray):
        if len(shape) == 4 and shape[3] not in (1, 3, 4):
            raise ValueError(
                f"a NumPy array of images is (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels, got {shape}; for "
                "(N, C, H, W) pass a tensor"
            )
        images = torch.from_numpy(np.ascontiguousarray(images))
        images = images.permute(0, 3, 1, 2) if len(shape) == 4 else images
    values = images[:, None] if images.dim() == 3 else images
    if values.dtype != torch.uint8 and not values.is_floating_point():
        raise ValueError(f"images must be uint8 or floating point, got {values.dtype}")
    values = values.detach().cpu()
    return (values if values.dtype == torch.uint8 else values.float()).contiguous()


def _pictures(values: Tensor) -> tuple[np.ndarray, tuple[float, float, float]]:
    """What is shown, and the colour that a zero has there."""
    low, high = 0.0, 1.0
    shown = values.float() / 255 if values.dtype == torch.uint8 else values
    if shown.min() < 0 or shown.max() > 1:
        low, high = float(shown.min()), float(shown.max())
        shown = (shown - low) / max(high - low, 1e-12)
    shown = shown if shown.shape[1] == 3 else shown.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    zero = min(max(-low / max(high - low, 1e-12), 0.0), 1.0)
    return (shown * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy(), (zero, zero, zero)


def normaliser(
    images: Images, normalise: Normalise | None, mean: Any = None, std: Any = None
) -> tuple[Normalise, tuple[float, float, float] | None]:
    """Chooses what turns `Images.values` into the model's input.

    Args:
        images: The images.
        normalise: Takes (N, C, H, W) as given, on the model's device; None divides uint8 by 255 and leaves floats.
        mean: Mean of each channel in [0, 1]. With `normalise`, the colour that it turns into zero.
        std: Standard deviation of each channel; goes with `mean` where `normalise` is None.

    Returns:
        The function, and the colour in [0, 1] that becomes zero in its output; None where that is unknown.

    Raises:
        ValueError: if `std` comes with `normalise`, or one of `mean` and `std` is missing without it.
    """
    channels = images.values.shape[1]
    if normalise is not None:
        if std is not None:
            raise ValueError("give either normalise or std, not both")
        return normalise, None if mean is None else _colour(_per_channel("mean", mean, channels))
    if (mean is None) != (std is None):
        raise ValueError("mean and std go together: give both or neither")
    if mean is None:
        return _scaled, images.zero
    centre, spread = _per_channel("mean", mean, channels), _per_channel("std", std, channels)
    if bool((spread <= 0).any()):
        raise ValueError(f"std must be positive, got {spread.flatten().tolist()}")
    return partial(_standardised, centre=centre, spread=spread), _colour(centre)


def _standardised(values: Tensor, *, centre: Tensor, spread: Tensor) -> Tensor:
    return (_scaled(values) - centre.to(values.device)) / spread.to(values.device)


def _colour(mean: Tensor) -> tuple[float, float, float]:
    """A colour of three channels, as images are shown."""
    values = mean.flatten().tolist()
    grey = sum(values) / len(values)
    return (values[0], values[1], values[2]) if len(values) == 3 else (grey, grey, grey)


def _per_channel(name: str, value: Any, channels: int) -> Tensor:
    found = torch.as_tensor(value, dtype=torch.float32).flatten()
    if len(found) not in (1, channels):
        raise ValueError(f"{name} must have one number per channel, {channels}, got {len(found)}")
    return found.expand(channels).reshape(-1, 1, 1)


def _scaled(values: Tensor) -> Tensor:
    return values.float() / 255 if values.dtype == torch.uint8 else values
