"""Configures the network and the attention inserted into it."""

from dataclasses import dataclass, field
from typing import Any, Literal

BlockSpec = str | dict[str, Any] | None
"""A block of the catalogue by name, the same with options (``{name: cbam, reduction: 8}``), or any importable class
(``{class_path: my_block.MyBlock, init_args: {...}}``); null inserts none."""

HeadSpec = str | dict[str, Any] | None
"""What reads the feature map, written like a block: a pooling (``additive``, ``{name: hard, estimator: gumbel}``), a
decoder of text (``{name: gru, score: general}``), or any importable class; null leaves the backbone's own head."""


@dataclass
class Model:
    """Configures the network and the attention inserted into it.

    Attributes:
        backbone: One of our small networks (``resnet20``, ``wrn16_8``, ``convnet``, ...), any timm or torchvision CNN,
            or the class path of a network of your own such as ``my_net.MyNet``, see ``docs/extending.md``.
        options: Further arguments of the backbone's constructor.
        widths: Other numbers of channels inside residual branches: name of the layer that makes them -> number;
            ``backbones.widths`` lists them. Nothing else of the network changes.
        extra_blocks: Residual blocks that stages get in addition, copies of their last one with new weights: name of
            the stage -> number.
        pretrained: Load the library's pretrained weights.
        weights: Checkpoint to start from: a run directory (its best), or a file of ours, of timm or a plain state
            dict, also as safetensors. The head starts at zero where the classes differ; weights of blocks that the
            checkpoint lacks stay new.
        weights_by: How the weights of a file find their places: by ``name``, or by ``position``, which is for files of
            another library whose weights have other names and the same shapes in the same order.
        block: Attention block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or null.
            Different blocks at different places: ``{"residual:0": se, "stage:-1": vit}``.
        at: Where it goes: a position (``residual``, ``pre``, ``post``, ``identity``, ``stage``, ``replace``,
            ``pool``; ``stage:-1`` takes the last stage alone) or a glob over module names, or a list of these.
        init: ``plain``, or ``identity`` to leave the network's output as it was at the start.
        train: ``all``, ``blocks`` to freeze everything but the blocks, ``blocks+head`` to train the last layer too, or
            ``head`` for the last layer alone, where the statistics of batch norms stay as well.
        channels_last: Keep images and weights in channels_last memory order, which most CPUs and GPUs run faster.
        head: What reads the feature map in place of the average pooling and its classifier: a name,
            ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}``, or null for the backbone's own.
        head_modules: Globs over the names of the modules that are the network's heads, for ``train: blocks+head`` and
            ``optimizer.lr_scale.head``; null takes the modules that make the outputs.

    Examples:
        >>> from cv_attention.config import Model
        >>> model = Model(backbone="timm/resnet18", pretrained=True, block="se", init="identity")
        >>> model.at, model.train
        ('residual', 'all')
    """

    backbone: str = "resnet20"
    options: dict[str, Any] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    extra_blocks: dict[str, int] = field(default_factory=dict)
    pretrained: bool = False
    weights: str | None = None
    weights_by: Literal["name", "position"] = "name"
    block: BlockSpec = None
    at: str | list[str] = "residual"
    init: Literal["plain", "identity"] = "plain"
    train: Literal["all", "blocks", "blocks+head", "head"] = "all"
    channels_last: bool = True
    head: HeadSpec = None
    head_modules: str | list[str] | None = None
