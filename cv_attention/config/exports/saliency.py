"""Configures a saliency export."""

from dataclasses import dataclass, field
from typing import Any, Literal

from cv_attention.config.bounds import bounded

PictureFormat = Literal["jpg", "png", "webp", "none"]
"""Format of exported pictures; ``none`` writes none."""


@dataclass
class SaliencyExport:
    """Configures what ``cv-attention saliency`` computes for each image, and how it writes it.

    Attributes:
        method: Saliency method: ``grad_cam``, ``score_cam``, ``rise``, ..., or the class path of one of your own; or
            several, which become columns of one export.
        layers: Modules that CAMs look at, names or globs; null takes the last spatial stage.
        options: Further arguments of the method, such as ``{steps: 64}``; with several methods, of each of them:
            ``{integrated_gradients: {steps: 64}}``.
        target: The class explained: ``predicted``, ``true`` (where labels are known), a class name or number.
        attention: The attention blocks' own maps too.
        clip: Share of each map's values within the colours of its picture, in percent; 99 keeps a few outliers, as
            gradients have them, from making everything else dark.
        photographs: Overlays and panels at the size of the original image, instead of the network's input.
        captions: A title and a colour bar with its ends in overlays and panels.
        maps: Format of the shards that hold the maps.
        inputs: Format of the images as the network sees them.
        overlays: Format of the maps over their images.
        panels: Format of each image next to all its overlays.
        manifest: Format of the manifest; ``parquet`` needs pyarrow.
        batch_size: Images of one forward on each device.
        shard_size: Images of one shard, the unit that processes share and that an interrupted export resumes at.
        workers: Threads that decode images, and as many that draw and write them.
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        devices: Number of devices, or ``auto``.
        num_nodes: Number of machines; they must share the output folder.
        strategy: ``auto``, ``ddp``, ...
        precision: ``32-true``, ``bf16-mixed``, ...

    Examples:
        >>> from cv_attention.config import SaliencyExport
        >>> config = SaliencyExport(method="score_cam", layers="layer4", maps="safetensors", overlays="none")
        >>> config.target
        'predicted'
    """

    method: str | list[str] = "grad_cam"
    layers: str | list[str] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    target: str | int = "predicted"
    attention: bool = False
    clip: float = bounded(100.0, "(0, 100]")
    photographs: bool = False
    captions: bool = False
    maps: Literal["npz", "safetensors", "none"] = "npz"
    inputs: PictureFormat = "jpg"
    overlays: PictureFormat = "jpg"
    panels: PictureFormat = "none"
    manifest: Literal["jsonl", "parquet"] = "jsonl"
    batch_size: int = bounded(16, "[1, inf)")
    shard_size: int = bounded(256, "[1, inf)")
    workers: int = bounded(4, "[1, inf)")
    accelerator: str = "auto"
    devices: int | str = bounded(1, "[1, inf)")
    num_nodes: int = bounded(1, "[1, inf)")
    strategy: str = "auto"
    precision: str = "32-true"

    @property
    def methods(self) -> list[str]:
        """The methods, also if it is one."""
        return [self.method] if isinstance(self.method, str) else list(self.method)
