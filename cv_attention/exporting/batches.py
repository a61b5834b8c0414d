"""Decodes the batches of an export ahead in threads, each image in exactly one batch of one process."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import Sampler

from cv_attention.config import Transform
from cv_attention.data.augmentation.regions import Region, region_of
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.exporting.sources import Item

_AHEAD = 2  # batches to decode while the network is computing


@dataclass(frozen=True, slots=True)
class Part:
    """Holds the image numbers of a batch, the shard that they belong to, and whether the shard ends there."""

    shard: int
    numbers: range
    last: bool


class ShardBatches(Sampler[Part]):
    """Divides the remaining shards among processes, every W-th to each, without padding, repeating or omitting.

    A batch never spans two shards, so it holds the same images for any number of processes, and the maps are
    bitwise identical.

    Args:
        images: Number of images.
        shard_size: Images per shard.
        batch_size: Maximum number of images per batch.
        shards: Numbers of the remaining shards.
        rank: Rank of this process.
        world_size: Number of processes.
    """

    def __init__(
        self,
        images: int,
        shard_size: int,
        batch_size: int,
        shards: Sequence[int],
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.parts = []
        for shard in shards[rank::world_size]:
            end = min((shard + 1) * shard_size, images)
            for start in range(shard * shard_size, end, batch_size):
                stop = min(start + batch_size, end)
                self.parts.append(Part(shard, range(start, stop), stop == end))

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)


@dataclass(frozen=True, slots=True)
class Sample:
    """Holds one network input.

    Attributes:
        number: Number of the image.
        pixels: uint8 (H, W, 3), after the transforms.
        width: Width of the image before them.
        height: Height of the image before them.
        box: Box of its object after them; None if unknown.
        columns: How many columns of `pixels` are image; the rest is padding.
        region: What `pixels` show of the image before the transforms, as (x0, y0, x1, y1) in fractions of its sides;
            None if that was not asked for, or cannot be told.
    """

    number: int
    pixels: np.ndarray
    width: int
    height: int
    box: list[float] | None
    columns: int
    region: Region | None = None


class Batch:
    """Holds the images of a `Part` that could be read, and the errors of those that could not."""

    def __init__(self, part: Part, samples: list[Sample], errors: dict[int, str]) -> None:
        self.part, self.samples, self.errors = part, samples, errors
        pixels = [sample.pixels for sample in samples]  # may be read-only, of which torch warns
        self.images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) if pixels else None

    def __len__(self) -> int:
        return len(self.part.numbers)


class Batches:
    """Decodes and transforms in threads (both release the GIL), a few batches ahead of the network.

    Args:
        items: All images.
        parts: The batches.
        prepare: Decodes and transforms one image, from `preparation`.
        workers: Number of threads.
        stopped: Ends the iteration early once it returns True.
    """

    def __init__(
        self,
        items: Sequence[Item],
        parts: ShardBatches,
        prepare: Callable[[int, Item], Sample],
        workers: int,
        stopped: Callable[[], bool],
    ) -> None:
        self.items, self.parts, self.prepare, self.workers, self.stopped = items, parts, prepare, workers, stopped

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Batch]:
        waiting: deque[tuple[Part, list[Future[Sample]]]] = deque()
        pool = ThreadPoolExecutor(self.workers, "decode")
        try:
            for part in self.parts:
                if self.stopped():
                    return
                jobs = [pool.submit(self.prepare, number, self.items[number]) for number in part.numbers]
                waiting.append((part, jobs))
                if len(waiting) > _AHEAD:
                    yield self._collect(*waiting.popleft())
            while waiting and not self.stopped():
                yield self._collect(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    @staticmethod
    def _collect(part: Part, jobs: list[Future[Sample]]) -> Batch:
        samples, errors = [], {}
        for number, job in zip(part.numbers, jobs, strict=True):
            try:
                samples.append(job.result())
            except (ValueError, OSError, MemoryError) as error:  # MemoryError: a header that lies about its size
                errors[number] = " ".join(str(error).split()) or type(error).__name__
        return Batch(part, samples, errors)


class Fit(Protocol):
    """Brings an image, uint8 (H, W, 3), and its box to the size of the network.

    It returns both, and how many columns are image and not padding; see `resized`.
    """

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None, /) -> tuple[np.ndarray, np.ndarray | None, int]:
        """Returns the image, the box and the number of columns."""
        ...


def preparation(
    transforms: Sequence[Transform], fit: Fit, *, regions_at: tuple[int, int] | None = None
) -> Callable[[int, Item], Sample]:
    """Makes a function that decodes and transforms one image, for several threads at once.

    Args:
        transforms: albumentations steps.
        fit: Brings what they leave to the size of the network.
        regions_at: The (height, width) of the network, to find out which part of each image it sees.

    Raises:
        ValueError: if a transform is unknown or has a wrong argument.
    """
    own = threading.local()  # a pipeline has random state, so each thread needs its own

    def pipeline(boxes: bool) -> Pipeline:
        name = f"pipeline{boxes}"
        if not hasattr(own, name):
            setattr(own, name, Pipeline(transforms, "data.eval_transforms", boxes=boxes))
        return getattr(own, name)

    def prepare(number: int, item: Item) -> Sample:
        pixels, box = item.read(), item.box
        height, width = pixels.shape[:2]
        region = region_of(pixels, pipeline(boxes=True), regions_at) if regions_at else None
        if transforms:
            pixels, box = _transform(pipeline(boxes=box is not None), pixels, box, item)
        pixels, box, columns = fit(pixels, box)
        kept = None if box is None or not box.any() else [round(float(side), 4) for side in box]
        return Sample(number, np.ascontiguousarray(pixels), width, height, kept, columns, region)

    Pipeline(transforms, "data.eval_transforms")  # reports mistakes here rather than as damaged images
    return prepare


def resized(
    pixels: np.ndarray, box: np.ndarray | None, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Resizes an image of another size, whatever its aspect.

    Args:
        pixels: uint8 (H, W, 3).
        box: x0, y0, x1, y1 in pixels, or None.
        size: Height and width.

    Returns:
        The image, its box, and its width.
    """
    if pixels.shape[:2] != size:
        if box is not None:
            box = box * np.tile((size[1] / pixels.shape[1], size[0] / pixels.shape[0]), 2)
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    return pixels, box, size[1]


def _transform(
    pipeline: Pipeline, pixels: np.ndarray, box: np.ndarray | None, item: Item
) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        return pipeline(pixels, (0, 0, 0), box)
    except Exception as error:  # whatever albumentations or OpenCV raise for unsupported images
        raise ValueError(f"data.eval_transforms: '{item.title}': {error}") from error
