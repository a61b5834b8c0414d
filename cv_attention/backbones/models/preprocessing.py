"""Reads the preprocessing of pretrained weights from timm and torchvision: normalization, size, resizing, crop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cv_attention.backbones.models.build import find_library

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """The evaluation transform of pretrained weights.

    Attributes:
        source: Whose weights they are, such as ``timm's tf_efficientnet_lite0.in1k``.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        resize: Length of the short side before the crop, or (H, W).
        crop: (H, W) that the network takes, cut from the middle.
        interpolation: Pillow's filter: ``bilinear``, ``bicubic``, ...
        fit: How images of another shape come to `resize`, by timm's names: ``center`` keeps the ratio and crops what is
            over, ``squash`` does not keep it, ``border`` keeps it and pads.
    """

    source: str
    mean: Triple
    std: Triple
    resize: int | tuple[int, int]
    crop: tuple[int, int]
    interpolation: str
    fit: str = "center"

    def transform(self) -> dict[str, dict[str, Any]]:
        """Returns the step of ``data.eval_transforms`` that resizes and crops alike."""
        plain = self.resize if isinstance(self.resize, int) else list(self.resize)
        step: dict[str, Any] = {"resize": plain, "crop": list(self.crop), "interpolation": self.interpolation}
        if self.fit != "center":
            step["fit"] = self.fit
        if self.fit == "border":
            step["fill"] = [round(255 * value) for value in self.mean]
        return {"ResizeAndCrop": step}


def preprocessing_of(name: str, options: Mapping[str, Any] | None = None) -> Preprocessing | None:
    """Looks up what a library's pretrained weights expect of images.

    Args:
        name: A backbone's name, as in `build`.
        options: Further arguments of its constructor; timm's ``img_size``, ``pretrained_cfg`` and
            ``pretrained_cfg_overlay`` change what is expected.

    Returns:
        The transform that the library itself evaluates with, or None for our own networks and those of a class path,
        which have no such weights.

    Raises:
        ValueError: for an unknown name.
    """
    library, bare = find_library(name)
    if library in ("own", "class"):
        return None
    return _of_timm(bare, options or {}) if library == "timm" else _of_torchvision(bare)


def pretrained_classes(name: str, options: Mapping[str, Any] | None = None) -> int:
    """Counts the classes that a library's pretrained weights of a backbone know.

    Raises:
        ValueError: for an unknown name, or weights without classes or that do not exist.
    """
    library, bare = find_library(name)
    if library == "torchvision":
        return 1000
    if library in ("own", "class"):
        raise ValueError(f"there are no pretrained weights of {name!r}; give a file of weights")
    classes = _stated_by_timm(bare, options or {}).num_classes
    if not classes:
        raise ValueError(f"the pretrained weights of {name!r} know no classes: they make features, for a new head")
    return classes


def _stated_by_timm(bare: str, options: Mapping[str, Any]) -> Any:
    from timm.models import resolve_pretrained_cfg

    return resolve_pretrained_cfg(bare, options.get("pretrained_cfg"), options.get("pretrained_cfg_overlay"))


def _of_timm(bare: str, options: Mapping[str, Any]) -> Preprocessing:
    """As ``timm.data.create_transform(**timm.data.resolve_model_data_config(model))``."""
    from timm.data import resolve_data_config

    stated = _stated_by_timm(bare, options)
    size = options.get("img_size")
    given = {"input_size": (3, *((size, size) if isinstance(size, int) else size))} if size else {}
    found: dict[str, Any] = resolve_data_config(given, pretrained_cfg=stated.to_dict())
    height, width = found["input_size"][1:]
    scaled = (int(height / found["crop_pct"]), int(width / found["crop_pct"]))
    fit = found["crop_mode"]
    bicubic = found["interpolation"] == "random"
    return Preprocessing(
        source=f"timm's {stated.architecture}{'.' if stated.tag else ''}{stated.tag or ''}",
        mean=tuple(found["mean"]),
        std=tuple(found["std"]),
        resize=scaled[0] if fit == "center" and height == width else scaled,
        crop=(height, width),
        interpolation="bicubic" if bicubic else found["interpolation"],
        fit=fit,
    )


def _of_torchvision(bare: str) -> Preprocessing:
    from torchvision import models

    weights = models.get_model_weights(bare).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]  # an enum's member
    stated = weights.transforms()
    [side] = stated.crop_size
    [short] = stated.resize_size
    return Preprocessing(
        source=f"torchvision's {type(weights).__name__}.{weights.name}",
        mean=tuple(stated.mean),
        std=tuple(stated.std),
        resize=short,
        crop=(side, side),
        interpolation=stated.interpolation.value,
    )
