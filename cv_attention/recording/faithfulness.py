"""Computes insertion and deletion curves of recorded maps."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.rundir.contents import Faithfulness
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import classes_of
from cv_attention.saliency.methods.model_free.baselines import centre_bias, random_map
from cv_attention.saliency.metrics.faithfulness import Curve, deletion_auc, insertion_auc, reflected_gaussian

_BASELINES = {"random": random_map, "centre": centre_bias}


def faithfulness_curves(
    network: nn.Module,
    inputs: Tensor,
    heats: Mapping[str, Tensor],
    points: int,
    mean: tuple[float, float, float],
    epoch: int,
) -> Faithfulness:
    """Computes insertion and deletion curves of every map, and of uninformed baseline maps.

    Args:
        network: The network.
        inputs: Images (N, C, H, W) as it takes them, on its device.
        heats: Title -> raw maps (N, h, w); resized to the images (bilinear), as on the page.
        points: Number of steps of a curve.
        mean: Colour in [0, 1] that a zero of `inputs` has, which is what a deleted pixel gets.
        epoch: Index of the epoch whose maps they are.
    """
    pixels = inputs.shape[-2] * inputs.shape[-1]
    step = -(-pixels // points)
    with scorer(network, inputs) as scores:  # in eval mode: batch statistics are not updated
        classes = classes_of(scores.logits, None)
    curves = {}
    for title, heat in heats.items():
        enlarged = F.interpolate(heat[:, None].float(), inputs.shape[-2:], mode="bilinear", align_corners=False)
        if bool(enlarged.isfinite().all()):
            curves[title] = _both(network, inputs, enlarged, classes, step)
    baselines = {
        name: _both(network, inputs, make(network, inputs), classes, step) for name, make in _BASELINES.items()
    }
    kernel = [round(weight, 6) for weight in reflected_gaussian(11, 5.0).tolist()]
    return Faithfulness(epoch, step, list(mean), kernel, classes.tolist(), curves, baselines)


def _both(network: nn.Module, inputs: Tensor, heat: Tensor, classes: Tensor, step: int) -> dict[str, Any]:
    insertion = insertion_auc(network, inputs, heat, classes, step=step)
    deletion = deletion_auc(network, inputs, heat, classes, step=step)
    return {"insertion": _plain(insertion), "deletion": _plain(deletion)}


def _plain(curve: Curve) -> dict[str, Any]:
    auc = [round(value, 5) for value in curve.auc.tolist()]
    return {"auc": auc, "curve": [[round(value, 4) for value in row] for row in curve.curve.tolist()]}
