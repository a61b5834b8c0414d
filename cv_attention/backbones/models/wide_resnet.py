"""Wide ResNets for small images (Zagoruyko and Komodakis, BMVC 2016), https://arxiv.org/abs/1605.07146.

Names as in the paper: ``wrn16_8`` has 16 convolution layers and 8 times the channels of a CIFAR ResNet.
"""

from typing import Any

from torch import Tensor, nn

# What makes each network of the paper's tables: arguments of `WideResNet`.
SHAPES: dict[str, dict[str, Any]] = {
    f"wrn{depth}_{widening}": {"depth": depth, "widening": widening}
    for depth, widening in ((16, 4), (16, 8), (28, 10), (40, 2), (40, 4))
}


class PreActivationBlock(nn.Module):
    """Batch norm and ReLU before each 3×3 convolution: branch(a) + shortcut, with a = relu(bn(x)).

    Args:
        channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the first convolution.
        dropout: Share of activations dropped between the convolutions, in [0, 1).
    """

    def __init__(self, channels: int, out_channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.act2 = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        changes = stride != 1 or channels != out_channels
        self.shortcut = nn.Conv2d(channels, out_channels, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', H / stride, W / stride)."""
        activated = self.act1(self.bn1(x))
        branch = self.conv2(self.dropout(self.act2(self.bn2(self.conv1(activated)))))
        return branch + (x if self.shortcut is None else self.shortcut(activated))


class WideResNet(nn.Module):
    """A wide ResNet for 32×32 images; any other size works.

    Args:
        depth: Number of convolution layers, 6 n + 4.
        widening: Factor on the channels 16, 32 and 64 of the three stages.
        num_classes: Number of logits.
        dropout: Share of activations dropped in each residual block, in [0, 1).
        stem_stride: Stride of the first convolution; 2 makes 64×64 images as cheap as 32×32.
        in_chans: Channels of the image.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        depth: int,
        widening: int,
        num_classes: int = 10,
        dropout: float = 0.0,
        stem_stride: int = 1,
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        if depth < 10 or depth % 6 != 4:
            raise ValueError(f"depth must be 6 n + 4, at least 10, got depth={depth}")
        for name, value in {"widening": widening, "stem_stride": stem_stride, "in_chans": in_chans}.items():
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {name}={value!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got dropout={dropout}")
        self.native_input_size = (in_chans, 32 * stem_stride, 32 * stem_stride)
        self.conv1 = nn.Conv2d(in_chans, 16, 3, stem_stride, 1, bias=False)
        channels = 16
        for stage in range(3):
            layers, out_channels = [], 16 * widening * 2**stage
            for number in range((depth - 4) // 6):
                stride = 2 if stage > 0 and number == 0 else 1
                layers.append(PreActivationBlock(channels, out_channels, stride, dropout))
                channels = out_channels
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Describes the layers for timm's parameter groups: the stem, the stages and, unmatched, the end."""
        return {"stem": r"^conv1\.", "stages": r"^layer(\d+)\."}

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to logits (B, num_classes)."""
        return self.fc(self.forward_features(x).mean((2, 3)))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to the last feature map (B, C, H / 4, W / 4)."""
        x = self.get_submodule("layer3")(self.get_submodule("layer2")(self.get_submodule("layer1")(self.conv1(x))))
        return self.act(self.bn(x))
