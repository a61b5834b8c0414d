"""Warns of images much smaller than those a network was designed for."""

from collections.abc import Sequence

from torch import nn

from cv_attention.backbones.tracing.dry_run import declared_size


def too_small(model: nn.Module, name: str, size: Sequence[int]) -> str | None:
    """Warns of images with less than half of the side that a network was designed for.

    Args:
        model: A network of ours, of timm or of torchvision.
        name: Name of the network, for the text.
        size: (H, W) of the images in pixels.

    Returns:
        One line of text; None where the images are large enough, or nothing is known of the network.

    Examples:
        >>> from cv_attention import backbones
        >>> model = backbones.build("resnet20")
        >>> backbones.too_small(model, "resnet20", (32, 32)) is None
        True
        >>> print(backbones.too_small(model, "resnet20", (8, 8)))
        note: resnet20 is made for images of 32×32 pixels and has 334,072 parameters; ...
    """
    made_for = declared_size(model)
    if made_for is None and type(model).__module__.startswith("torchvision."):
        made_for = (224, 224)
    if made_for is None or 2 * max(size) > max(made_for):
        return None
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"note: {name} is made for images of {made_for[0]}×{made_for[1]} pixels and has {parameters:,} parameters; "
        f"these images have {size[0]}×{size[1]}, for which resnet20 or resnet18_cifar is made"
    )
