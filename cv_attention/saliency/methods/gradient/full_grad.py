"""FullGrad (Srinivas and Fleuret, NeurIPS 2019), https://arxiv.org/abs/1905.00780."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.maps.wrappers import bare_modules, unwrap
from cv_attention.saliency.core.engine import check_images, trace
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets


@explains
def full_grad(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    rescale: Literal["layer", "channel"] = "layer",
    batch_size: int | None = None,
) -> Tensor:
    """Adds the input's share and every bias's share of the score: sum of psi(g x) and psi(g_l b_l) over layers l.

    psi takes the absolute value, scales it to [0, 1] and resizes it to the image. Biases are those of convolutions and
    BatchNorms, the latter with what normalisation adds: beta - mean gamma / sqrt(var + eps). The decomposition is
    complete for networks of such layers, ReLUs and linear heads; gates, SiLU and LayerNorm have shares that it
    does not count. Costs a forward and a full backward, and holds every such layer's output.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, 3, H, W) as the model takes them, on its device.
        targets: None or ``"predicted"`` for each image's largest logit, a class, classes (B,) such as the true ones,
            ``Difference(a, b)`` for why a rather than b, or a callable logits (B, classes) -> scores (B,). Several for
            each image: classes (B, T), or ``Several(...)`` of any; they share one forward.
        rescale: psi scales over a layer's channels together, as the authors' code does, or ``"channel"`` each by
            itself, as pytorch-grad-cam does.
        batch_size: Images of one forward at most; larger batches are explained in pieces, of which a callable target
            sees one at a time. None takes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0.

    Raises:
        ValueError: as `grad_cam`, or if no convolution or BatchNorm has a bias.
    """
    if rescale not in ("layer", "channel"):
        raise ValueError(f"rescale must be 'layer' or 'channel', got {rescale!r}")
    biases = {}
    for name, module in bare_modules(model).items():
        bias = _bias(module)
        if bias is not None and name:
            biases[name] = bias
    if not biases:
        raise ValueError(f"{type(model).__name__} has no convolution or BatchNorm with a bias, which FullGrad needs")
    check_images(images)
    bare = unwrap(model)
    with undisturbed(bare, images.device.type):
        seen = trace(_Entrance(bare), images, targets, ["entrance", *(f"model.{name}" for name in biases)])
    shares: dict[str, Tensor] = {f"model.{name}": bias for name, bias in biases.items()}
    with torch.no_grad():
        shares["entrance"] = images.float()
        totals = [
            torch.stack([_psi(g.float() * shares[name], images, rescale) for name, g in gradients.items()]).sum(0)
            for gradients in seen.gradients
        ]
        return torch.cat(totals, 1)


class _Entrance(nn.Module):
    """The model behind an identity, at which the image's own gradient is taken."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.entrance = nn.Identity()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Returns the model's logits."""
        return self.model(self.entrance(images))


@torch.no_grad()
def _bias(module: nn.Module) -> Tensor | None:
    """What the layer adds to its output, (C, 1, 1), or None."""
    if isinstance(module, nn.BatchNorm2d) and module.bias is not None and module.running_mean is not None:
        assert module.running_var is not None
        shift = module.running_mean * module.weight / torch.sqrt(module.running_var + module.eps)
        return (module.bias - shift).float()[:, None, None]
    if isinstance(module, nn.Conv2d) and module.bias is not None:
        return module.bias.float()[:, None, None]
    return None


def _psi(share: Tensor, images: Tensor, rescale: str) -> Tensor:
    over = (1, 2, 3) if rescale == "layer" else (2, 3)
    share = share.abs()
    share = share - share.amin(over, keepdim=True)
    share = share / (share.amax(over, keepdim=True) + 1e-7)
    resized = F.interpolate(share, images.shape[2:], mode="bilinear", align_corners=False)
    return resized.sum(1, keepdim=True)
