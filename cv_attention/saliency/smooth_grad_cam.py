"""Smooth Grad-CAM++ (Omeiza et al., 2019), https://arxiv.org/abs/1908.01224."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.engine import trace
from cv_attention.saliency.fusion import fuse
from cv_attention.saliency.gradient_cams import weigh_plus_plus
from cv_attention.saliency.layers import Layers
from cv_attention.saliency.noise import Source
from cv_attention.saliency.targets import Targets, fix_targets


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
) -> Tensor:
    """Grad-CAM++ with activations and each of the three derivatives averaged over noisy copies of the image.

    Costs `samples` times `grad_cam` and one forward, which says what is predicted without noise.

    Args:
        model: As in `grad_cam`; so are `images`, `targets`, `layers` and `upsample`.
        images: Likewise.
        targets: Likewise.
        layers: Likewise.
        upsample: Likewise.
        samples: Noisy copies of each image.
        noise: Standard deviation of the noise, as a share of the image's range (maximum - minimum).
        seed: Of the noise, which is the same for all images.
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"samples must be positive and noise not negative, got samples={samples}, noise={noise}")
    clean = trace(model, images, targets, layers, gradients=False)
    fixed = fix_targets(clean.logits, targets)
    source = Source(seed)
    sums: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        spread = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
        for _ in range(samples):
            noisy = images + spread * source.normal((1, *images.shape[1:]), images)
            seen = trace(model, noisy, fixed, list(clean.activations))
            for name, a in seen.activations.items():
                a, g = a.float(), seen.gradients[name].float()
                terms = [a, g, g**2, g**3]
                sums[name] = [x + y for x, y in zip(sums[name], terms, strict=True)] if name in sums else terms
        heats = [weigh_plus_plus(*(term / samples for term in terms)) for terms in sums.values()]
        return fuse(heats, images, upsample)
