"""Reads images and labels from NumPy's files: MedMNIST's, Keras's and scikit-learn's ways to name the arrays."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.config import Data
from cv_attention.data.libraries.listed import numbered
from cv_attention.data.sources.folder import ALIASES
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import in_memory
from cv_attention.data.tables.targets import single_column

_IMAGES, _LABELS = ("images", "x", "data", "image"), ("labels", "y", "target", "targets", "label")
_NAMES = ("class_names", "target_names", "classes")
_USUAL = (10, 12, 14, 16)  # bit depths of more than 8
_DIGITS = 128  # a smaller largest value than this is not that of 8 bits


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split, of ``train`` alone where the arrays are not divided.

    ``data.root`` is an ``.npz`` file, or a folder of ``.npy`` files. Arrays are called ``train_images`` and
    ``train_labels`` as in MedMNIST, ``x_train`` and ``y_train`` as in Keras, or ``X`` and ``y``, ``data`` and
    ``target``, ``images`` and ``labels`` as in scikit-learn; ``data.table.image`` and ``data.table.label`` name others.
    ``class_names`` or ``target_names`` may name the classes.

    Images are (N, H, W), (N, H, W, 1 or 3), (N, 1 or 3, H, W) or (N, H * W) of square grey images, as whole numbers or
    as floats from 0 on. White is 255 for 8 bits, 1 for floats up to 1; more bits follow from the largest training value
    or ``data.bits``; of other ranges the largest training value is white, with a warning.

    Raises:
        FileNotFoundError: if the file or folder does not exist.
        ValueError: if arrays are missing, hold Python objects, or their shapes, types or values are others.
    """
    root = Path(config.root).expanduser()
    arrays = _Arrays(root)
    image, label = config.table.image, single_column(config)
    found = {split: arrays.pair(aliases, image, label) for split, aliases in ALIASES.items()}
    pairs = {split: pair for split, pair in found.items() if pair is not None}
    if not pairs and (pair := arrays.pair((), image, label)) is not None:
        pairs = {"train": pair}
    if "train" not in pairs:
        listed = ", ".join(arrays.names[:12]) or "none"
        raise ValueError(
            f"'{root}' needs arrays such as train_images and train_labels, or X and y, and has {listed}; name them as "
            "data.table.image and data.table.label"
        )
    if "test" not in pairs and "val" in pairs:
        pairs["test"] = pairs.pop("val")
    values = {split: _labels(arrays.read(name), name, root) for split, (_, name) in pairs.items()}
    classes, labels = numbered(values, arrays.class_names(), str(root))
    images, white = {}, None
    for split in sorted(pairs, key=list(ALIASES).index):  # train first: it decides what is white
        name = pairs[split][0]
        pixels = _as_images(arrays.read(name), f"'{root}', {name}")
        white = white or _white(pixels, config.bits, f"'{root}', {name}")
        if len(pixels) != len(labels[split]):
            raise ValueError(f"'{root}': {len(pixels)} images in {name} have {len(labels[split])} labels")
        images[split] = in_memory(_scaled(pixels, white, f"'{root}', {name}"), labels[split])
    return classes, images


class _Arrays:
    """The arrays of an ``.npz`` file or of a folder of ``.npy`` files, by name."""

    def __init__(self, root: Path) -> None:
        if not root.exists():
            raise FileNotFoundError(f"data.root: file not found: '{root}'")
        self.root = root
        try:
            self._file: Any = None if root.is_dir() else np.load(root, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"'{root}' is not an .npz file of arrays: {error}") from error
        if isinstance(self._file, np.ndarray):
            raise ValueError(f"'{root}' holds a single array; give an .npz file or a folder, with images and labels")
        self.names = sorted(path.stem for path in root.glob("*.npy")) if self._file is None else list(self._file.files)

    def read(self, name: str) -> np.ndarray:
        """Reads one array; Python objects are refused, since unpickling them runs code."""
        try:
            if self._file is None:
                return np.load(self.root / f"{name}.npy", allow_pickle=False)
            return self._file[name]
        except Exception as error:  # zipfile, zlib and numpy raise different errors for damage
            raise ValueError(f"'{self.root}', {name} cannot be read: {' '.join(str(error).split())[:200]}") from error

    def pair(self, splits: Sequence[str], image: str | None, label: str | None) -> tuple[str, str] | None:
        """Finds the names of images and labels of a split, or of all images without `splits`."""
        images = self._find(splits, (image,) if image else _IMAGES)
        labels = self._find(splits, (label,) if label else _LABELS)
        return None if images is None or labels is None else (images, labels)

    def class_names(self) -> list[str] | None:
        """Returns the names of the classes, if there are any."""
        name = self._find((), _NAMES)
        found = None if name is None else self.read(name)
        return None if found is None or found.dtype.kind not in "US" else [str(each) for each in found.reshape(-1)]

    def _find(self, splits: Sequence[str], names: Sequence[str]) -> str | None:
        by_name = {name.lower(): name for name in self.names}
        forms = [f"{split}_{name}" for split in splits for name in names]
        forms += [f"{name}_{split}" for split in splits for name in names]
        return next((by_name[form.lower()] for form in forms or names if form.lower() in by_name), None)


