"""Reads images and labels from NumPy's files: MedMNIST's, Keras's and scikit-learn's ways to name the arrays."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cv_attention.config import Data
from cv_attention.data.guessing import not_found, other_kind
from cv_attention.data.labels import check_learned, listed, marked, numeric, separated
from cv_attention.data.libraries.listed import numbered
from cv_attention.data.sources.folder import ALIASES
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import in_memory
from cv_attention.data.tables.targets import columns_of
from cv_attention.suggest import suggest

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

    Labels are one class for each image, whole numbers or texts (N,) or (N, 1). With ``data.targets`` ``multi`` they are
    0 or 1 for each class, (N, C), as in MedMNIST's ChestMNIST, or texts of separated classes; with ``numbers`` they are
    (N,) or (N, V). ``data.table.label`` may also list an array for each class or number.

    Images are (N, H, W), (N, H, W, 1 or 3), (N, 1 or 3, H, W) or (N, H * W) of square grey images, as whole numbers or
    as floats from 0 on. White is 255 for 8 bits, 1 for floats up to 1; more bits follow from the largest training value
    or ``data.bits``; of other ranges the largest training value is white, with a warning.

    Raises:
        FileNotFoundError: if the file or folder does not exist.
        ValueError: if arrays are missing, hold Python objects, or their shapes, types or values are others.
    """
    root = Path(config.root).expanduser()
    arrays = _Arrays(root)
    image, wanted = config.table.image, columns_of(config)
    found = {split: arrays.part(aliases, image, wanted) for split, aliases in ALIASES.items()}
    parts = {split: part for split, part in found.items() if part is not None}
    if not parts and (part := arrays.part((), image, wanted)) is not None:
        parts = {"train": part}
    if "train" not in parts:
        there = ", ".join(arrays.names[:12]) or "none"
        raise ValueError(
            f"'{root}' needs arrays such as train_images and train_labels, or X and y, and has {there}; name them as "
            "data.table.image and data.table.label"
        )
    if "test" not in parts and "val" in parts:
        parts["test"] = parts.pop("val")
    classes, labels = _targets(arrays, parts, config)
    images, white = {}, None
    for split in sorted(parts, key=list(ALIASES).index):  # train first: it decides what is white
        name = parts[split].images
        pixels = _as_images(arrays.read(name), f"'{root}', {name}")
        white = white or _white(pixels, config.bits, f"'{root}', {name}")
        if len(pixels) != len(labels[split]):
            raise ValueError(f"'{root}': {len(pixels)} images in {name} have {len(labels[split])} labels")
        images[split] = in_memory(_scaled(pixels, white, f"'{root}', {name}"), labels[split])
    return classes, images


class _Part(NamedTuple):
    """Names of the arrays of one split: of its images, of its labels, and how the labels are called in every split."""

    images: str
    labels: list[str]
    called: list[str]


