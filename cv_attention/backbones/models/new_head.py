"""Initializes a new head to zero, so that the first steps of fine-tuning do not damage the pretrained backbone."""

from collections.abc import Iterator

from torch import nn

from cv_attention.backbones.positions.parameters import head_names

# What timm calls heads whose logits are added to the head's: of a distillation token, of all positions.
_BESIDE = ("head_dist", "aux_head")
# And Hugging Face, whose models do not tell their heads.
_HUGGING_FACE = ("classifier", "cls_classifier", "distillation_classifier", "classifier_distill")


def start_head_at_zero(model: nn.Module) -> list[str]:
    """Sets the last layer of every head of a classifier to zero, in place.

    All logits are then 0 and the first loss is ln(classes), whatever the features look like. Libraries draw some heads
    so large (timm's EfficientNets up to ±0.7 for two classes) that the first gradients push a pretrained backbone away
    from what it knows. A linear layer at zero learns from its first step; hidden layers of the head keep their own
    values. This is how ViT (Dosovitskiy 2021) and BiT (Kolesnikov 2020) are fine-tuned.

    Args:
        model: Any classifier with a new, random head; attention may be inserted.

    Returns:
        The names of the layers set to zero.

    Raises:
        ValueError: if no linear layer or convolution makes the logits.
    """
    layers = logit_layers(model)
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear layer or convolution that makes the logits")
    for layer in layers.values():
        for parameter in layer.parameters(recurse=False):
            nn.init.zeros_(parameter)
    return list(layers)


def has_head_at_zero(model: nn.Module) -> bool:
    """Returns whether every layer that makes the logits is at zero."""
    layers = logit_layers(model)
    return bool(layers) and not any(parameter.any() for layer in layers.values() for parameter in layer.parameters())


def logit_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Finds the layers that make the logits, by name: one, or of several heads the last layer of each."""
    heads = [model.get_submodule(name) for name in head_names(model)]
    heads += [child for name, child in model.named_children() if name in (*_BESIDE, *_HUGGING_FACE)]
    layers = {id(layer) for head in heads for layer in _last_layers(head)}
    return {name: module for name, module in model.named_modules() if id(module) in layers}


def _last_layers(head: nn.Module) -> Iterator[nn.Linear | nn.Conv2d]:
    """Yields the layer that ends a head, or of heads side by side that of each."""
    children = dict(head.named_children())
    if isinstance(head, nn.ModuleList) or any(name in children for name in _BESIDE):
        for one in children.values():
            yield from _last_layers(one)
        return
    layers = [module for module in head.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    yield from layers[-1:]
