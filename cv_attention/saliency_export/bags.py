"""Explains the images of bags: each by what its bag's class owes to it."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cv_attention.config import SaliencyExport
from cv_attention.data.bags import BagSet
from cv_attention.exporting.batches import Sample
from cv_attention.exporting.names import printable
from cv_attention.exporting.sources import Item, fingerprint
from cv_attention.heads import BagPooling, ImageOfBag
from cv_attention.maps import RecordedMap
from cv_attention.saliency_export.maps import Explainer
from cv_attention.training.tasks.bags import BagClassifier

_POOL = "pool.map"  # the weights over the bag, which are a number for each image


@dataclass(frozen=True)
class Members:
    """Says which images are in a bag with each image.

    Attributes:
        of: For each image, the numbers of all images of its bag.
        names: For each image, the name of its bag.
    """

    of: list[list[int]]
    names: list[str]


def items_of_folders(items: Sequence[Item]) -> tuple[list[Item], Members]:
    """Takes the images of each folder as a bag; returns the images, and the bags."""
    return _grouped(list(items), [os.path.dirname(item.title) for item in items])


def items_of_split(split: BagSet) -> tuple[list[Item], Members]:
    """Lists the images of a split bag by bag, with the bags' classes; returns them, and the bags."""
    bags, items, names = split.images, [], []
    for index, name in enumerate(bags.names):
        for number, position in enumerate(bags.of(index).tolist()):
            path = bags.instances.path(position)
            title = f"{split.name}/{name}/{number}" if path is None else printable(path)
            read = _reader(bags.instances.read, position)
            version = bags.instances.version(position)
            items.append(Item(title, f"{name}-{number}", read, int(bags.labels[index]), version=version))
            names.append(name)
    return _grouped(items, names)


def _reader(read: Callable[[int], np.ndarray], position: int) -> Callable[[], np.ndarray]:
    return lambda: read(position)


def _grouped(items: list[Item], names: list[str]) -> tuple[list[Item], Members]:
    """Adds to each image's version those of its bag: if one of them changes, the maps of all do."""
    bags: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        bags.setdefault(name, []).append(number)
    found = list(items)
    for members in bags.values():
        lines = "\n".join(fingerprint(items[number]) for number in members)
        digest = hashlib.sha256(lines.encode()).hexdigest()[:16]
        for number in members:
            found[number] = replace(items[number], version=f"{items[number].version} in {digest}")
    return found, Members([bags[name] for name in names], names)


class BagExplainer(Explainer):
    """Explains images of bags as configured by a `SaliencyExport`, one by one.

    Args:
        classifier: The network.
        config: The methods, their options and the target.
        items: All images.
        members: The bags.
        prepare: Decodes and transforms one image.
    """

    classifier: BagClassifier
    network: ImageOfBag

    def __init__(
        self,
        classifier: BagClassifier,
        config: SaliencyExport,
        items: Sequence[Item],
        members: Members,
        prepare: Callable[[int, Item], Sample],
    ) -> None:
        self.items, self.members, self.prepare = items, members, prepare
        self._known: tuple[list[int], list[int], Tensor] | None = None
        super().__init__(classifier, config)

    def network_of(self, classifier: Any) -> ImageOfBag:
        """Returns the network as a function of one image, first of a bag of this image alone."""
        with torch.no_grad():
            empty = torch.zeros(1, 3, *classifier.facts.image_size, dtype=torch.uint8, device=classifier.device)
            return ImageOfBag(classifier.network, classifier.network.encoder(classifier.normalise(empty)), 0)

    def shows(self, name: str, recorded: RecordedMap) -> bool:
        """Leaves the weights over the bag out, whose number differs from bag to bag."""
        return name != _POOL and super().shows(name, recorded)

    def explain(
        self, images: Tensor, labels: list[int | None], numbers: Sequence[int]
    ) -> tuple[dict[str, np.ndarray], np.ndarray, list[int], list[dict[str, Any]]]:
        """Explains uint8 images (B, 3, H, W) on the network's device, those of `numbers`.

        Returns:
            What `Explainer.explain` returns; the further fields are the ``bag`` and the image's ``weight`` in it.
        """
        found = []
        for row, number in enumerate(numbers):
            readable, values = self._bag(number)
            place = readable.index(number)
            self.network.put(values, place)
            maps, logits, targets, _ = super().explain(images[row : row + 1], labels[row : row + 1], [number])
            weight = self._weights(values)[place]
            found.append((maps, logits, targets, {"bag": self.members.names[number], "weight": round(weight, 6)}))
        keys = found[0][0]
        return (
            {key: np.concatenate([maps[key] for maps, *_ in found]) for key in keys},
            np.concatenate([logits for _, logits, *_ in found]),
            [target for _, _, targets, _ in found for target in targets],
            [fields for *_, fields in found],
        )

    def _bag(self, number: int) -> tuple[list[int], Tensor]:
        """Returns which images of an image's bag can be read, and what the encoder makes of them, (T, C)."""
        members = self.members.of[number]
        if self._known is None or self._known[0] != members:
            readable, pixels = [], []
            for one in members:
                try:
                    pixels.append(self.prepare(one, self.items[one]).pixels)
                    readable.append(one)
                except (ValueError, OSError, MemoryError):  # listed as failed where its own turn comes
                    continue
            images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
            with torch.no_grad():
                parts = images.split(self.config.batch_size)
                encode, device = self.network.encoder, self.classifier.device
                values = torch.cat([encode(self.classifier.normalise(part.to(device))) for part in parts])
            self._known = (members, readable, values)
        return self._known[1], self._known[2]

    def _weights(self, values: Tensor) -> list[float]:
        with torch.no_grad():
            pool: BagPooling = self.network.pool
            return pool.weights(values[None])[0].float().mean(0).tolist()
