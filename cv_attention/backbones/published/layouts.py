"""Recognizes the attention blocks in published weights by the names of their parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor


class Layout(NamedTuple):
    """How a published network names the parameters of one kind of block, below its residual block.

    Attributes:
        block: The same block in our catalogue.
        modules: Its modules with parameters, theirs -> ours.
        mean_first: Whether the input of the spatial gate is mean, maximum instead of maximum, mean.
    """

    block: str
    modules: dict[str, str]
    mean_first: bool = False


LAYOUTS = (
    Layout("se", {"se.fc1": "reduce", "se.fc2": "expand"}),  # timm
    Layout("se", {"se_module.fc1": "reduce", "se_module.fc2": "expand"}),  # Cadene's pretrained-models.pytorch
    Layout("se", {"se.fc.0": "reduce", "se.fc.2": "expand"}),  # moskomule's senet.pytorch
    Layout("eca", {"se.conv": "conv"}),  # timm
    Layout("eca", {"eca.conv": "conv"}),  # ECA-Net's authors
    Layout(
        "cbam",  # CBAM's authors
        {
            "cbam.ChannelGate.mlp.1": "reduce",
            "cbam.ChannelGate.mlp.3": "expand",
            "cbam.SpatialGate.spatial.conv": "spatial.conv",
            "cbam.SpatialGate.spatial.bn": "spatial.norm",
        },
    ),
    Layout(
        "cbam",  # timm
        {
            "se.channel.fc1": "reduce",
            "se.channel.fc2": "expand",
            "se.spatial.conv.conv": "spatial.conv",
            "se.spatial.conv.bn": "spatial.norm",
        },
        mean_first=True,
    ),
)
_PATTERNS = [
    re.compile(rf"(?P<unit>.+)\.(?P<module>{'|'.join(map(re.escape, layout.modules))})\.(?P<parameter>\w+)")
    for layout in LAYOUTS
]


@dataclass
class PublishedBlock:
    """The block of one residual block in published weights.

    Attributes:
        layout: How its parameters are named there.
        tensors: Its weights, by our names.
        keys: Their names in the file.
    """

    layout: Layout
    tensors: dict[str, Tensor] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    @property
    def spec(self) -> dict[str, Any]:
        """The block with the options that its weights' shapes show, as ``insert`` takes it.

        Raises:
            ValueError: if a weight is missing.
        """
        shapes = {name: tuple(self.tensors[name].shape) for name in self._weights()}
        if self.layout.block == "eca":
            return {"name": "eca", "kernel_size": shapes["conv.weight"][-1]}
        hidden, channels = shapes["reduce.weight"]
        options = {"name": self.layout.block, "bias": "reduce.bias" in self.tensors}
        if self.layout.block == "cbam":
            options["kernel_size"] = shapes["spatial.conv.weight"][-1]
        return {**options, "reduction": max(channels // hidden, 1), **self._rounded(hidden, channels)}

    def _weights(self) -> list[str]:
        names = [f"{name}.weight" for name in self.layout.modules.values()]
        if missing := [name for name in names if name not in self.tensors]:
            raise ValueError(f"the block of {self.keys[0]} lacks {', '.join(missing)}")
        return names

    def _rounded(self, hidden: int, channels: int) -> dict[str, Any]:
        """Timm rounds the hidden width to multiples of 8: of 64 channels, a sixteenth is 8."""
        if channels // max(channels // hidden, 1) == hidden or self.layout.block != "se":
            return {}
        return {"divisor": hidden}


def blocks_in(state: Mapping[str, Tensor]) -> dict[str, PublishedBlock]:
    """Finds the attention blocks in published weights.

    Args:
        state: The weights by their names in the file.

    Returns:
        The blocks by the names of the residual blocks that they belong to; empty if there are none of a known layout.
    """
    found: dict[str, PublishedBlock] = {}
    for key, value in state.items():
        for layout, pattern in zip(LAYOUTS, _PATTERNS, strict=True):
            if match := pattern.fullmatch(key):
                block = found.setdefault(match["unit"], PublishedBlock(layout))
                ours = layout.modules[match["module"]]
                block.keys.append(key)
                block.tensors[f"{ours}.{match['parameter']}"] = _as_ours(ours, value, layout)
                break
    return found


def _as_ours(module: str, value: Tensor, layout: Layout) -> Tensor:
    if module in ("reduce", "expand") and value.ndim == 4:  # a convolution of one pixel is a linear map
        return value.flatten(1)
    if module == "spatial.conv" and layout.mean_first:
        return value.flip(1)
    return value
