"""Smooth Grad-CAM++ (Omeiza et al., 2019), https://arxiv.org/abs/1908.01224."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.targets import Several, Targets, fix_targets
from cv_attention.saliency.methods.cam.gradient_cams import weigh_plus_plus


@explains
def smooth_grad_cam_plus_plus(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    samples: int = 5,
    noise: float = 0.1,
    seed: int = 0,
    batch_size: int | None = None,
) -> Tensor:
    """Grad-CAM++ with activations and each of the three derivatives averaged over noisy copies of the image.

    Costs `samples` times `grad_cam` and one forward, which says what is predicted without noise.

    Args:
        model: As in `grad_cam`; so are `images`, `targets`, `layers`, `upsample` and `batch_size`.
        images: Likewise.
        targets: Likewise.
        layers: Likewise.
        upsample: Likewise.
        samples: Noisy copies of each image.
        noise: Standard deviation of the noise, as a share of the image's range (maximum - minimum).
        seed: Of the noise, which is the same for all images.
        batch_size: Likewise.
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"samples must be positive and noise not negative, got samples={samples}, noise={noise}")
    clean = trace(model, images, targets, layers, gradients=False)
    fixed = Several(*fix_targets(clean.logits, targets))
    source = Source(seed)
    sums: list[dict[str, list[Tensor]]] = [{} for _ in fixed.targets]
    with torch.no_grad():
        spread = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
        for _ in range(samples):
            noisy = images + spread * source.normal((1, *images.shape[1:]), images)
            seen = trace(model, noisy, fixed, list(clean.activations))
            for of_target, gradients in zip(sums, seen.gradients, strict=True):
                for name, a in seen.activations.items():
                    g = gradients[name].float()
                    terms = [a.float(), g, g**2, g**3]
                    old = of_target.get(name)
                    of_target[name] = terms if old is None else [x + y for x, y in zip(old, terms, strict=True)]
        heats = [[weigh_plus_plus(*(x / samples for x in terms)) for terms in of_target.values()] for of_target in sums]
        return torch.cat([fuse(of_layers, images, upsample) for of_layers in heats], 1)
