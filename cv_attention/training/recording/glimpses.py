"""Judges where the glimpses of a network fall on the test split."""

from typing import Any

import torch

from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.blocks import PlaceDraw
from cv_attention.maps import record


def judge_glimpses(classifier: Any, datamodule: Any) -> dict[str, float]:
    """Counts how often the last glimpse is centred on the object, and how much of an image is read.

    Args:
        classifier: A `Classifier` with its trained network.
        datamodule: The data, set up.

    Returns:
        ``{"pixels_seen": numbers read of an image, per pixel}`` where the network says how many it reads; with true
        boxes also ``"glimpse_in_box"``, the share of images whose last glimpse has its centre in the box, and
        ``"glimpse_in_box_chance"``, the share of the image that the box covers. Nothing for a network without
        glimpses.
    """
    network, split = classifier.network, datamodule.splits["test"]
    names = [name for name, module in network.named_modules() if isinstance(module, PlaceDraw)]
    if not names:
        return {}
    height, width = datamodule.image_size
    read = getattr(network, "numbers_read", None)
    found = {} if read is None else {"pixels_seen": read / (height * width)}
    if split.images.boxes is None:
        return found
    hits, chance = [], []
    for start in range(0, len(split), 128):
        batch = split.batch([(0, index) for index in range(start, min(start + 128, len(split)))], classifier.device)
        kept = (batch["box"] > 0).any(1)  # a crop may have lost the object
        images, boxes = classifier.normalise(batch["image"][kept]), batch["box"][kept].double()
        if not len(images):
            continue
        with torch.no_grad(), eval_mode(network), record(network, only=names[-1]) as maps:
            network(images)
        unit = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
        last = (maps[names[-1]].values[:, -1].double() + 1) / 2 * unit
        hits.append(((last >= boxes[:, :2]) & (last < boxes[:, 2:])).all(1))
        chance.append((boxes[:, 2:] - boxes[:, :2]).prod(1) / unit.prod())
    if hits:
        found["glimpse_in_box"] = torch.cat(hits).double().mean().item()
        found["glimpse_in_box_chance"] = torch.cat(chance).mean().item()
    return found
