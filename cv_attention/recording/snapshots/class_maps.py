"""Computes Grad-CAM of the classes that a reader compares: the most probable ones and the true one."""

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.recording.snapshots.columns import GRAD_CAM, compact
from cv_attention.saliency import grad_cam

_TOP = 3  # classes whose maps are kept, in addition to the true one


def class_maps(network: nn.Module, inputs: Tensor, logits: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
    """Explains several classes of each image.

    Args:
        network: The network.
        inputs: (N, C, H, W) as the network takes them.
        logits: Its output for them (N, classes), on any device.
        labels: True classes (N), -1 where unknown.

    Returns:
        ``classes`` (N, K), see `top_and_true`, and ``Grad-CAM`` (N, K, h, w); empty for a network without
        feature maps.
    """
    classes = top_and_true(logits.to(inputs.device), labels.to(inputs.device))
    try:
        heat = grad_cam(network, inputs, classes, upsample=False)
    except ValueError:  # a network without feature maps, which was reported before training
        return {}
    return {"classes": classes.cpu().numpy(), GRAD_CAM: compact(heat)}


def top_and_true(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the classes to explain (N, K): the three most probable, and the true one or, if it is there, a fourth.

    Args:
        logits: (N, classes).
        labels: True classes (N), -1 where unknown.
    """
    best = logits.topk(min(_TOP + 1, logits.shape[1]), dim=1).indices
    if best.shape[1] <= _TOP:
        return best
    there = (best[:, :_TOP] == labels[:, None]).any(1) | (labels < 0)
    best[:, _TOP] = torch.where(there, best[:, _TOP], labels)
    return best
