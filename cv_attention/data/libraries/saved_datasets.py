"""Reads data sets of Hugging Face's ``datasets``: as ``save_to_disk`` writes them, and as Parquet files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.config import Data
from cv_attention.data.decoding.bit_depth import found_bits
from cv_attention.data.decoding.decode import decode_image
from cv_attention.data.guessing import not_found, other_kind
from cv_attention.data.libraries import saved_labels
from cv_attention.data.libraries.listed import Listed, images_of
from cv_attention.data.libraries.parquet_files import open_parquet, parquet_files
from cv_attention.data.libraries.saved_labels import find_column
from cv_attention.data.sources.folder import ALIASES
from cv_attention.data.sources.images import Images
from cv_attention.extras import require

_SAVED = ("dataset_info.json", "dataset_dict.json", "state.json")


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split, of ``train`` alone without splits.

    ``data.root`` is a folder that ``save_to_disk`` wrote, a Parquet file with images in it, or a folder of such files
    as on the Hub, ``data/train-00000-of-00001.parquet``.

    The column of images is the first of the type `Image`; ``data.table.image`` names another. For the labels see
    `saved_labels.read`.

    Raises:
        FileNotFoundError: if the file or folder does not exist.
        ValueError: if it holds no such data set, or the columns are missing or of another type, or a label is wrong.
    """
    require("datasets", "data.name datasets")
    splits = _open(Path(config.root).expanduser())
    features = splits["train"].features
    image = find_column(features, config.table.image, "data.table.image", _is_image, ("image", "img"))
    if image is None:
        raise ValueError(f"'{config.root}' has no column of images; its columns are {', '.join(features)}")
    classes, labels = saved_labels.read(splits, config)
    return classes, {split: _images(dataset, image, labels[split], split, config) for split, dataset in splits.items()}


def _open(root: Path) -> dict[str, Any]:
    if not root.is_dir() and not (root.is_file() and root.suffix.lower() == ".parquet"):
        raise not_found(root, "datasets", "file or folder")
    import datasets  # pyright: ignore[reportMissingImports]

    if not any((root / name).is_file() for name in _SAVED) and (files := parquet_files(root)):
        return _tested({split: part.with_format(None) for split, part in open_parquet(files, root).items()}, root)
    try:
        saved = datasets.load_from_disk(str(root))
    except Exception as error:  # whatever a damaged or foreign folder provokes
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"'{root}' is not a data set that save_to_disk of datasets wrote: {reason}{other_kind(root, 'datasets')}"
        ) from error
    if not isinstance(saved, datasets.DatasetDict):
        return {"train": saved.with_format(None)}
    name_of = {alias: split for split, aliases in ALIASES.items() for alias in aliases}
    by_name = {str(name): dataset.with_format(None) for name, dataset in saved.items()}
    found = {name_of[name.lower()]: dataset for name, dataset in by_name.items() if name.lower() in name_of}
    return _tested(found, root, by_name)


def _tested(found: dict[str, Any], root: Path, names: Iterable[str] = ()) -> dict[str, Any]:
    """Makes the only split besides train the test split, as for folders of classes."""
    if "train" not in found:
        raise ValueError(f"'{root}' has the splits {', '.join(names or found)}; expected train, and validation or test")
    if "test" not in found and "val" in found:
        found["test"] = found.pop("val")
    return found


def _is_image(feature: Any) -> bool:
    return type(feature).__name__ == "Image"


def _images(dataset: Any, image: str, labels: np.ndarray, split: str, config: Data) -> Images:
    import datasets  # pyright: ignore[reportMissingImports]

    if not _is_image(dataset.features[image]):
        raise ValueError(
            f"'{config.root}': {image} must be a column of images, got {dataset.features[image]}; if these are paths, "
            f"save it again after cast_column({image!r}, datasets.Image())"
        )
    rows = dataset.select_columns([image]).cast_column(image, datasets.Image(decode=False)).with_format(None)
    rows = _Column(rows, image)
    bits = config.bits or found_bits(len(labels), lambda index, most: rows[index][:most])
    storage = Listed(rows, _pixels, f"{config.root}, {split}", bits)
    root = Path(config.root).expanduser()
    folder = root if root.is_dir() else root.parent
    store = folder / ".cv_attention" / f"broken-{split}-{dataset._fingerprint}-{bits}.json"
    return images_of(storage, labels, split, store if config.on_error == "skip" else None)


class _Column:
    """The files of one column, by row; pickled for worker processes."""

    def __init__(self, dataset: Any, name: str) -> None:
        self._dataset, self._name = dataset, name

    def __getitem__(self, row: int) -> bytes:
        content = self._dataset[row][self._name]
        if not content or not content.get("bytes"):  # a path could lead anywhere
            raise ValueError("the image is not in the data set, which holds at most its path")
        return content["bytes"]


def _pixels(rows: _Column, row: int, bits: int | None) -> np.ndarray:
    return decode_image(rows[row], f"image {row}", bits)
