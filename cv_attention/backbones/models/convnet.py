"""Implements a few plain 3×3 convolutions: small receptive fields, no shortcuts.

Each position of the last feature map sees a small square of the image, by default 31×31 pixels, and thus stands for
what is there. Attention over the positions of a deep network says less: there, every position sees all of the image.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

# What makes each network by name: arguments of `ConvNet`.
SHAPES: dict[str, dict[str, Any]] = {"convnet": {}}

_LARGEST = 65_536  # widths, strides and channels: larger ones fill the memory before anything is reported


class ConvNet(nn.Module):
    """Stacks 3×3 convolutions, each with batch norm and ReLU, then a global average and a linear layer.

    Args:
        num_classes: Number of logits.
        widths: Channels of each convolution's output.
        strides: Stride of each convolution, as many as `widths`; the feature map is smaller than the image by their
            product.
        in_chans: Channels of the image.

    Raises:
        ValueError: if an argument is out of its range, or `widths` and `strides` are of different lengths.

    Examples:
        >>> import torch
        >>> from cv_attention import backbones
        >>> model = backbones.build("convnet", num_classes=10, widths=[16, 32], strides=[2, 2])
        >>> model(torch.randn(2, 3, 64, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 10,
        widths: Sequence[int] = (24, 48, 64, 64),
        strides: Sequence[int] = (2, 2, 2, 1),
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        _check("in_chans", in_chans)
        for name, numbers in {"widths": widths, "strides": strides}.items():
            if not isinstance(numbers, list | tuple) or not numbers:
                raise ValueError(f"{name} must be a list with a number for each convolution, got {name}={numbers!r}")
            for number in numbers:
                _check(name, number)
        if len(widths) != len(strides):
            raise ValueError(
                f"widths and strides must have a number for each convolution, got {len(widths)} widths and "
                f"{len(strides)} strides"
            )
        self.native_input_size = (in_chans, 64, 64)
        channels = in_chans
        self.depth = len(widths)
        for number, (width, stride) in enumerate(zip(widths, strides, strict=True), start=1):
            convolution = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            layer = nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
            self.add_module(f"layer{number}", layer)
            channels = width
        self.fc = nn.Linear(channels, num_classes)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Describes the layers for timm's parameter groups: the first one, the others and, unmatched, the head."""
        return {"stem": r"^layer1\.", "stages": r"^layer(\d+)\."}

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to logits (B, num_classes)."""
        return self.fc(self.forward_features(x).mean((2, 3)))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to the last feature map (B, C, H', W')."""
        for number in range(1, self.depth + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x


def _check(name: str, number: Any) -> None:
    if not (isinstance(number, int) and not isinstance(number, bool) and number >= 1):
        raise ValueError(f"{name} must be whole numbers of at least 1, got {name}={number!r}")
    if number > _LARGEST:
        raise ValueError(f"{name} must be at most {_LARGEST}, got {name}={number!r}")
