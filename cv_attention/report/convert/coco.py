"""Writes runs and saliency exports in COCO's layout: images, classes, true boxes, and the regions of maps as masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cv_attention.report.convert.images import Known, class_name, copied, emptied, known_images, opened
from cv_attention.rundir.files import write_text

_MARK = "annotations.json"


def to_coco(run: Path | str, out: Path | str, *, threshold: float = 0.5) -> Path:
    """Writes a run's or an export's images, true boxes and the regions of its maps as a COCO dataset.

    Each map becomes an annotation of the explained class: the mask of the positions with at least `threshold` of the
    map's largest value, as run lengths that pycocotools reads, its box and area, and its `map`; `score` is the
    probability of the class. True boxes are annotations without `map`.

    Args:
        run: Directory of a run, of which the last recorded epoch is taken, or of an export.
        out: Folder to write to, with ``annotations.json`` and ``data/``; an earlier conversion there is replaced.
        threshold: Share of the largest value, in (0, 1].

    Returns:
        The folder.

    Raises:
        FileNotFoundError: if there is no such run.
        ValueError: if it has no maps, `out` holds something else, or `threshold` is out of range.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=2, width=4)
        >>> with cva.report.Recorder("runs/mine", torch.rand(2, 3, 16, 16)) as recorder:
        ...     recorder.log(model, epoch=0)
        >>> cva.report.to_coco("runs/mine", "coco").name
        'coco'
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], got {threshold}")
    found, snapshot = opened(run)
    folder = Path(out)
    emptied(folder, _MARK)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    most = len(found.class_names)
    for image in known_images(found, snapshot):
        path = copied(image, folder / "data")
        width, height = image.size
        about = {"id": image.number, "file_name": path.relative_to(folder).as_posix()}
        images.append({**about, "width": width, "height": height, "name": image.name})
        annotations += _annotations(image, threshold)
        most = max(most, *(1 + one["category_id"] for one in annotations[-1:]), 0)
    content = {
        "info": {"description": f"{found.name}, by cv_attention", "threshold": threshold},
        "images": images,
        "categories": [{"id": index, "name": class_name(found, index)} for index in range(max(most, 1))],
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, start=1)],
    }
    write_text(folder / _MARK, json.dumps(content, allow_nan=False) + "\n")
    return folder


def _annotations(image: Known, threshold: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    shared = {"image_id": image.number, "iscrowd": 0}
    if image.box is not None:
        x0, y0, x1, y1 = image.box
        box = [x0, y0, x1 - x0, y1 - y0]
        found.append({**shared, "category_id": image.label or 0, "bbox": box, "area": box[2] * box[3]})
    for column, heat in image.maps.items():
        mask = _region(heat, image.size, threshold)
        if not mask.any():
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
        explained = image.predicted if image.predicted is not None else image.label
        shape = {"bbox": box, "area": int(mask.sum()), "segmentation": run_lengths(mask)}
        about = {"category_id": explained or 0, "map": column.title, "score": image.probability}
        found.append({**shared, **shape, **about})
    return found


def _region(heat: NDArray[np.float32], size: tuple[int, int], threshold: float) -> NDArray[np.bool_]:
    """The positions of the image with at least a share of the map's largest value; none for maps without positive."""
    finite = np.nan_to_num(heat, nan=0.0, posinf=float(np.finfo(np.float32).max), neginf=0.0)
    most = float(finite.max())
    if most <= 0:
        return np.zeros(size[::-1], np.bool_)
    scaled = Image.fromarray((finite / most).astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(scaled) >= min(threshold, float(np.asarray(scaled).max()))


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Encodes a mask (H, W) as COCO does: lengths of runs of 0 and 1 in turns, column by column, 0 first."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    counts = counts[:-1] if mask.size and mask.ravel(order="F")[-1] else counts
    return {"size": [int(mask.shape[0]), int(mask.shape[1])], "counts": [int(count) for count in counts]}
