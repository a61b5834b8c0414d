"""Implements ResNets for small images: CIFAR ResNet-20 to -110, and a ResNet-18 with a 3×3 stem.

He et al., CVPR 2016, https://arxiv.org/abs/1512.03385, section 4.2. As there, a shortcut that changes
shape skips every other pixel and pads channels with zeros (option A, no parameters); ResNet-18 uses 1×1
convolutions (option B), as on ImageNet.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What makes each network: arguments of `CifarResNet`.
SHAPES: dict[str, dict[str, Any]] = {
    "resnet20": {"blocks": (3, 3, 3)},
    "resnet32": {"blocks": (5, 5, 5)},
    "resnet44": {"blocks": (7, 7, 7)},
    "resnet56": {"blocks": (9, 9, 9)},
    "resnet110": {"blocks": (18, 18, 18)},
    "resnet18_cifar": {"blocks": (2, 2, 2, 2), "width": 64, "shortcut": "B"},
}

_LARGEST = 65_536  # width, stride and channels: larger ones fill the memory before anything is reported


class PadShortcut(nn.Module):
    """Option A: every `stride`-th pixel, and zeros for the channels that the input lacks.

    Args:
        extra: Channels to add, half in front and half behind.
        stride: Distance of the pixels kept.
    """

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C + extra, ceil(H / stride), ceil(W / stride))."""
        front = self.extra // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, front, self.extra - front))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around which the input is added: relu(branch(x) + shortcut(x)).

    Args:
        channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the first convolution.
        shortcut: ``A`` pads, ``B`` projects with a 1×1 convolution where the shape changes.
        drop_path: Chance that training leaves the branch of an image out (stochastic depth), in [0, 1).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        stride: int,
        shortcut: Literal["A", "B"],
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.act2 = nn.ReLU(inplace=True)
        self.shortcut: nn.Module
        if stride == 1 and channels == out_channels:
            self.shortcut = nn.Identity()
        elif shortcut == "A":
            self.shortcut = PadShortcut(out_channels - channels, stride)
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', H / stride, W / stride)."""
        branch = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        if self.drop_path and self.training:
            branch = stochastic_depth(branch, self.drop_path)
        return self.act2(branch + self.shortcut(x))


def stochastic_depth(branch: Tensor, rate: float) -> Tensor:
    """Leaves the branches (B, C, H, W) of some images out, each with chance `rate`, and scales the others up."""
    kept = branch.new_empty(len(branch), 1, 1, 1).bernoulli_(1 - rate)
    return branch * (kept / (1 - rate))


class CifarResNet(nn.Module):
    """A ResNet for 32×32 images; any other size works.

    Args:
        blocks: Residual blocks of each stage.
        num_classes: Number of logits.
        width: Channels of the first stage; doubled from stage to stage.
        shortcut: ``A`` or ``B`` of the paper.
        stem_stride: Stride of the first convolution; 2 makes 64×64 images as cheap as 32×32.
        in_chans: Channels of the image.
        drop_path_rate: Stochastic depth (Huang et al., ECCV 2016): chance that training leaves the last block's branch
            out; it rises linearly from 0 at the first block. In [0, 1).

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        num_classes: int = 10,
        width: int = 16,
        shortcut: Literal["A", "B"] = "A",
        stem_stride: int = 1,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in {"width": width, "stem_stride": stem_stride, "in_chans": in_chans}.items():
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {name}={value!r}")
            if value > _LARGEST:
                raise ValueError(f"{name} must be at most {_LARGEST}, got {name}={value!r}")
        if shortcut not in ("A", "B"):
            raise ValueError(f"shortcut must be 'A' or 'B', got shortcut={shortcut!r}")
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f"drop_path_rate must be in [0, 1), got drop_path_rate={drop_path_rate!r}")
        self.native_input_size = (in_chans, 32 * stem_stride, 32 * stem_stride)
        self.conv1 = nn.Conv2d(in_chans, width, 3, stem_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.stages = len(blocks)
        channels, rates = width, torch.linspace(0, drop_path_rate, sum(blocks), device="cpu").tolist()
        for index, depth in enumerate(blocks):
            out_channels, layers = width * 2**index, []
            for number in range(depth):
                stride = 2 if index > 0 and number == 0 else 1
                layers.append(BasicBlock(channels, out_channels, stride, shortcut, rates.pop(0)))
                channels = out_channels
            self.add_module(f"layer{index + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Describes the layers for timm's parameter groups: the stem, the stages and, unmatched, the head."""
        return {"stem": r"^(?:conv1|bn1)\.", "stages": r"^layer(\d+)\."}

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to logits (B, num_classes)."""
        return self.fc(self.forward_features(x).mean((2, 3)))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to the last feature map (B, C, H / 4, W / 4)."""
        x = self.act1(self.bn1(self.conv1(x)))
        for index in range(self.stages):
            x = self.get_submodule(f"layer{index + 1}")(x)
        return x
