"""Builds a network that reads texts: the backbone with its blocks, and a head that writes."""

from dataclasses import replace

from torch import nn

from cv_attention import backbones, heads
from cv_attention.alphabet import Alphabet
from cv_attention.backbones import Plan
from cv_attention.backbones.positions.heads import declare_heads
from cv_attention.config import Model
from cv_attention.suggest import suggest
from cv_attention.training.tasks.network import build_network


def build_recognizer(
    model: Model, alphabet: Alphabet, longest: int, image_size: tuple[int, int]
) -> tuple[heads.TextRecognizer, Plan | None]:
    """Builds the backbone, inserts the block, and puts the head on it.

    Args:
        model: The network's part of the configuration; ``model.head`` names the head.
        alphabet: The units that are written.
        longest: Units of the longest text.
        image_size: Height and width of the images in pixels.

    Returns:
        The network, and the plan of the insertion, or None without a block.

    Raises:
        ValueError: if the backbone, the block, the head or one of their options is unknown, or ``model.head_modules``
            is set.
    """
    check_head(model)
    if model.head_modules is not None:
        raise ValueError("model.head_modules is set, but the head of a network that reads is what model.head names")
    frozen = model.train if model.train in ("all", "blocks") else "all" if model.block is None else "blocks"
    backbone, plan = build_network(replace(model, head=None, train=frozen), 2, image_size)
    reader = backbones.reader(backbone, input_size=image_size)
    assert model.head is not None
    network = heads.build(reader, model.head, alphabet, longest)
    if model.train == "head":
        reader.requires_grad_(False)
    if model.train == "blocks":
        network.head.requires_grad_(False)
    return _declared(network), plan


def check_head(model: Model) -> None:
    """Raises ValueError unless ``model.head`` names a head that writes texts."""
    spec = model.head
    name = spec.get("name") if isinstance(spec, dict) else spec
    known = ", ".join(heads.text_heads())
    if spec is None:
        raise ValueError(f"the data have texts, which a head must write: set model.head to one of {known}")
    if isinstance(name, str) and "." not in name and name not in heads.text_heads():
        raise ValueError(f"model.head: no head that writes texts is called {name!r}{suggest(name, heads.text_heads())}")


def _declared(network: heads.TextRecognizer) -> heads.TextRecognizer:
    """Says what the head is: layers that make the outputs are not all of it."""
    declared: nn.Module = declare_heads(network, ["head"])
    assert isinstance(declared, heads.TextRecognizer)
    return declared
