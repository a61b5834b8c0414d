"""Makes batches of bags: padded to the largest of a batch, with a mask of what is real."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.sources.image_set import Draw, ImageSet
from cv_attention.data.sources.images import Images


@dataclass(frozen=True)
class Bags:
    """Holds bags of images with one label each. Selecting bags copies no pixels.

    Attributes:
        instances: The images of all bags, bag by bag; their own labels mean nothing.
        starts: int64 (N + 1,), where each bag begins among them; the last is their number.
        labels: int64 (N,), the bags' positions in the class names.
        names: Name of each bag.
        key: bool, one for each image: whether it is one that makes its bag positive; None where that is unknown.
        boxes: None: bags have no boxes of objects.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.data.bags import Bags
        >>> from cv_attention.data.sources.memory import in_memory
        >>> images = in_memory(np.zeros((5, 8, 8, 3), np.uint8), np.zeros(5))
        >>> bags = Bags(images, np.array([0, 2, 5]), np.array([0, 1]), ["a", "b"])
        >>> len(bags), len(bags.select(np.array([1])).instances)
        (2, 3)
    """

    instances: Images
    starts: np.ndarray
    labels: np.ndarray
    names: list[str]
    key: np.ndarray | None = None
    boxes: None = None

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, index: int) -> np.ndarray:
        """Returns the positions of the images of bag `index` among all."""
        return np.arange(self.starts[index], self.starts[index + 1])

    def select(self, positions: np.ndarray) -> "Bags":
        """Returns the bags at `positions`, in that order."""
        members = [self.of(int(index)) for index in positions]
        order = np.concatenate([np.zeros(0, np.int64), *members])
        return replace(
            self,
            instances=self.instances.select(order),
            starts=np.cumsum([0, *map(len, members)]),
            labels=self.labels[positions],
            names=[self.names[int(index)] for index in positions],
            key=None if self.key is None else self.key[order],
        )

    def short_name(self, index: int) -> str:
        """Returns the name of bag `index`."""
        return self.names[index]

    def digest(self) -> str:
        """Returns 16 hexadecimal digits of the bags' names, labels and sizes, in any order."""
        lines = sorted(
            f"{name} {label} {size}"
            for name, label, size in zip(self.names, self.labels, np.diff(self.starts), strict=True)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class BagSet(Dataset):
    """One split as a data set of bags.

    Args:
        name: ``train``, ``val`` or ``test``.
        bags: The bags.
        pipeline: Transforms of each image.
        seed: Seed of the augmentation, and of the parts of large bags.
        most: Images of a bag at most; of a larger one a random part, which depends on (seed, epoch, index) alone.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.data.augmentation.transforms import Pipeline
        >>> from cv_attention.data.bags import Bags, BagSet
        >>> from cv_attention.data.sources.memory import in_memory
        >>> images = in_memory(np.zeros((5, 8, 8, 3), np.uint8), np.zeros(5))
        >>> bags = Bags(images, np.array([0, 2, 5]), np.array([0, 1]), ["a", "b"])
        >>> batch = BagSet("val", bags, Pipeline([], "data.eval_transforms"), seed=0).batch([(0, 0), (0, 1)])
        >>> batch["image"].shape, batch["keep"].sum(1)
        (torch.Size([2, 3, 3, 8, 8]), tensor([2, 3]))
    """

    def __init__(self, name: str, bags: Bags, pipeline: Pipeline, seed: int, most: int | None = None) -> None:
        self.name, self.images, self.seed, self.most = name, bags, seed, most
        self.instances = ImageSet(name, bags.instances, pipeline, seed)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: int | Draw) -> dict[str, Any]:
        """Returns one bag: the entries of a batch of `draw` alone, without their first axis."""
        draw = (0, draw) if isinstance(draw, int) else draw
        return {key: value[0] for key, value in self.batch([draw]).items()}

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor]:
        """Makes a batch of `draws`; torch's DataLoader calls this instead of collating samples."""
        return self.batch(draws)

    @property
    def resident(self) -> bool:
        """Whether batches are made from pixels in memory, which no worker process could speed up."""
        return self.instances.resident

    def batch(self, draws: list[Draw], device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Makes a batch.

        Args:
            draws: Epoch and index of each bag.
            device: Where the batch is made.

        Returns:
            ``image`` uint8 (B, T, 3, H, W), T being the size of the largest bag, 0 where there is none; ``keep`` bool
            (B, T), which of them are images; ``label`` and ``index`` int64 (B,), of the bags; ``key`` bool (B, T), of
            the images that make a bag positive, where they are known; ``instance`` int64 (B, T), positions of the
            images among those of all bags, -1 where there is none.
        """
        members = [self._members(draw) for draw in draws]
        flat = [(epoch, int(i)) for (epoch, _), positions in zip(draws, members, strict=True) for i in positions]
        images = self.instances.batch(flat, device)["image"]
        sizes = torch.tensor([len(positions) for positions in members], device=images.device)
        keep = torch.arange(int(sizes.max()), device=images.device) < sizes[:, None]
        padded = images.new_zeros(*keep.shape, *images.shape[1:])
        padded[keep] = images
        index = np.array([i for _, i in draws], np.int64)
        positions = torch.full(keep.shape, -1, device=images.device)
        positions[keep] = torch.from_numpy(np.concatenate(members)).to(images.device)
        batch = {"image": padded, "keep": keep, "instance": positions}
        batch |= {"label": torch.from_numpy(self.images.labels[index]), "index": torch.from_numpy(index)}
        if self.images.key is not None:
            key = torch.zeros_like(keep)
            key[keep] = torch.from_numpy(self.images.key[np.concatenate(members)]).to(images.device)
            batch["key"] = key
        return {name: values.to(images.device) for name, values in batch.items()}

    def _members(self, draw: Draw) -> np.ndarray:
        members = self.images.of(draw[1])
        if self.most is None or len(members) <= self.most:
            return members
        rng = np.random.default_rng((self.seed, *draw))
        return np.sort(rng.choice(members, self.most, replace=False))
