"""Decodes the batches of an export ahead in threads, each image in exactly one batch of one process."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import Sampler

from cv_attention.config import Transform
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.saliency_export.sources import Item

_AHEAD = 2  # batches that are decoded while the network works


@dataclass(frozen=True, slots=True)
class Part:
    """A batch's images by number, the shard that they belong to, and whether it ends there."""

    shard: int
    numbers: range
    last: bool


class ShardBatches(Sampler[Part]):
    """Process r of W takes every W-th of the shards that are left; nothing is padded, repeated or left out.

    A batch never spans two shards, so that it holds the same images whatever the number of processes: the maps are
    the same to the last bit.

    Args:
        images: Number of images.
        shard_size: Images of a shard.
        batch_size: Images of a batch at most.
        shards: Numbers of the shards that are left.
        rank: Number of this process.
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
    """One image as the network sees it, uint8 (H, W, 3), with its size before and its box after the transforms."""

    number: int
    pixels: np.ndarray
    width: int
    height: int
    box: list[float] | None


class Batch:
    """The images of a `Part`: those that could be read, and why the others could not."""

    def __init__(self, part: Part, samples: list[Sample], errors: dict[int, str]) -> None:
        self.part, self.samples, self.errors = part, samples, errors
        stacked = [torch.from_numpy(sample.pixels) for sample in samples]
        self.images = torch.stack(stacked).permute(0, 3, 1, 2) if stacked else None

    def __len__(self) -> int:
        return len(self.part.numbers)


class Batches:
    """Decodes and transforms in threads (both leave Python's lock), a few batches ahead of the network.

    Args:
        items: All images.
        parts: Which of them, batch by batch.
        transforms: albumentations steps.
        size: (H, W) that the network takes; images of another size after the transforms are resized.
        workers: Threads.
        stopped: Ends the iteration early once it returns True.
    """

    def __init__(
        self,
        items: Sequence[Item],
        parts: ShardBatches,
        transforms: Sequence[Transform],
        size: tuple[int, int],
        workers: int,
        stopped: Callable[[], bool],
    ) -> None:
        self.items, self.parts, self.size, self.workers, self.stopped = items, parts, size, workers, stopped
        self.prepare = _preparation(transforms, size)

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


def _preparation(transforms: Sequence[Transform], size: tuple[int, int]) -> Callable[[int, Item], Sample]:
    own = threading.local()  # a pipeline keeps its random state, so that each thread needs one

    def prepare(number: int, item: Item) -> Sample:
        pixels, box = item.read(), item.box
        height, width = pixels.shape[:2]
        if transforms:
            name = f"pipeline{box is not None}"
            if not hasattr(own, name):
                setattr(own, name, Pipeline(transforms, "data.eval_transforms", boxes=box is not None))
            pixels, box = _transform(getattr(own, name), pixels, box, item)
        if pixels.shape[:2] != size:
            if box is not None:
                box = box * np.tile((size[1] / pixels.shape[1], size[0] / pixels.shape[0]), 2)
            pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
        kept = None if box is None or not box.any() else [round(float(side), 4) for side in box]
        return Sample(number, np.ascontiguousarray(pixels), width, height, kept)

    Pipeline(transforms, "data.eval_transforms")  # mistakes show here, and not as damaged images
    return prepare


def _transform(
    pipeline: Pipeline, pixels: np.ndarray, box: np.ndarray | None, item: Item
) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        return pipeline(pixels, (0, 0, 0), box)
    except Exception as error:  # whatever albumentations or OpenCV raise on an image they cannot take
        raise ValueError(f"data.eval_transforms: '{item.title}': {error}") from error
