"""Judges where Grad-CAM points on the test split."""

from typing import Any

import torch

from cv_attention.saliency import grad_cam
from cv_attention.saliency.metrics.pointing import pointing_game


def point(classifier: Any, datamodule: Any) -> dict[str, float]:
    """Counts how often the maximum of Grad-CAM for the true class lies in the true box, on the test split.

    Args:
        classifier: A `Classifier` with its trained network.
        datamodule: The data, set up.

    Returns:
        ``{"pointing": share of hits, "pointing_chance": share of hits of a random point}``, or nothing for a data set
        without boxes, or a network that Grad-CAM cannot explain.
    """
    split, hits, chance = datamodule.splits["test"], [], []
    if split.images.boxes is None:
        return {}
    for start in range(0, len(split), 128):  # all of them, also where several processes share the data module's batches
        batch = split.batch([(0, index) for index in range(start, min(start + 128, len(split)))])
        kept = (batch["box"] > 0).any(1)  # a crop may have lost the object
        images, boxes, labels = batch["image"][kept], batch["box"][kept], batch["label"][kept]
        try:
            heat = grad_cam(classifier.network, classifier.normalise(images), targets=labels)
        except ValueError:  # no feature maps
            return {}
        hits.append(pointing_game(heat, boxes))
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        chance.append(area / (images.shape[-1] * images.shape[-2]))
    return {
        "pointing": torch.cat(hits).double().mean().item(),
        "pointing_chance": torch.cat(chance).mean().item(),
    }
