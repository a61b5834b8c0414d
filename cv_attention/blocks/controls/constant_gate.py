"""The control of dependence on the input: a learned gate that no image changes."""

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.blocks.construction import Spec
from cv_attention.blocks.controls.base import MapControl

_MOMENTUM = 0.1  # of the running mean, as in batch norm
_SIDE = 16  # of the feature map on which a new block is tried


class ConstantGate(MapControl):
    """Runs a block with its gates replaced by their means over the batch and all positions: does it need the input?

    In training a gate is the mean over the batch, so that its weights still learn; in evaluation it is the running mean
    (momentum 0.1) of training, and the output of an image depends on no other one.

    Args:
        channels: Channels C of the input.
        block: The block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or a class.

    Raises:
        ValueError: if the block has no gate (a map of the kind ``channel``, ``spatial`` or ``joint``), or cannot be
            tried on a feature map of 16×16.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks.controls import ConstantGate
        >>> constant = ConstantGate(16, block="se")
        >>> x = torch.randn(2, 16, 7, 7)
        >>> gates = (constant(x) / x)[:, :, 0, 0]
        >>> torch.allclose(gates[0], gates[1])
        True
    """

    kinds = ("channel", "spatial", "joint")

    def __init__(self, channels: int, *, block: Spec) -> None:
        super().__init__(channels, block=block)
        self._channels = channels
        self._names = {map: f"mean_{number}" for number, map in enumerate(self.maps())}
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        for name, mean in self._tried().items():
            self.register_buffer(self._names[name], mean)

    def replace(self, name: str, attention: Tensor) -> Tensor:
        """Returns a gate that is the same for all images and positions."""
        running = self.get_buffer(self._names[name])
        if self.training:
            mean = attention.mean((0, 2, 3))
            weight = self.get_buffer("batches").add(1).reciprocal().clamp(min=_MOMENTUM).to(running.dtype)
            running.lerp_(mean.detach().to(running.dtype), weight)
        else:
            mean = running
        return mean.to(attention.dtype)[:, None, None].expand_as(attention)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the block on `x` (B, C, H, W) with constant gates; keeps the shape."""
        y = self.block(x)
        if self.training:
            self.batches += 1
        return y

    def _start_as_identity(self) -> None:
        super()._start_as_identity()
        for name, mean in self._tried().items():
            self.get_buffer(self._names[name]).copy_(mean)

    def _tried(self) -> dict[str, Tensor]:
        """Returns the means of a copy's gates on zeros, by the maps' names."""
        seen: dict[str, Tensor] = {}
        trial = copy.deepcopy(self.block).eval()
        like = next((each for each in trial.parameters() if each.is_floating_point()), torch.empty(0))
        for name in self.maps():
            map = trial.get_submodule(name)
            map._forward_hooks.clear()  # the copy's are of this control
            map.register_forward_hook(partial(_see, seen, name))
        x = torch.zeros(1, self._channels, _SIDE, _SIDE, device=like.device, dtype=like.dtype)
        try:
            with torch.no_grad():
                trial(x)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"ConstantGate cannot try {type(trial).__name__} on {_SIDE}×{_SIDE}: {error}") from error
        return {name: seen[name].clone() for name in self.maps() if name in seen}


def _see(seen: dict[str, Tensor], name: str, _: nn.Module, __: Any, attention: Tensor) -> None:
    seen[name] = attention.mean((0, 2, 3))
