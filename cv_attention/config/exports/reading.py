"""Configures an export of readings."""

from dataclasses import dataclass

from cv_attention.config.bounds import bounded
from cv_attention.config.exports.saliency import PictureFormat


@dataclass
class ReadingExport:
    """Configures how ``cv-attention read`` reads texts from images, and what it writes.

    Attributes:
        beams: Texts that are followed at once; 1 takes the likeliest unit of each step.
        length_penalty: α of ``log p / ((5 + length) / 6)^α`` by which texts are compared; 0 compares probabilities.
        alignments: Format of the pictures that show where each character was read.
        crops: Format of the part of the image that each character was read from.
        batch_size: Images of one forward on each device.
        shard_size: Images of one shard, the unit that processes share and that an interrupted export resumes at.
        workers: Threads that decode images, and as many that draw and write pictures.
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        devices: Number of devices, or ``auto``.
        num_nodes: Number of machines; they must share the output folder.
        strategy: ``auto``, ``ddp``, ...
        precision: ``32-true``, ``bf16-mixed``, ...

    Examples:
        >>> from cv_attention.config import ReadingExport
        >>> ReadingExport(beams=5, alignments="none").beams
        5
    """

    beams: int = bounded(1, "[1, inf)")
    length_penalty: float = bounded(0.0, "[0, inf)")
    alignments: PictureFormat = "png"
    crops: PictureFormat = "none"
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
        """Shards of readings hold no arrays."""
        return "none"
