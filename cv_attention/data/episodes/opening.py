"""Opens the classes of every source of episodes."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from cv_attention.config import Data
from cv_attention.data import datamodule
from cv_attention.data.episodes import class_folders, digit_classes
from cv_attention.data.episodes.classes import Classes, divide
from cv_attention.data.sources import cifar, subset
from cv_attention.data.sources.decoded import DecodedFiles
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import Memory


def load(config: Data) -> dict[str, Classes]:
    """Opens the classes of ``train``, ``val`` and ``test``, and checks that episodes can be drawn from each.

    Args:
        config: The data set.

    Returns:
        Of episodes to be classified, classes of which none is in two splits; else the same classes, whose images are
        divided between the splits.

    Raises:
        FileNotFoundError: if the data does not exist.
        ValueError: if something is wrong with it, or there are too few classes or images.
    """
    episodes = config.episodes
    if episodes.source == "digits":
        every = digit_classes.draw(episodes)
    elif episodes.kind != "classify":
        every = {split: _sided(classes, episodes.side) for split, classes in _same_classes(config).items()}
    else:
        found = class_folders.load(config, _least(config)) if episodes.source == "folder" else _divided_cifar(config)
        every = {split: _sided(classes, episodes.side) for split, classes in found.items()}
        if episodes.rotations:
            every = {split: classes.rotated() for split, classes in every.items()}
    every = {split: every[split] for split in ("train", "val", "test")}
    for split, classes in every.items():
        _check(split, classes, config)
    return every


def _least(config: Data) -> int:
    """Returns how many classes a split needs before they are turned."""
    ways = config.episodes.ways
    return -(-ways // 4) if config.episodes.rotations else ways


def _divided_cifar(config: Data) -> dict[str, Classes]:
    """Divides the classes of CIFAR, each with its training and its test images."""
    names, images = cifar.load(config.episodes.source, config.root)
    parts = [images[split] for split in ("train", "test")]
    pixels = torch.cat([part.storage.pixels for part in parts if part.storage.pixels is not None])
    labels = np.concatenate([part.labels for part in parts])
    every = Classes.of(names, Images(labels, np.arange(len(labels)), Memory(pixels)))
    shares = config.episodes.test_fraction, config.val_fraction
    divided = divide(len(every), shares, _least(config), config.seed)
    return {split: class_folders.part(every, chosen) for split, chosen in divided.items()}


def _same_classes(config: Data) -> dict[str, Classes]:
    """Opens a data set of classes with its usual splits, which have the same classes and different images."""
    names, images = datamodule.load(replace(config, name=config.episodes.source))
    if "val" not in images:
        kept, held = subset.hold_out(images["train"].labels, config.val_fraction, config.seed)
        images["train"], images["val"] = images["train"].select(kept), images["train"].select(held)
    for split in ("val", "test"):
        if lacking := set(range(len(names))) - set(images[split].labels.tolist()):
            raise ValueError(
                f"the class '{names[min(lacking)]}' has no {split} images, but with data.episodes.kind "
                f"{config.episodes.kind} all splits need the same classes"
            )
    return {split: Classes.of(names, images[split]) for split in ("train", "val", "test")}


def _check(split: str, classes: Classes, config: Data) -> None:
    """Raises ValueError where episodes cannot be drawn from the classes of a split."""
    kind, ways = config.episodes.kind, config.episodes.ways
    if kind != "copy" and len(classes) < ways:
        raise ValueError(f"data.episodes.ways is {ways}, but the split {split} has only {len(classes)} classes")
    wanted = {"classify": config.episodes.instances, "copy": 1, "associate": 2}[kind]
    name, count = classes.fewest()
    if count < wanted:
        what = f"data.episodes.instances is {wanted}" if kind == "classify" else f"kind {kind} needs {wanted}"
        raise ValueError(f"{what}, but the class '{name}' of the split {split} has only {_images(count)}")


def _images(count: int) -> str:
    return f"{count} image{'s' if count != 1 else ''}"


def _sided(classes: Classes, side: int | None) -> Classes:
    """Resizes all images once: the short side first, then the centre is cut out; None leaves them as they are."""
    images = classes.images
    if side is None or (images.pixels is not None and images.pixels.shape[1:3] == (side, side)):
        return classes
    pixels = torch.empty(len(images), side, side, 3, dtype=torch.uint8)

    def resize(index: int) -> None:
        pixels[index] = torch.from_numpy(resized(images.read(index), side))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(resize, range(len(images))))
    stored = images.storage
    paths = stored.paths[images.rows] if isinstance(stored, Files) else None
    storage = Memory(pixels) if paths is None else DecodedFiles(paths, images.bits, pixels)
    return replace(classes, images=replace(images, rows=np.arange(len(images)), storage=storage))


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """Resizes an image to a square with Pillow's antialiased bilinear filter.

    Args:
        image: uint8 (H, W, 3).
        side: Side of the square in pixels.

    Returns:
        uint8 (side, side, 3): the centre of the image after its short side was resized to `side`.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) / 2, (width - short) / 2
    box = (left, top, left + short, top + short)
    return np.array(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR, box=box))
