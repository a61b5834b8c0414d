"""Configures how images are recognised by a few labelled ones."""

from dataclasses import dataclass

from cv_attention.config.bounds import bounded
from cv_attention.config.exports.saliency import PictureFormat


@dataclass
class RecallExport:
    """Configures how ``cv-attention recall`` names images, and what it writes.

    Attributes:
        nearest: How many labelled images are listed and drawn for each image, those with the largest weights.
        strength: β, by which similarities are multiplied before the softmax; null chooses the one under which the
            labelled images are best predicted by each other.
        prototypes: Compare images with the mean of each class, instead of with every labelled image.
        pictures: Format of the pictures that show each image with the labelled ones that decided.
        batch_size: Images of one forward on each device.
        shard_size: Images of one shard, the unit that processes share and that an interrupted export resumes at.
        workers: Threads that decode images, and as many that draw and write pictures.
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        devices: Number of devices, or ``auto``.
        num_nodes: Number of machines; they must share the output folder.
        strategy: ``auto``, ``ddp``, ...
        precision: ``32-true``, ``bf16-mixed``, ...

    Examples:
        >>> from cv_attention.config import RecallExport
        >>> RecallExport(nearest=3, prototypes=True).pictures
        'png'
    """

    nearest: int = bounded(5, "[1, 1000]")
    strength: float | None = bounded(None, "(0, inf)")
    prototypes: bool = False
    pictures: PictureFormat = "png"
    batch_size: int = bounded(32, "[1, inf)")
    shard_size: int = bounded(256, "[1, inf)")
    workers: int = bounded(4, "[1, inf)")
    accelerator: str = "auto"
    devices: int | str = bounded(1, "[1, inf)")
    num_nodes: int = bounded(1, "[1, inf)")
    strategy: str = "auto"
    precision: str = "32-true"

    @property
    def maps(self) -> str:
        """Shards of classes hold no arrays."""
        return "none"
