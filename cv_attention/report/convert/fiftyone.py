"""Writes runs and saliency exports in FiftyOne's layout of datasets on disk, with maps as `Heatmap` labels.

https://docs.voxel51.com/user_guide/using_datasets.html#heatmaps. FiftyOne itself is not needed. Its `Dataset.from_dir`
takes ``metadata.json`` without a version for the layout that lists samples as plain JSON.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cv_attention.drawing import limits_of, normalise
from cv_attention.report.convert.images import Known, class_name, copied, emptied, known_images, opened
from cv_attention.report.read.recording import Column
from cv_attention.report.read.run_directory import Run
from cv_attention.rundir.files import write_bytes, write_text

_MARK = "samples.json"
_RESERVED = ("id", "filepath", "tags", "metadata", "ground_truth", "prediction", "box", "media_type", "name")


def to_fiftyone(run: Path | str, out: Path | str) -> Path:
    """Writes a run's or an export's images and maps as a dataset for FiftyOne.

    ``fiftyone.Dataset.from_dir(out, dataset_type=fiftyone.types.FiftyOneDataset)`` loads it. Maps are 8-bit pictures
    with the range [0, 255]; `low` and `high` of each label are the raw values of 0 and 255. Those of signed maps lie
    around zero. The labels name the pictures by absolute paths, as FiftyOne wants it, so convert again after moving
    the folder.

    Args:
        run: Directory of a run, of which the last recorded epoch is taken, or of an export.
        out: Folder to write to; an earlier conversion there is replaced.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: if there is no such run.
        ValueError: if it has no maps, or `out` holds something else.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=2, width=4)
        >>> with cva.report.Recorder("runs/mine", torch.rand(2, 3, 16, 16)) as recorder:
        ...     recorder.log(model, epoch=0)
        >>> cva.report.to_fiftyone("runs/mine", "dataset").name
        'dataset'
    """
    found, snapshot = opened(run)
    folder = Path(out)
    emptied(folder, _MARK)
    images = list(known_images(found, snapshot))
    fields = _fields([column for column in snapshot.columns if any(column in image.maps for image in images)])
    samples = [_sample(found, image, fields, folder) for image in images]
    metadata = {
        "name": found.name,
        "media_type": "image",
        "default_classes": found.class_names,
        "info": {"source": "cv_attention", "maps": {name: column.title for column, name in fields.items()}},
    }
    write_text(folder / "metadata.json", json.dumps(metadata, indent=1) + "\n")
    write_text(folder / _MARK, json.dumps({"samples": samples}, allow_nan=False) + "\n")
    return folder


def _fields(columns: list[Column]) -> dict[Column, str]:
    """Names a field for each column: letters, digits and underscores, none twice and none of FiftyOne's own."""
    names: dict[Column, str] = {}
    for column in columns:
        base = re.sub(r"\W+", "_", column.title, flags=re.ASCII).strip("_").lower() or "map"
        base = f"map_{base}" if base[0].isdigit() or base in _RESERVED else base
        name, number = base, 2
        while name in names.values():
            name, number = f"{base}_{number}", number + 1
        names[column] = name
    return names


def _sample(run: Run, image: Known, fields: dict[Column, str], out: Path) -> dict[str, Any]:
    path = copied(image, out / "data")
    sample: dict[str, Any] = {"filepath": path.relative_to(out).as_posix(), "tags": [], "metadata": None}
    sample["image_name"] = image.name or None
    if image.label is not None:
        sample["ground_truth"] = {"_cls": "Classification", "label": class_name(run, image.label)}
    if image.predicted is not None:
        label = class_name(run, image.predicted)
        sample["prediction"] = {"_cls": "Classification", "label": label, "confidence": image.probability}
    if image.box is not None:
        (x0, y0, x1, y1), (width, height) = image.box, image.size
        box = [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]
        label = class_name(run, image.label) if image.label is not None else "object"
        sample["box"] = {"_cls": "Detection", "label": label, "bounding_box": box}
    for column, heat in image.maps.items():
        sample[fields[column]] = _heatmap(heat, out / "heatmaps" / fields[column] / f"{image.number:06d}.png")
    return sample


def _heatmap(heat: NDArray[np.float32], path: Path) -> dict[str, Any]:
    limits = limits_of(heat)
    levels = (normalise(heat, limits.low, limits.high, signed=limits.signed) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    write_bytes(path, file.getvalue())
    about = {"low": float(f"{limits.low:.7g}"), "high": float(f"{limits.high:.7g}"), "signed": limits.signed}
    return {"_cls": "Heatmap", "map_path": str(path.resolve()), "range": [0, 255], **about}
