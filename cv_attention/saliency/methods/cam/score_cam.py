"""Score-CAM (Wang et al., CVPR workshops 2020), https://arxiv.org/abs/1910.01279."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.scores import Scorer, scorer
from cv_attention.saliency.core.targets import Targets


@explains
def score_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int = 64,
) -> Tensor:
    """Weighs each channel by the target's score on the image masked with it: relu(sum_c softmax_c(y(x M_c)) A_c).

    M_c is the channel resized to the image and scaled to [0, 1]. The score is the logit; the blank image's, which the
    paper subtracts, cancels in the softmax. Costs a forward for each channel: 512 for a ResNet-18's last stage.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, 3, H, W) as the model takes them, on its device.
        targets: None or ``"predicted"`` for each image's largest logit, a class, classes (B,) such as the true ones,
            ``Difference(a, b)`` for why a rather than b, or a callable logits (B, classes) -> scores (B,). Several for
            each image: classes (B, T), or ``Several(...)`` of any; they share one forward.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None takes the last spatial stage.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size, of
            several layers the largest.
        batch_size: Images of one forward at most.

    Returns:
        (B, T, H, W) float32, at least 0.
    """
    seen = trace(model, images, targets, layers, gradients=False)
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:
        heats = []
        for activations in seen.activations.values():
            weights = _weigh(scores, activations.float())
            heats.append(torch.einsum("bct,bchw->bthw", weights, activations.float()).relu())
        return fuse(heats, images, upsample)


def _weigh(scores: Scorer, activations: Tensor) -> Tensor:
    """The weights (B, C, T)."""

    def masked(k: int) -> Tensor:
        mask = F.interpolate(activations[:, k : k + 1], scores.images.shape[2:], mode="bilinear", align_corners=False)
        low, high = mask.amin((2, 3), keepdim=True), mask.amax((2, 3), keepdim=True)
        return scores.images * ((mask - low) / (high - low + 1e-8)).to(scores.images.dtype)

    channels = [score for _, score in scores.variants(masked, activations.shape[1])]
    return torch.stack(channels, dim=1).softmax(1)
