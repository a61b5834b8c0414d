"""Maps of any images with a trained network: overlays to look at, raw maps to compute with, a manifest of both."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from PIL import Image

from cv_attention.data import read_image
from cv_attention.data.transforms import Pipeline
from cv_attention.report.overlay import overlay
from cv_attention.saliency import METHODS
from cv_attention.suggest import suggest
from cv_attention.training.classifier import Classifier
from cv_attention.training.files import write_bytes, write_text
from cv_attention.training.probes import Column, probe

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


@dataclass
class Explained:
    """What `explain` did.

    Attributes:
        manifest: The manifest that was written.
        images: Number of images explained.
        failures: One line for each image that could not be read.
    """

    manifest: Path
    images: int = 0
    failures: list[str] = field(default_factory=list)


def explain(
    classifier: Classifier,
    sources: Sequence[Path],
    out: Path,
    *,
    overlays: Literal["jpg", "png"] = "png",
    method: str = "grad_cam",
    attention: bool = False,
    batch_size: int = 16,
) -> Explained:
    """Writes overlays, raw maps and ``manifest.json`` for images.

    An image passes through the run's evaluation transforms, or is resized to the network's image size where they leave
    another one; overlays show it as the network sees it.

    Args:
        classifier: The trained network.
        sources: Image files, and folders that are searched for images.
        out: Folder to write to; ``overlays/``, ``maps/`` and ``manifest.json`` come into being in it.
        overlays: File format of the overlays.
        method: Name of a saliency method of `cv_attention.saliency.METHODS`.
        attention: Overlays of the blocks' own maps too, beside the method's; the raw maps always hold both.
        batch_size: Images of one forward.

    Raises:
        FileNotFoundError: if a source does not exist.
        ValueError: if there is no image in the sources.
    """
    if method not in METHODS:
        raise ValueError(f"there is no saliency method {method}{suggest(method, METHODS, shown=len(METHODS))}")
    files = list(_named(sources))
    if not files:
        searched = ", ".join(str(source) for source in sources)
        raise ValueError(f"no image in {searched}; images end in {', '.join(sorted(IMAGE_SUFFIXES))}")
    pipeline = Pipeline(classifier.experiment.data.eval_transforms, "data.eval_transforms")
    result, rows = Explained(out / "manifest.json"), []
    for start in range(0, len(files), batch_size):
        readable = []
        for file, name in files[start : start + batch_size]:
            try:
                readable.append((file, name, _as_seen(read_image(file), pipeline, classifier.facts.image_size)))
            except ValueError as error:
                result.failures.append(str(error))
                rows.append({"image": str(file), "error": str(error)})
        if readable:
            rows += _explain_batch(classifier, readable, out, overlays, method, attention)
            result.images += len(readable)
    write_text(result.manifest, json.dumps({"class_names": classifier.facts.class_names, "images": rows}, indent=1))
    return result


def _explain_batch(
    classifier: Classifier,
    batch: list[tuple[Path, str, np.ndarray]],
    out: Path,
    overlays: str,
    method: str,
    attention: bool,
) -> Iterator[dict[str, Any]]:
    images = torch.from_numpy(np.stack([pixels for _, _, pixels in batch])).permute(0, 3, 1, 2)
    columns, logits = probe(classifier, images.to(classifier.device), method)
    drawn = [c for c in columns.values() if c.source == "saliency" or (attention and c.values.ndim == 3)]
    for number, (file, name, pixels) in enumerate(batch):
        maps = {column.title: column.values[number] for column in columns.values()}
        buffer = io.BytesIO()
        np.savez(buffer, **maps)  # pyright: ignore[reportArgumentType]
        write_bytes(out / "maps" / f"{name}.npz", buffer.getvalue())
        pictures = {c.title: f"overlays/{name}{_suffix(c)}.{overlays}" for c in drawn}
        for column in drawn:
            _write_picture(out / pictures[column.title], overlay(pixels, column.values[number]))
        probabilities = logits[number].softmax(0)
        predicted = int(probabilities.argmax())
        yield {
            "image": str(file),
            "size": [pixels.shape[1], pixels.shape[0]],
            "predicted": predicted,
            "predicted_class": classifier.facts.class_names[predicted],
            "probability": round(float(probabilities[predicted]), 6),
            "target": predicted,
            "maps": f"maps/{name}.npz",
            "overlays": pictures,
            "range": {title: [float(values.min()), float(values.max())] for title, values in maps.items()},
        }


def _as_seen(pixels: np.ndarray, pipeline: Pipeline, size: tuple[int, int]) -> np.ndarray:
    if pipeline:
        pixels, _ = pipeline(pixels, (0, 0, 0))
    if pixels.shape[:2] != size:
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels)


def _suffix(column: Column) -> str:
    return "" if column.source == "saliency" else f"--{column.title}"


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG" if path.suffix == ".jpg" else "PNG", quality=90)
    write_bytes(path, buffer.getvalue())


def _named(sources: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yields each image with an output name of its own, made of its path below the source and nothing outside it."""
    taken: set[str] = set()
    for source in sources:
        if not source.exists():
            raise FileNotFoundError(f"{source} does not exist; give image files or folders of images")
        found = (
            sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES) if source.is_dir() else [source]
        )
        for file in found:
            relative = file.relative_to(source) if source.is_dir() else Path(file.name)
            stem = "--".join(relative.with_suffix("").parts)
            name, number = stem, 2
            while name in taken:
                name, number = f"{stem}-{number}", number + 1
            taken.add(name)
            yield file, name