class _Arrays:
    """The arrays of an ``.npz`` file or of a folder of ``.npy`` files, by name."""

    def __init__(self, root: Path) -> None:
        if not root.exists():
            raise not_found(root, "arrays", "file")
        self.root = root
        try:
            self._file: Any = None if root.is_dir() else np.load(root, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = "" if "pickle" in str(error) else f": {error}"  # numpy's advice would run what the file holds
            raise ValueError(f"'{root}' is not an .npz file of arrays{reason}{other_kind(root, 'arrays')}") from error
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
            if "allow_pickle" in str(error):
                raise ValueError(
                    f"'{self.root}', {name} holds Python objects, which are not read, since that would run code; save "
                    "an array of texts or numbers, such as numpy.array(list(values))"
                ) from None
            raise ValueError(f"'{self.root}', {name} cannot be read: {' '.join(str(error).split())[:200]}") from error

    def part(self, splits: Sequence[str], image: str | None, labels: Sequence[str]) -> _Part | None:
        """Finds the arrays of a split, or of all images without `splits`; `labels` are wanted, empty for the usual."""
        images = self._find(splits, (image,) if image else _IMAGES)
        found = [(name, self._find(splits, (name,))) for name in labels]
        if not labels:
            usual = ((name, self._find(splits, (name,))) for name in _LABELS)
            found = [next(((name, own) for name, own in usual if own is not None), ("", None))]
        missing = [name for name, own in found if own is None]
        if images is None or len(missing) == len(found):
            return None
        if missing:
            raise ValueError(
                f"data.table.label: '{self.root}' has no array {missing[0]!r} next to {images}"
                f"{suggest(missing[0], self.names)}"
            )
        return _Part(images, [own for _, own in found if own is not None], [name for name, _ in found])

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


def _targets(arrays: _Arrays, parts: Mapping[str, _Part], config: Data) -> tuple[list[str], dict[str, np.ndarray]]:
    """Returns the names of the classes or numbers, and the labels of `Images` of each split."""
    names, place = arrays.class_names(), f"'{arrays.root}'"
    if config.targets == "single":
        values = {split: _classes(arrays.read(part.labels[0]), part.labels[0], place) for split, part in parts.items()}
        return numbered(values, names, str(arrays.root))
    columns = {split: _columns(arrays, part) for split, part in parts.items()}
    if config.targets == "multi" and columns["train"].dtype.kind == "U":
        texts = {split: separated(own[:, 0].tolist(), config.table.separator) for split, own in columns.items()}
        classes, labels = listed(texts, None, place)
    else:
        classes = _column_names(columns["train"].shape[1], parts["train"].called, names, place, config.targets)
        check = marked if config.targets == "multi" else numeric
        places = {split: f"{place}, {', '.join(part.labels)}" for split, part in parts.items()}
        labels = {split: check(own, classes, places[split]) for split, own in columns.items()}
    if config.targets == "multi":
        check_learned(labels, classes, place)
    return classes, labels


def _columns(arrays: _Arrays, part: _Part) -> np.ndarray:
    """Returns the labels of one split, (N, C): one array of several columns, or several of one."""
    read = []
    for name in part.labels:
        values = arrays.read(name)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.dtype.kind not in "iufbUS" or (len(part.labels) > 1 and values.shape[1] != 1):
            wanted = "(N,)" if len(part.labels) > 1 else "(N,) or (N, C)"
            raise ValueError(f"'{arrays.root}', {name} must be {wanted}, got {values.dtype} {values.shape}")
        read.append(np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values)
    if lengths := [len(values) for values in read if len(values) != len(read[0])]:
        first = part.labels[0]
        raise ValueError(f"'{arrays.root}': {first} has {len(read[0])} labels, but another array has {lengths[0]}")
    return np.concatenate(read, axis=1)


def _column_names(count: int, called: list[str], names: list[str] | None, place: str, targets: str) -> list[str]:
    """Returns the names of columns: those of the file, of the arrays, or numbers."""
    if len(called) > 1:
        return called
    if names is not None and len(names) == count:
        return names
    if names is not None and targets == "multi":
        raise ValueError(f"{place} names {len(names)} classes, but {called[0]} has {count} columns")
    return called if count == 1 else [str(number) for number in range(count)]


def _one_hot(values: np.ndarray) -> bool:
    """Returns whether each row has a single 1 among zeros."""
    return values.dtype.kind in "iufb" and bool(((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all())


def _classes(values: np.ndarray, name: str, place: str) -> list[Any]:
    """Returns the class of each image."""
    if values.ndim == 2 and values.shape[1] == 1:  # as MedMNIST stores them
        values = values[:, 0]
    if values.ndim == 2 and values.shape[1] > 1 and _one_hot(values):  # as Keras's to_categorical writes them
        values = values.argmax(1)
    if values.ndim == 2:
        raise ValueError(
            f"{place}, {name} has {values.shape[1]} labels for each image, but one class for each image is needed; if "
            "they are 0 and 1, set data.targets multi, and numbers for numbers"
        )
    whole = values.dtype.kind == "f" and bool((values == np.rint(values)).all())
    if values.ndim != 1 or not (values.dtype.kind in "iuUS" or whole):
        hint = "; with data.targets numbers they are learned as numbers" if values.dtype.kind == "f" else ""
        raise ValueError(
            f"{place}, {name} must hold whole numbers or texts (N,), got {values.dtype} {values.shape}{hint}"
        )
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
