"""Judges where Grad-CAM and attention pooling point on the test split."""

from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.blocks import CATALOGUE, AttentionMap
from cv_attention.heads import PayAttention
from cv_attention.maps import record, to_heatmap
from cv_attention.saliency import grad_cam
from cv_attention.saliency.metrics.pointing import pointing_game


def point(classifier: Any, datamodule: Any) -> dict[str, float]:
    """Counts how often maxima lie in the true box on the test split: those of Grad-CAM for the true class, and weights.

    Args:
        classifier: A `Classifier` with its trained network.
        datamodule: The data, set up.

    Returns:
        ``{"pointing": share of hits, "pointing_chance": share of hits of a random point}``, with a block of the family
        ``pooling`` also ``"pointing_attention"``, the share of images whose largest weight lies in the box; or nothing
        for a data set without boxes, or a network that Grad-CAM cannot explain.
    """
    split, hits, chance, weighed = datamodule.splits["test"], [], [], []
    if split.images.boxes is None:
        return {}
    pooling = pooling_map(classifier.network)
    for start in range(0, len(split), 128):  # all of them, also where several processes share the data module's batches
        batch = split.batch([(0, index) for index in range(start, min(start + 128, len(split)))])
        kept = (batch["box"] > 0).any(1)  # a crop may have lost the object
        images, boxes, labels = classifier.normalise(batch["image"][kept]), batch["box"][kept], batch["label"][kept]
        try:
            heat = grad_cam(classifier.network, images, targets=labels)
        except ValueError:  # no feature maps
            return {}
        hits.append(pointing_game(heat, boxes))
        if pooling is not None:
            weighed.append(pointing_game(_weights(classifier.network, pooling, images), boxes))
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        chance.append(area / (images.shape[-1] * images.shape[-2]))
    shares = {"pointing": hits, "pointing_attention": weighed, "pointing_chance": chance}
    return {name: torch.cat(parts).double().mean().item() for name, parts in shares.items() if parts}


def pooling_map(network: nn.Module) -> str | None:
    """Returns the name of the last attention map of the network's last attention pooling; None if there is none."""
    poolings = (PayAttention, *(entry.cls for entry in CATALOGUE.values() if entry.family == "pooling"))
    blocks = [name for name, module in network.named_modules() if isinstance(module, poolings)]
    below = f"{blocks[-1]}." if blocks else None
    maps = [name for name, module in network.named_modules() if isinstance(module, AttentionMap)]
    return None if below is None else [name for name in maps if name.startswith(below)][-1]


def _weights(network: nn.Module, name: str, images: Tensor) -> Tensor:
    """The weights of the positions as heatmaps (B, 1, H, W) of the images' size."""
    with torch.no_grad(), eval_mode(network), record(network, only=name) as maps:
        network(images)
    height, width = images.shape[-2:]
    return to_heatmap(maps[name], (height, width))
