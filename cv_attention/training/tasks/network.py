"""Builds the network of a configuration, with its attention inserted."""

from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from cv_attention import backbones
from cv_attention.backbones import Plan
from cv_attention.backbones.positions.heads import named_heads
from cv_attention.backbones.positions.parameters import remember_heads
from cv_attention.config import HeadSpec, Model
from cv_attention.heads import options_of_pay_attention, pay_attention, placed


class NotDownloaded(ValueError):
    """Pretrained weights could not be downloaded: what happened, and what to do about it."""

    def __str__(self) -> str:
        return "; ".join(self.args)


def build_network(model: Model, outputs: int, image_size: tuple[int, int]) -> tuple[nn.Module, Plan | None]:
    """Builds the backbone and inserts the block, and the head where it is an attention pooling.

    Args:
        model: The network's part of the configuration.
        outputs: Width of the output, such as the number of classes.
        image_size: Height and width of the images in pixels.

    Returns:
        The network, (B, 3, H, W) -> (B, outputs), and the plan of the insertion, or None without a block and head.

    Raises:
        ValueError: if the backbone, the block, the head, one of their options, or the site is unknown.
        NotDownloaded: if the pretrained weights cannot be downloaded.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> network, plan = training.build_network(config.Model(options={"width": 4}, block="se"), 10, (32, 32))
        >>> network(torch.randn(2, 3, 32, 32)).shape, len(plan.sites)
        (torch.Size([2, 10]), 9)
    """
    pretrained = model.pretrained and not model.weights  # a file's weights take their place
    for option in ("name", "num_classes", "pretrained"):
        if option in model.options:
            raise ValueError(
                f"model.options: {option} cannot be among them; it follows from the rest of the configuration"
            )
    try:
        network = backbones.build(model.backbone, num_classes=outputs, pretrained=pretrained, **model.options)
    except OSError as error:  # what urllib's and Hugging Face's errors have in common
        if not pretrained:
            raise
        reason = " ".join(str(error.__cause__ or error).split())
        raise NotDownloaded(
            f"weights of {model.backbone} could not be downloaded ({reason})",
            "give a file with --model.weights, or set --model.pretrained false",
        ) from error
    _resized(network, model, image_size, kept=pretrained)
    if model.train == "head":
        network, plan = _attended(network, replace(model, train="all"), image_size)
        part = backbones.parameter_parts(network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(part[name] == "head")
        return network, plan
    return _attended(network, model, image_size)


def _resized(network: nn.Module, model: Model, image_size: tuple[int, int], *, kept: bool) -> None:
    """Applies `widths` and `extra_blocks`, after the backbone has drawn its weights and before anything is inserted."""
    try:
        if model.extra_blocks:
            backbones.deepen(network, model.extra_blocks, image_size)
        if model.widths:
            backbones.widen(network, model.widths, image_size, kept=kept)
    except ValueError as error:
        raise ValueError(f"model.{error}") from error


def _attended(network: nn.Module, model: Model, image_size: tuple[int, int]) -> tuple[nn.Module, Plan | None]:
    pairs = placed(model.block, model.at, model.head)
    several = options_of_pay_attention(model.head) is not None
    plan, train = None, cast(Any, model.train)
    if pairs:
        plan = backbones.insert(
            network,
            # one block in its own words: a mistake in it is then reported as before
            *((pairs,) if model.head is not None else (model.block, model.at)),  # pyright: ignore[reportArgumentType]
            init=model.init,
            train=train,
            head=model.head_modules,
            input_size=image_size,
        )
    elif model.train != "all" and not several:
        raise ValueError(f"model.train is {model.train}, but model.block is null: there are no blocks to train")
    elif model.head_modules is not None:
        remember_heads(network, named_heads(network, model.head_modules))
    if several:
        if model.train != "all" and not pairs:
            part = backbones.parameter_parts(network)
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(model.train == "blocks+head" and part[name] == "head")
        add_pay_attention(network, model.head, image_size)
    return network, plan


def add_pay_attention(network: nn.Module, head: HeadSpec, image_size: Any = None) -> str:
    """Adds the head ``pay_attention`` of a configuration to a network.

    Args:
        network: The network, (B, 3, H, W) -> (B, outputs).
        head: The head, with its options.
        image_size: Side, (H, W) or (C, H, W) of the images in pixels; None takes the network's own.

    Returns:
        A line that says what it reads, and how many parameters it has.

    Raises:
        ValueError: if an option is wrong, or the network is not a classifier with stages and a linear last layer.
    """
    options = options_of_pay_attention(head) or {}
    stages = backbones.plan(network, _nothing, f"stage:-{options['depths']}:", input_size=image_size)
    at = options["at"] or [site.name for site in stages.sites]
    first = next(network.parameters())
    images = torch.zeros(1, *stages.input_shape, device=first.device, dtype=first.dtype)
    added = pay_attention(network, at, images, score=options["score"])
    count = sum(parameter.numel() for parameter in added.parameters())
    return f"pay_attention reads {', '.join(at)}, {count:,} parameters"


def _nothing(channels: int) -> nn.Module:
    return nn.Identity()
