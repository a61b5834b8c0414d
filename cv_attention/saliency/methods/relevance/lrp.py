"""Implements layer-wise relevance propagation, also through attention (AttnLRP), with an account of what is kept."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_choice
from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets, each_target, of_images
from cv_attention.saliency.methods.gradient.gradients import Channels, join
from cv_attention.saliency.methods.relevance._functions import Through
from cv_attention.saliency.methods.relevance._ledger import Ledger
from cv_attention.saliency.methods.relevance._propagation import Propagation
from cv_attention.saliency.methods.relevance.composites import COMPOSITES, Composite, CompositeName
from cv_attention.suggest import suggest

Softmax = Literal["constant", "tangent"]


@explains
def lrp(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    rules: CompositeName | Composite = "epsilon_plus",
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes layer-wise relevance propagation, LRP: the score, divided backwards among the inputs of each layer.

    LRP is by Bach et al. (PLoS ONE 2015), https://doi.org/10.1371/journal.pone.0130140. It needs no change of the
    model: convolutions and fully connected layers follow `rules`, BatchNorm is merged into the layer before it, sums
    and concatenations divide in proportion, activations pass on what they get, gates and attention weights count as
    constant (for the latter see `attn_lrp`). The map sums to the target's logit, less what biases and other constants
    keep; `relevance` tells how much that is.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        rules: A name in `relevance_rules.COMPOSITES`, or a `relevance_rules.Composite`. ``epsilon_plus`` has the z+
            rule for convolutions, the epsilon rule for fully connected layers.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images, targets or rules, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.lrp(model, images, targets=3).shape
        torch.Size([2, 1, 32, 32])
        >>> cva.saliency.lrp(model, images, rules="epsilon_gamma_box").shape
        torch.Size([2, 1, 32, 32])
    """
    return join(_propagate(model, images, targets, rules, "constant"), channels)


@explains
def attn_lrp(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    rules: CompositeName | Composite = "epsilon",
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes AttnLRP (Achtibat et al., ICML 2024), https://arxiv.org/abs/2402.05602: relevance through attention.

    As in `lrp`, but relevance also flows to queries and keys: the softmax is replaced by its tangent, matrix products
    give each factor one half, LayerNorm and activations pass on what they get. Supports attention by
    `scaled_dot_product_attention`, by `nn.MultiheadAttention`, by a model's own softmax, and that of our blocks.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        rules: A name in `relevance_rules.COMPOSITES`, or a `relevance_rules.Composite`. ``gamma`` is what the authors
            use for vision transformers: less noise, for several times the cost.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images, targets or rules, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> from torchvision.models import VisionTransformer
        >>> import cv_attention as cva
        >>> model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=10)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.attn_lrp(model, images, rules="gamma").shape
        torch.Size([2, 1, 32, 32])
    """
    return join(_propagate(model, images, targets, rules, "tangent"), channels)


@dataclass(frozen=True)
class Relevance:
    """Holds relevance and the account of it, see `relevance`.

    Attributes:
        maps: (B, T, H, W), the relevance of the pixels.
        scores: (B, T), the targets' scores, which are divided.
        kept: What did not reach the pixels, (B, T), by kind: biases of ``convolution``, ``linear`` and
            ``normalisation``, ``constants`` such as position embeddings, the offsets of tangents.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> found = cva.saliency.relevance(model, torch.randn(2, 3, 32, 32), 3, rules="epsilon")
        >>> total = found.maps.sum((2, 3)) + sum(found.kept.values())
        >>> torch.allclose(total.float(), found.scores, rtol=1e-2, atol=1e-3)
        True
    """

    maps: Tensor
    scores: Tensor
    kept: dict[str, Tensor]

    @property
    def error(self) -> Tensor:
        """Returns what is missing from the account, (B, T), as a fraction of the largest sum on it."""
        reached = self.maps.double().sum((2, 3))
        amounts = torch.stack([reached, self.scores.double(), *self.kept.values()])
        return (amounts[0] + amounts[2:].sum(0) - amounts[1]).abs() / amounts.abs().amax(0).clamp(min=1e-12)


def relevance(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    rules: CompositeName | Composite = "epsilon_plus",
    softmax: Softmax = "constant",
) -> Relevance:
    """Computes `lrp` or `attn_lrp` with an account: the score equals the map's sum and what each kind of layer keeps.

    Where the account does not balance, the model calls a function that has no rule and is not homogeneous of degree 1.
    Images run one by one, which costs more time than the methods alone.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: Targets that are linear in the model's output: classes, a ``Difference``, a callable, or several of
            these. Relevance begins with the output times the target's derivative, which is the score only if it is
            linear; `Relevance.error` shows where it is not.
        rules: A name in `relevance_rules.COMPOSITES`, or a `relevance_rules.Composite`.
        softmax: ``constant`` as in `lrp`, or ``tangent`` as in `attn_lrp`.

    Returns:
        Maps, scores and what is kept.

    Raises:
        ValueError: for bad images, targets, rules or softmax, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> found = cva.saliency.relevance(model, torch.randn(2, 3, 32, 32), 3)
        >>> sorted(found.kept), bool((found.error < 0.01).all())
        (['convolution', 'linear'], True)
    """
    check_choice("softmax", softmax, ("constant", "tangent"))
    images = check_images(images, "relevance")
    maps, sums, kept = [], [], []
    for number, image in enumerate(images.split(1)):  # a model may lay out images in any order inside
        for target in each_target(of_images(targets, slice(number, number + 1), len(images))):
            ledger = Ledger()
            maps.append(join(_propagate(model, image, target, rules, softmax, ledger), "sum"))
            kept.append(ledger.kept)
            with scorer(model, image, target) as scores:
                sums.append(scores.clean())
    shape = (len(images), len(each_target(targets)))
    kinds = sorted({kind for one in kept for kind in one})
    account = {
        kind: torch.tensor([one[kind] for one in kept], dtype=torch.double, device=images.device).view(shape)
        for kind in kinds
    }
    return Relevance(torch.cat(maps).view(*shape, *images.shape[2:]), torch.cat(sums).view(shape), account)


def _propagate(
    model: nn.Module,
    images: Tensor,
    targets: Targets,
    rules: str | Composite,
    softmax: str,
    ledger: Ledger | None = None,
) -> Tensor:
    """Returns the relevance of each value of the images, (B, T, C, H, W) float32."""
    if not isinstance(rules, Composite):
        if rules not in COMPOSITES:
            raise ValueError(f"unknown rules {rules}{suggest(str(rules), COMPOSITES, shown=len(COMPOSITES))}")
        rules = COMPOSITES[rules]
    check_images(images, "lrp" if softmax == "constant" else "attn_lrp")
    mode = Propagation(rules, softmax, ledger)
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        scores.model = Through(scores.model, mode)
        try:
            found = scores.gradient(scores.images) * scores.images.float().unsqueeze(1)
        except ValueError as error:
            if softmax == "constant" and "do not depend on the images" in str(error):
                raise ValueError(
                    f"{error}; if they do by a softmax, which lrp holds constant, use attn_lrp, or logits"
                ) from error
            raise
        if mode.entrances:  # of each target in turn, from one or several layers
            found = found + torch.stack(mode.entrances).unflatten(0, (found.shape[1], -1)).sum(1).transpose(0, 1)
        return found
