"""Shows a trained network the labelled images of a folder."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cv_attention import backbones, heads
from cv_attention.backbones.models.reader import Reader
from cv_attention.config import RecallExport
from cv_attention.data.decoding.bit_depth import describe
from cv_attention.data.sources.folder import bits_of, image_files, subfolders
from cv_attention.exporting.batches import Sample, preparation, resized
from cv_attention.exporting.sources import Item, find_items
from cv_attention.training.tasks.classifier import Classifier

_LARGE = 10_000  # images; more of them should train a classifier


@dataclass(frozen=True)
class Support:
    """Holds the labelled images that a network was shown.

    Attributes:
        classifier: The network, whose head is gone.
        reader: What makes features of images.
        memory: The features and classes.
        items: The images.
        thumbnails: Small versions of them for pictures, uint8 (h, w, 3).
        bits: Range of images of more than 8 bits; None without such images.
        notices: What was left out, and what is odd, one line each.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cv_attention import config, recall_export, training
        >>> for name in ("red", "blue"):
        ...     Path("parts", name).mkdir(parents=True)
        ...     Image.new("RGB", (40, 40), name).save(f"parts/{name}/one.png")
        >>> experiment = config.Experiment(model=config.Model(options={"width": 4}))
        >>> facts = training.DataFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts).eval()
        >>> recall_export.open_support(Path("parts"), classifier, config.RecallExport()).memory.classes
        ['blue', 'red']
    """

    classifier: Classifier
    reader: Reader
    memory: heads.ImageMemory
    items: list[Item]
    thumbnails: list[np.ndarray]
    bits: int | None
    notices: list[str]

    def prepare(self) -> Callable[[int, Item], Sample]:
        """Returns what decodes and transforms one image as the network takes it."""
        return _preparation(self.classifier)


def open_support(folder: Path, classifier: Classifier, config: RecallExport, *, progress: bool = False) -> Support:
    """Reads a folder of labelled images, ``folder/<class>/<image>``, and shows them to a network.

    Broken images are left out, with a notice that names each.

    Args:
        folder: The folder.
        classifier: The trained network; it is not changed.
        config: How images are compared.
        progress: Whether to show a progress bar.

    Returns:
        The memory with what is needed to name other images.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has fewer than two classes, or a class without an image that can be used.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cv_attention import config, recall_export, training
        >>> for name in ("red", "blue"):
        ...     Path("parts", name).mkdir(parents=True)
        ...     for shade in (150, 250):
        ...         Image.new("RGB", (40, 40), (shade, 0, 0) if name == "red" else (0, 0, shade)).save(
        ...             f"parts/{name}/{shade}.png"
        ...         )
        >>> experiment = config.Experiment(model=config.Model(options={"width": 4}))
        >>> facts = training.DataFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts).eval()  # `training.load` opens a trained one
        >>> support = recall_export.open_support(Path("parts"), classifier, config.RecallExport())
        >>> support.memory.classes, len(support.memory)
        (['blue', 'red'], 4)
    """
    files, labels = _files(folder)
    bits = classifier.experiment.data.bits or bits_of(files)
    items = find_items([Path(os.fsdecode(file)) for file in files], folder / ".none", 0, bits)
    classifier = deepcopy(classifier).eval()
    samples, errors = _samples(items, _preparation(classifier), progress)
    notices = [f"left out: {errors[number]}" for number in sorted(errors)]
    for name in dict.fromkeys(labels):
        if all(number in errors for number, label in enumerate(labels) if label == name):
            raise ValueError(
                f"the class '{name}' of {folder} has no image that can be used: {next(iter(errors.values()))}"
            )
    reader = backbones.reader(classifier.network, input_size=classifier.facts.image_size).eval()
    kept = [items[sample.number] for sample in samples]
    memory = _memory(classifier, reader, samples, [labels[s.number] for s in samples], kept, config)
    notices += [*_odd(memory, folder), *([describe(bits)] if bits else [])]
    return Support(classifier, reader, memory, kept, [thumbnail(s.pixels) for s in samples], bits, notices)


def thumbnail(pixels: np.ndarray, side: int = 128) -> np.ndarray:
    """Returns an image with its longer side at most `side` pixels; small ones are enlarged by whole factors.

    Args:
        pixels: uint8 (H, W, 3).
        side: The side.
    """
    import cv2

    longest = max(pixels.shape[:2])
    if longest > side:
        size = [max(1, round(length * side / longest)) for length in pixels.shape[1::-1]]
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return pixels.repeat(side // longest, 0).repeat(side // longest, 1)


def _files(folder: Path) -> tuple[list[bytes], list[str]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give a folder with a folder of images for each class")
    files: list[bytes] = []
    labels: list[str] = []
    for name in subfolders(folder):
        of_class = image_files(folder / name)
        if not of_class:
            raise ValueError(f"class folder '{folder / name}' contains no images; add some, or remove the folder")
        files += of_class
        labels += [os.fsencode(name).decode("utf-8", "backslashreplace")] * len(of_class)
    if len(set(labels)) < 2:
        found = f"only the class '{labels[0]}'" if labels else "no folders of images"
        raise ValueError(f"{folder} has {found}; expected at least two classes: {folder}/<class>/<image>")
    return files, labels


def _preparation(classifier: Classifier) -> Callable[[int, Item], Sample]:
    size = classifier.facts.image_size
    return preparation(classifier.experiment.data.eval_transforms, partial(resized, size=size))


def _samples(
    items: Sequence[Item], prepare: Callable[[int, Item], Sample], progress: bool
) -> tuple[list[Sample], dict[int, str]]:
    from rich.console import Console
    from rich.progress import track

    samples, errors = [], {}
    shown = track(items, "showing", console=Console(stderr=True), transient=True, disable=not progress)
    for number, item in enumerate(shown):
        try:
            samples.append(prepare(number, item))
        except (ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            errors[number] = reason if item.title in reason else f"{item.title}: {reason}"
    return samples, errors


def _memory(
    classifier: Classifier,
    reader: Reader,
    samples: Sequence[Sample],
    labels: Sequence[str],
    items: Sequence[Item],
    config: RecallExport,
) -> heads.ImageMemory:
    images = torch.from_numpy(np.stack([sample.pixels for sample in samples])).permute(0, 3, 1, 2)
    parts = [classifier.normalise(part) for part in images.split(config.batch_size)]
    options = {"strength": config.strength, "prototypes": config.prototypes, "batch_size": config.batch_size}
    return heads.recall(reader, torch.cat(parts).contiguous(), labels, names=[i.title for i in items], **options)


def _odd(memory: heads.ImageMemory, folder: Path) -> list[str]:
    """Lists what is probably a mistake: images shown twice, and classes whose names differ in case alone."""
    lines = []
    for later, earlier in memory.repeated():
        same = memory.labels[later] == memory.labels[earlier]
        more = "" if same else f", but in the class '{memory.labels[later]}' and not '{memory.labels[earlier]}'"
        lines.append(f"{memory.names[later]} is the same image as {memory.names[earlier]}{more}")
    counts = Counter(str(name).casefold() for name in memory.classes)
    for name, count in counts.items():
        if count > 1:
            alike = ", ".join(f"'{each}'" for each in memory.classes if str(each).casefold() == name)
            lines.append(f"{folder} has classes whose names differ in case alone: {alike}")
    if len(memory) > _LARGE:
        lines.append(f"{len(memory):,} labelled images are enough to train a classifier, which is more accurate")
    return lines
