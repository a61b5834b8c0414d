"""Remembers labelled images, and names others by them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cv_attention.heads.few_shot import attending
from cv_attention.heads.few_shot.features import Network, check_images, features
from cv_attention.heads.few_shot.recollection import Label, Recollection
from cv_attention.heads.few_shot.stored import StoredMemory, read_stored, write_stored


class ImageMemory:
    """Remembers labelled images by their features, and names others without training; `recall` makes one.

    The features of an image are compared with those of every remembered one: cosine similarity, multiplied by a
    strength β, and a softmax over all of them; classes count alike, however many images they have. This is the memory
    of a matching network (Vinyals et al., NeurIPS 2016, https://arxiv.org/abs/1606.04080), on features that exist
    already. With ``prototypes``, features are compared with the mean of each class instead, as by prototypical
    networks (Snell et al., NeurIPS 2017, https://arxiv.org/abs/1703.05175).

    Args:
        network: Makes features of images; see `recall`.
        keys: float32 (N, D), the features.
        labels: The class of each image.
        size: (C, H, W) of the images.
        names: Name of each image.
        strength: β; None chooses it, see `recall`.
        prototypes: Whether features are compared with the mean of each class.
        batch_size: Images of one forward.

    Attributes:
        classes: The classes, in the order in which they were first shown.
        labels: The class of each remembered image.
        names: Its name.
        strength: β.
        strength_from: Where β comes from, in words.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> reader = cva.backbones.reader(cva.backbones.build("resnet20", width=4))
        >>> memory = cva.heads.recall(reader, torch.randn(6, 3, 32, 32), ["nut", "bolt"] * 3)
        >>> memory.add(torch.randn(1, 3, 32, 32), ["washer"])
        >>> memory.classes, len(memory)
        (['nut', 'bolt', 'washer'], 7)
        >>> memory.save("parts")
        >>> cva.heads.ImageMemory.load("parts", reader).classes
        ['nut', 'bolt', 'washer']
    """

    def __init__(
        self,
        network: Network,
        keys: Tensor,
        labels: Sequence[Label],
        size: tuple[int, ...],
        names: Sequence[str],
        *,
        strength: float | None = None,
        prototypes: bool = False,
        batch_size: int = 32,
    ) -> None:
        _check_strength(strength)
        self.network, self.size, self.prototypes, self.batch_size = network, size, prototypes, batch_size
        self._keys, self.labels, self.names = keys, list(labels), list(names)
        self._chosen = strength is None
        self._decide(strength)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        kind = "prototypes" if self.prototypes else "list"
        return f"ImageMemory({len(self)} images of {len(self.classes)} classes, {kind}, strength={self.strength:g})"

    def add(self, images: Tensor, labels: Sequence[Label] | Tensor, names: Sequence[str] | None = None) -> None:
        """Remembers more images; β is chosen again unless it was given.

        Args:
            images: (N, C, H, W), of the size of those that are remembered.
            labels: The class of each, known or new.
            names: Name of each; None numbers them.

        Raises:
            ValueError: if the images or labels are of another kind, or there are not as many of one as of the other.
        """
        check_images(images, self.size)
        added, names = _listed(labels, len(images)), _named(names, len(images), len(self))
        if len({type(label) for label in [*self.labels, *added]}) > 1:
            raise ValueError(
                f"labels must all be texts or all be whole numbers, got {added[0]!r} after {self.labels[0]!r}"
            )
        keys = features(self.network, images, self.batch_size)
        self._keys, self.labels, self.names = (
            torch.cat([self._keys, keys]),
            [*self.labels, *added],
            [*self.names, *names],
        )
        self._decide(None if self._chosen else self.strength)

    def read(self, images: Tensor) -> Recollection:
        """Names images by those that are remembered.

        Args:
            images: (B, C, H, W), of the size of those that are remembered, as the network takes them.

        Raises:
            ValueError: if they have another size, or the memory knows fewer than two classes.
        """
        check_images(images, self.size)
        return self.compare(features(self.network, images, self.batch_size))

    def compare(self, queries: Tensor) -> Recollection:
        """Names images by their features.

        Args:
            queries: float32 (B, D), on the CPU.

        Raises:
            ValueError: if the memory knows fewer than two classes.
        """
        self._check_classes()
        numbers, count = self._numbers(), len(self.classes)
        if self.prototypes:
            found = attending.by_prototypes(queries, self._keys, numbers, count, self.strength)
        else:
            similar = attending.similarities(queries, self._keys)
            found = attending.by_list(similar, numbers, count, self.strength)
        confidences, best = found.probabilities.max(1)
        return Recollection([self.classes[index] for index in best.tolist()], confidences, *found)

    def leave_one_out(self) -> list[Label]:
        """Names every remembered image by all the others.

        An image that is alone in its class is always named wrongly. Images that were shown twice make this too good.

        Returns:
            The class that each image is taken for.

        Raises:
            ValueError: if the memory knows fewer than two classes.
        """
        self._check_classes()
        found = attending.leave_one_out(self._keys, self._numbers(), len(self.classes), self.strength, self.prototypes)
        return [self.classes[index] for index in found.argmax(1).tolist()]

    def repeated(self) -> list[tuple[int, int]]:
        """Lists the remembered images whose features are those of an earlier one.

        Returns:
            Pairs of positions, the later image first.
        """
        first: dict[bytes, int] = {}
        pairs = [(i, first.setdefault(key.numpy().tobytes(), i)) for i, key in enumerate(self._keys)]
        return [(i, earlier) for i, earlier in pairs if i != earlier]

    def save(self, folder: str | Path) -> None:
        """Writes ``memory.safetensors`` and ``memory.json`` to a folder, without the network.

        Args:
            folder: The folder; it is made if it does not exist.

        Raises:
            OSError: if it cannot be written.
        """
        probe = features(self.network, _probe(self.size), 1)
        settings = {"strength": None if self._chosen else self.strength, "prototypes": self.prototypes}
        write_stored(Path(folder), StoredMemory(self._keys, probe, self.labels, self.names, self.size, settings))

    @classmethod
    def load(cls, folder: str | Path, network: Network, *, batch_size: int = 32) -> "ImageMemory":
        """Reads what `save` wrote; nothing in the files is executed.

        Args:
            folder: The folder.
            network: The network that made the features.
            batch_size: Images of one forward.

        Raises:
            FileNotFoundError: if a file is missing.
            ValueError: if a file is damaged or of a newer format, or the network is another one.
        """
        stored = read_stored(Path(folder))
        probe = features(network, _probe(stored.size), 1)
        if probe.shape != stored.probe.shape or not torch.allclose(probe, stored.probe, rtol=0.02, atol=_near(probe)):
            raise ValueError(
                f"{folder} was made with another network: its features of a test image are different; load it with the "
                "same network and weights"
            )
        arguments: dict[str, Any] = {**stored.settings, "batch_size": batch_size}
        return cls(network, stored.keys, stored.labels, stored.size, stored.names, **arguments)

    def _decide(self, strength: float | None) -> None:
        self.classes = list(dict.fromkeys(self.labels))
        self.strength_from = "given"
        if strength is None:
            strength, count = attending.best_strength(self._keys, self._numbers(), len(self.classes), self.prototypes)
            self.strength_from = f"chosen by leaving out each of {count} images" if count else "the default"
        self.strength = float(strength)

    def _numbers(self) -> Tensor:
        place = {label: number for number, label in enumerate(self.classes)}
        return torch.tensor([place[label] for label in self.labels])

    def _check_classes(self) -> None:
        if len(self.classes) < 2:
            raise ValueError(f"the memory knows only the class {self.classes[0]!r}; show it images of at least two")


def recall(
    network: Network,
    images: Tensor,
    labels: Sequence[Label] | Tensor,
    *,
    names: Sequence[str] | None = None,
    strength: float | None = None,
    prototypes: bool = False,
    batch_size: int = 32,
) -> ImageMemory:
    """Shows a network a few labelled images, by which it then names others, without training.

    Args:
        network: What makes features of images: a reader (`backbones.reader`), or any module or function from (B, C, H,
            W) to (B, D) or (B, D, h, w), which is averaged over its positions. The logits of a classifier are poor
            features; take a reader of it.
        images: (N, C, H, W), normalised as the network takes them.
        labels: The class of each image: N texts or whole numbers.
        names: Name of each image, such as its path; None numbers them.
        strength: β; None takes that of 1, 2, 5, 10, 20, 50 and 100 under which each image is predicted best by all the
            others (largest mean logarithm of probability), or 20 if every class has one image.
        prototypes: Compare features with the mean of each class, instead of with every image.
        batch_size: Images of one forward.

    Returns:
        The memory: ``memory.read(images)`` names images, ``memory.add(images, labels)`` remembers more.

    Raises:
        ValueError: if the images or labels are of another kind, there are not as many of one as of the other, or the
            network does not return features.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> reader = cva.backbones.reader(cva.backbones.build("resnet20", width=4))
        >>> memory = cva.heads.recall(reader, torch.randn(4, 3, 32, 32), ["nut", "nut", "bolt", "bolt"])
        >>> found = memory.read(torch.randn(2, 3, 32, 32))
        >>> found.probabilities.shape, found.weights.shape
        (torch.Size([2, 2]), torch.Size([2, 4]))
    """
    check_images(images)
    _check_strength(strength)
    shown, names = _listed(labels, len(images)), _named(names, len(images), 0)
    keys = features(network, images, batch_size)
    return ImageMemory(
        network, keys, shown, tuple(images.shape[1:]), names,
        strength=strength, prototypes=prototypes, batch_size=batch_size,
    )  # fmt: skip


def _listed(labels: Sequence[Label] | Tensor, count: int) -> list[Label]:
    """Returns labels as a list of texts or of whole numbers."""
    listed: list[Any] = labels.tolist() if isinstance(labels, Tensor) else list(labels)
    if len(listed) != count:
        raise ValueError(f"there must be one label for each of {count} images, got {len(listed)}")
    for kind in (str, int):
        if all(isinstance(label, kind) and not isinstance(label, bool) for label in listed):
            return listed
    raise ValueError(f"labels must all be texts or all be whole numbers, got {listed!r:.60}")


def _named(names: Sequence[str] | None, count: int, before: int) -> list[str]:
    if names is None:
        return [str(number) for number in range(before, before + count)]
    if len(names) != count:
        raise ValueError(f"there must be one name for each of {count} images, got {len(names)}")
    return [str(name) for name in names]


def _check_strength(strength: float | None) -> None:
    if strength is not None and not 0 < strength < float("inf"):
        raise ValueError(f"strength must be above 0 and finite, or None, got {strength}")


def _probe(size: tuple[int, ...]) -> Tensor:
    """Makes an image (1, C, H, W) whose features tell networks apart."""
    count = int(torch.tensor(size).prod())
    return torch.sin(torch.arange(count).float() * 0.7).view(1, *size)


def _near(probe: Tensor) -> float:
    """Returns how far features may differ on another device: a fiftieth of their root mean square."""
    return 0.02 * float(probe.square().mean().sqrt())
