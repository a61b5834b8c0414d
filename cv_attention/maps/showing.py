"""Shows images and maps side by side, in a notebook or as a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cv_attention.drawing import as_pixels
from cv_attention.figures import Sheet
from cv_attention.maps.heatmap import to_heatmap
from cv_attention.maps.recorded import RecordedMap


def show(images: Any, maps: Any = None, *, labels: Sequence[str] = (), **options: Any) -> Sheet:
    """Shows images next to their maps: the last line of a notebook's cell, or ``show(...).save("figure.pdf")``.

    Args:
        images: A tensor (N, C, H, W) or (C, H, W), an array (N, H, W, 3) or (H, W, 3), a picture of Pillow's, or a list
            of such. Floats within [0, 1] are shown as they are, others, such as normalized ones, stretched from their
            smallest to their largest value.
        maps: Maps of these images: (N, 1, H, W) or (N, h, w), as saliency methods and `to_heatmap` return them; a
            mapping of titles to several of these, which become columns; or what `record` yielded. None shows the images
            alone.
        labels: What is written next to each image.
        **options: Fields of `figures.Sheet`: `scale`, `opacity`, `signed`, `clip`, `low`, `high`, `caption`, ...

    Returns:
        A sheet, which a notebook shows. It needs no network and no widgets.

    Raises:
        ValueError: if the maps do not fit the images.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.rand(2, 3, 32, 32)
        >>> sheet = cva.show(images, {"Grad-CAM": cva.saliency.grad_cam(model, images)}, labels=["cat", "dog"])
        >>> len(sheet.images), list(sheet.maps)
        (2, ['Grad-CAM'])
    """
    pictures = _pictures(images)
    titled = maps if isinstance(maps, Mapping) else {} if maps is None else {"map": maps}
    columns = {
        str(title): heats for title, one in titled.items() if (heats := _heats(title, one, pictures)) is not None
    }
    if titled and not columns:
        raise ValueError("none of the maps is an image: channel gates have no positions")
    return Sheet(pictures, columns, list(labels), **options)


def _pictures(images: Any) -> list[NDArray[np.uint8]]:
    if isinstance(images, list | tuple):
        return [picture for one in images for picture in _pictures(one)]
    if isinstance(images, Image.Image):
        return [as_pixels(images)]
    if hasattr(images, "detach"):
        images = images.detach().cpu()
        values = (images.float() if images.is_floating_point() else images).numpy()
        if values.ndim not in (2, 3, 4) or (values.ndim > 2 and values.shape[-3] not in (1, 3)):
            raise ValueError(
                f"a tensor of images must be (N, C, H, W) or (C, H, W) with 1 or 3 channels, got {values.shape}"
            )
        values = values if values.ndim == 2 else np.moveaxis(values, -3, -1)
    else:
        values = np.asarray(images)
        if values.dtype == object or values.ndim not in (2, 3, 4):
            raise ValueError(f"images must be a tensor, an array or Pillow's pictures, got a {type(images).__name__}")
        if values.ndim == 3 and values.shape[2] not in (1, 3, 4):
            values = values[..., None]  # (N, H, W)
    if values.ndim == 2:
        values = values[..., None]
    whole = values if values.ndim == 4 else values[None]
    return list(np.repeat(_bytes(whole), 3 if whole.shape[3] == 1 else 1, axis=3)[..., :3])


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    numbers = values.astype(np.float32)
    finite = np.isfinite(numbers)
    low, high = (float(numbers[finite].min()), float(numbers[finite].max())) if finite.any() else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    numbers = np.where(finite, numbers, low)
    return np.rint((numbers - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _heats(title: Any, maps: Any, images: Sequence[Any]) -> list[Any] | None:
    """One map (h, w) for each image; None for maps without positions."""
    if isinstance(maps, RecordedMap):
        if maps.kind in ("channel", "alignment", "places"):
            return None
        maps = to_heatmap(maps)
    if hasattr(maps, "detach"):
        maps = maps.detach().float().cpu().numpy()
    values = maps if isinstance(maps, list | tuple) else np.asarray(maps, np.float32)
    if isinstance(values, np.ndarray) and values.ndim == 4 and values.shape[1] != 1:
        raise ValueError(f"maps {str(title)!r} have {values.shape[1]} channels; give each target a column of its own")
    if isinstance(values, np.ndarray) and values.ndim == 2 and len(images) == 1:
        values = values[None]
    if len(values) != len(images):
        raise ValueError(f"maps {str(title)!r} must be one for each of {len(images)} images, got {len(values)}")
    return list(values)