def _labels(values: np.ndarray, name: str, root: Path) -> list[Any]:
    if values.ndim == 2 and values.shape[1] == 1:  # as MedMNIST stores them
        values = values[:, 0]
    if values.ndim == 2:
        raise ValueError(
            f"'{root}', {name} has {values.shape[1]} labels for each image, but one class for each image is needed"
        )
    whole = values.dtype.kind == "f" and bool((values == np.rint(values)).all())
    if values.ndim != 1 or not (values.dtype.kind in "iuUS" or whole):
        raise ValueError(f"'{root}', {name} must hold whole numbers or texts (N,), got {values.dtype} {values.shape}")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return (values.astype(np.int64) if whole else values).tolist()


def _as_images(values: np.ndarray, place: str) -> np.ndarray:
    """Returns (N, H, W, 1 or 3)."""
    if values.dtype.kind not in "uifb":
        raise ValueError(f"{place} must hold numbers, got {values.dtype}")
    shape = values.shape
    if not values.size:
        raise ValueError(f"{place} holds no images: its shape is {shape}")
    if values.ndim == 2 and round(shape[1] ** 0.5) ** 2 == shape[1]:
        side = round(shape[1] ** 0.5)
        return values.reshape(-1, side, side, 1)
    if values.ndim == 3:
        return values[..., None]
    if values.ndim == 4 and shape[3] in (1, 3):
        return values
    if values.ndim == 4 and shape[1] in (1, 3):
        return values.transpose(0, 2, 3, 1)
    raise ValueError(
        f"{place} must hold images (N, H, W), (N, H, W, 1 or 3), (N, 1 or 3, H, W) or squares (N, H * W), got {shape}"
    )


def _white(pixels: np.ndarray, bits: int | None, place: str) -> float:
    """Returns the value that is white, by the training images."""
    least, most = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(least) and np.isfinite(most)) or least < 0:
        raise ValueError(f"{place} has values from {least:g} to {most:g}; images start at 0, not normalised")
    if pixels.dtype.kind == "b" or (pixels.dtype.kind == "f" and most <= 1):
        return 1.0
    if bits is not None:
        return 2.0**bits - 1
    if pixels.dtype == np.uint8 or _DIGITS <= most <= 255:
        return 255.0
    if most > 255:
        return 2.0 ** next((each for each in _USUAL if most < 2**each), 16) - 1
    if most > 0:
        warnings.warn(f"{place}: its largest value {most:g} is taken for white", stacklevel=2)
    return most or 255.0


def _scaled(pixels: np.ndarray, white: float, place: str) -> np.ndarray:
    """Returns uint8 (N, H, W, 3)."""
    if pixels.dtype != np.uint8 or white != 255:
        if float(pixels.min()) < 0 or not float(pixels.max()) <= white:
            raise ValueError(f"{place} has values from {pixels.min():g} to {pixels.max():g}; expected 0 to {white:g}")
        scaled = np.empty(pixels.shape, np.uint8)
        for number, image in enumerate(pixels):  # one at a time: floats take eight times the memory
            scaled[number] = np.rint(image * (255 / white))
        pixels = scaled
    return np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else np.ascontiguousarray(pixels)
