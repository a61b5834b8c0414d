"""Builds a network that recalls: the backbone with its blocks, and a head with a memory."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from cv_attention import backbones, heads
from cv_attention.backbones import Plan
from cv_attention.backbones.positions.heads import declare_heads
from cv_attention.config import HeadSpec, Model
from cv_attention.training.tasks.network import build_network

_EXAMPLE = "{name: recall, memory: mann}"


def build_recall_network(
    model: Model, kind: str, ways: int, image_size: tuple[int, int]
) -> tuple[heads.RecallNetwork, Plan | None]:
    """Builds the backbone, inserts the block, and puts the head on it.

    Args:
        model: The network's part of the configuration; ``model.head`` is ``recall`` with its options.
        kind: What an episode asks for: ``classify``, ``copy`` or ``associate``.
        ways: Number of labels.
        image_size: Height and width of the images in pixels.

    Returns:
        The network, and the plan of the insertion, or None without a block.

    Raises:
        ValueError: if the backbone, the block, the head or one of their options is unknown or does not suit the
            episodes.
    """
    options = recall_options(model.head, kind)
    if model.head_modules is not None:
        raise ValueError("model.head_modules is set, but the head of a network that recalls is what model.head names")
    if model.weights:
        raise ValueError(f"model.weights is {model.weights}, but networks that recall start only from model.pretrained")
    frozen = model.train if model.train in ("all", "blocks") else "all" if model.block is None else "blocks"
    backbone, plan = build_network(replace(model, head=None, train=frozen), 2, image_size)
    reader = backbones.reader(backbone, input_size=image_size)
    network = heads.RecallNetwork(reader, ways, options)
    if model.train == "head":
        reader.requires_grad_(False)
    if model.train == "blocks":
        network.head.requires_grad_(False)
    declared: nn.Module = declare_heads(network, ["head"])
    assert isinstance(declared, heads.RecallNetwork)
    return declared, plan


def recall_options(head: HeadSpec, kind: str) -> dict[str, Any]:
    """Returns the options of the head ``recall``.

    Args:
        head: ``model.head``.
        kind: What an episode asks for.

    Raises:
        ValueError: if the head is another one, has no such option, or needs labels that these episodes do not show.
    """
    name = head.get("name") if isinstance(head, Mapping) else head
    if head is None:
        raise ValueError(f"the data are episodes, which a memory must recall: set model.head to {_EXAMPLE}")
    if name != "recall":
        raise ValueError(f"model.head: episodes are recalled by the head recall, such as {_EXAMPLE}, got {head!r}")
    options = {key: value for key, value in head.items() if key != "name"} if isinstance(head, Mapping) else {}
    heads.check_recall_options(options)
    bound = options.get("memory", "mann") in ("mann", "list") and options.get("write", "bound") == "bound"
    if kind != "classify" and bound:
        raise ValueError(
            f"model.head: write bound stores images with labels that arrive, and episodes of the kind {kind} show "
            "none; set write: paper, or memory: ntm or dnc"
        )
    return options
