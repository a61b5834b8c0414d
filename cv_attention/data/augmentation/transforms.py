"""Builds albumentations pipelines from YAML, reproducible image by image."""

import inspect
import os
import random
import warnings
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cv_attention.config import Transform
from cv_attention.suggest import suggest

if TYPE_CHECKING:
    from cv_attention.data.augmentation.batched import BatchedPipeline

_REFUSED = {
    "Normalize": "images are normalised on the device, with the data set's statistics, and stay uint8 until then",
    "ToTensorV2": "batches are converted to tensors automatically",
    "ToTensor3D": "batches are converted to tensors automatically",
    "ToFloat": "images stay uint8 until they are normalised on the device",
    "FromFloat": "images are uint8 throughout",
}


class Pipeline:
    """Applies a list of transforms to images.

    albumentations is imported (4 s) only if there are transforms. Every random number of an image comes from
    a counter-based generator set to (seed, epoch, index), so that an image's augmentation is the same
    wherever and in whatever order it is computed, and different in each epoch.

    Args:
        steps: Class names, or class names with their arguments; a composition such as `OneOf` takes
            `transforms`.
        place: Name of the list, for messages: `data.train_transforms`.
        boxes: Whether images come with a box to transform.

    Raises:
        ValueError: if a class or an argument is unknown, or an argument's value is invalid.
    """

    def __init__(self, steps: Sequence[Transform], place: str, *, boxes: bool = False):
        self.steps = list(steps)
        self.place = place
        self.boxes = boxes
        self._compose: Any = None
        if self.steps:
            albumentations = _albumentations()
            transforms = [_build(step, f"{place}[{i}]", albumentations) for i, step in enumerate(self.steps)]
            bbox_params = albumentations.BboxParams(format="pascal_voc", label_fields=["places"]) if boxes else None
            self._compose = albumentations.Compose(transforms, bbox_params=bbox_params)
            self._random = _KeyedRandom()
            self._compose.set_random_state(self._random.generator, self._random)

    def __bool__(self) -> bool:
        return self._compose is not None

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Pipeline, boxes=self.boxes), (self.steps, self.place)  # a worker builds its own

    @cached_property
    def batched(self) -> "BatchedPipeline | None":
        """Returns the batched pipeline, or None if one of the steps has no batched version, or there are boxes."""
        from cv_attention.data.augmentation.batched import BatchedPipeline

        if self and self.boxes:
            return None
        return BatchedPipeline.of(self._compose.transforms if self else [])

    @property
    def size_advice(self) -> str:
        """Returns transforms that bring images of any size to one size."""
        if "train" in self.place:
            return "RandomResizedCrop: {size: [224, 224]} or Resize: {height: 224, width: 224}"
        return "ResizeAndCrop: {resize: 256, crop: [224, 224]}"

    def __call__(
        self, image: np.ndarray, key: tuple[int, int, int], box: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Transforms an image.

        Args:
            image: uint8 (H, W, 3).
            key: (seed, epoch, index), which determines all random numbers.
            box: x0, y0, x1, y1 in pixels; transformed with the image.

        Returns:
            The image, uint8 (H', W', 3), and the box, all 0 if it left the image.

        Raises:
            ValueError: if a transform changed the dtype or the number of channels.
        """
        if box is None:
            return self._apply(image, key)["image"], None
        image, boxes = self.with_boxes(image, key, box[None])
        return image, np.nan_to_num(boxes[0])

    def with_boxes(
        self, image: np.ndarray, key: tuple[int, int, int], boxes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Transforms an image with any number of boxes.

        Args:
            image: uint8 (H, W, 3).
            key: (seed, epoch, index), which determines all random numbers.
            boxes: float32 (N, 4), x0, y0, x1, y1 in pixels, NaN where there is no box.

        Returns:
            The image, uint8 (H', W', 3), and the boxes, float32 (N, 4), NaN where one has left the image.

        Raises:
            ValueError: if a transform changed the dtype or the number of channels.
        """
        places = np.flatnonzero(~np.isnan(boxes).any(1))
        result = self._apply(image, key, bboxes=boxes[places], places=places)
        moved = np.full_like(boxes, np.nan, dtype=np.float32)
        kept = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
        inside = (kept[:, 2:] - kept[:, :2] > 0.01).all(1)  # albumentations keeps a box without area at the border
        moved[np.asarray(result["places"], np.int64)[inside]] = kept[inside]
        return result["image"], moved

    def _apply(self, image: np.ndarray, key: tuple[int, int, int], **boxes: np.ndarray) -> dict[str, Any]:
        self._random.set_key(key)
        result = self._compose(image=image, **boxes)
        image = result["image"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"the transforms must leave a uint8 (H, W, 3) image, got {image.dtype} {tuple(image.shape)}"
            )
        return result


class _KeyedRandom(random.Random):
    """Implements Python's random functions on numpy's Philox generator, which is set to a key in a microsecond.

    albumentations draws from a `random.Random` and from a numpy generator; here both share one stream.
    """

    def __init__(self) -> None:
        self.generator = np.random.Generator(np.random.Philox(0))
        self._state: dict[str, Any] = dict(self.generator.bit_generator.state)
        super().__init__(0)

    def set_key(self, key: tuple[int, int, int]) -> None:
        """Starts the stream of (seed, epoch, index)."""
        seed, epoch, index = key
        inner = self._state["state"]
        inner["key"][0], inner["key"][1] = seed & 0xFFFFFFFFFFFFFFFF, epoch
        inner["counter"][:] = (0, 0, 0, index)  # the first word counts the numbers drawn
        self.generator.bit_generator.state = self._state
        self.gauss_next = None  # the second of a pair of normal numbers

    def random(self) -> float:
        return self.generator.random()


def _albumentations() -> Any:
    os.environ.setdefault(
        "NO_ALBUMENTATIONS_UPDATE", "1"
    )  # otherwise its import checks for newer versions over the network
    import albumentations

    return albumentations


def _build(step: Any, place: str, albumentations: Any) -> Any:
    """Builds one transform from `Name` or `{Name: {argument: value}}`."""
    name, arguments = _parse(step, place)
    if name in _REFUSED:
        raise ValueError(f"{place}: {name} is not supported: {_REFUSED[name]}")
    bases = (albumentations.BasicTransform, albumentations.BaseCompose)
    known = {
        n: c
        for n, c in vars(albumentations).items()
        if inspect.isclass(c)
        and issubclass(c, bases)
        and c.__module__.startswith(("albumentations.augm", "albumentations.core"))
    }
    from cv_attention.data.augmentation.resize_and_crop import ResizeAndCrop

    known["ResizeAndCrop"] = ResizeAndCrop
    if name not in known:
        raise ValueError(f"{place}: unknown albumentations transform '{name}'{suggest(name, sorted(known))}")
    accepted = [p for p in inspect.signature(known[name].__init__).parameters if p != "self"]
    for argument in arguments:
        if argument not in accepted:
            near = suggest(argument, accepted, shown=0) if accepted else ""
            near = near if "did you mean" in near else ""
            raise ValueError(
                f"{place}: {name} got an unknown argument '{argument}'{near} (it takes {', '.join(accepted)})"
            )
    if issubclass(known[name], albumentations.BaseCompose) and isinstance(arguments.get("transforms"), list):
        inner = enumerate(arguments["transforms"])
        arguments["transforms"] = [_build(s, f"{place}.{name}[{i}]", albumentations) for i, s in inner]
    return _call(known[name], arguments, f"{place}: {name}")


def _parse(step: Any, place: str) -> tuple[str, dict[str, Any]]:
    if isinstance(step, str):
        return step, {}
    if isinstance(step, dict) and len(step) == 1:
        [(name, arguments)] = step.items()
        if arguments is None or isinstance(arguments, dict):
            return str(name), dict(arguments or {})
    raise ValueError(f"{place}: expected a transform's name or {{Name: {{argument: value}}}}, got {step!r}")


def _call(transform: type, arguments: dict[str, Any], place: str) -> Any:
    with warnings.catch_warnings():
        # albumentations falls back to its defaults with only a warning, which it may attribute to its caller.
        warnings.filterwarnings("error", category=UserWarning, module=r"(albumentations|cv_attention)(\.|$)")
        try:
            return transform(**arguments)
        except Exception as error:
            raise ValueError(f"{place}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Returns the message of pydantic, or of a constructor, in one line."""
    cause = error.__cause__
    if cause is not None and hasattr(cause, "errors"):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in cause.errors())  # type: ignore[attr-defined]
    return " ".join(str(error).split())
