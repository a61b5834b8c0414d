"""Spatial transformer: one look at a part of the image, which is learned (Jaderberg et al., NeurIPS 2015)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.backbones.models.retina import sample
from cv_attention.blocks.base import check_choice, check_whole
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.place_draw import PlaceDraw

Transform = Literal["attention", "affine"]


class SpatialTransformer(nn.Module):
    """Classifies an image by one look at a part of it, which a small network chooses by a thumbnail of the whole.

    Paper: Spatial Transformer Networks (Jaderberg et al., NeurIPS 2015), https://arxiv.org/abs/1506.02025.

    It is the one-glimpse case of `Glimpse` with the policy ``pathwise``: the same bilinear sampling lets the gradient
    of the loss reach the place. Here the size of the part, or a whole affine map, is learned too. At the start the part
    is the whole image. Unlike `Glimpse` the network has no memory and looks at all of the image, if only coarsely.

    Map: `places`, of kind ``places``, (B, 1, 2); its extents are half of the box around the part.

    Args:
        num_classes: Number of logits.
        patch: Side of the part in samples.
        transform: ``attention``: a scale and two shifts, section 3.1 of the paper; or ``affine``: all six numbers.
        thumbnail: Side of the thumbnail in samples.
        width: Channels of the last convolutions.
        in_chans: Channels of the image.

    Raises:
        ValueError: if an argument is out of its range; from the forward, if the images have other axes or channels.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("spatial_transformer", num_classes=10).eval()
        >>> with cva.record(model) as maps:
        ...     logits = model(torch.randn(2, 3, 48, 64))  # images of any size
        >>> cva.maps.place_boxes(maps["places"], (48, 64))[0]  # at the start: the whole image
        tensor([[[ 0.,  0., 64., 48.]]])
    """

    def __init__(
        self,
        num_classes: int = 10,
        patch: int = 24,
        transform: Transform = "attention",
        thumbnail: int = 32,
        width: int = 64,
        in_chans: int = 3,
    ) -> None:
        super().__init__()
        check_whole(patch=patch, thumbnail=thumbnail, width=width, in_chans=in_chans)
        check_choice("transform", transform, get_args(Transform))
        self.patch, self.transform, self.thumbnail, self.in_chans = patch, transform, thumbnail, in_chans
        self.native_input_size = (in_chans, 64, 64)  # any size will do; dry runs take this one
        self.numbers_read = patch**2 + thumbnail**2
        side = (thumbnail + 3) // 4  # after two strides of 2
        numbers = nn.Linear(64, 3 if transform == "attention" else 6)
        self.localise = nn.Sequential(
            *_convolution(in_chans, 16, 2), *_convolution(16, 32, 2), nn.Flatten(),
            nn.Linear(32 * side**2, 64), nn.ReLU(inplace=True), numbers,
        )  # fmt: skip
        nn.init.zeros_(numbers.weight)
        with torch.no_grad():
            numbers.bias.copy_(torch.tensor([1.0, 0, 0] if transform == "attention" else [1.0, 0, 0, 0, 1, 0]))
        self.places = PlaceDraw("pathwise", sigma=0)
        self.body = nn.Sequential(
            *_convolution(in_chans, width // 2 or 1, 1), *_convolution(width // 2 or 1, width, 2),
            *_convolution(width, width, 2),
        )  # fmt: skip
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_chans, H, W) to logits (B, num_classes)."""
        return self.fc(self.forward_features(x).mean((2, 3)))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images `x` (B, in_chans, H, W) to the feature map (B, width, h, w) of the part looked at."""
        if x.dim() != 4 or x.shape[1] != self.in_chans:
            raise ValueError(f"images must be (B, {self.in_chans}, H, W), got shape {tuple(x.shape)}")
        theta = self.theta(x)
        extents = theta[:, :, :2].abs().sum(2)[:, None, None]
        none = theta.new_zeros(x.shape[0], 0)
        self.places(theta[:, None, :, 2], none, none.sum(1), None, extents)
        return self.body(sample(x, theta, self.patch).to(x.dtype))

    def theta(self, x: Tensor) -> Tensor:
        """Computes the affine map (B, 2, 3) from the part to the image `x` (B, in_chans, H, W), see `retina.sample`."""
        whole = torch.eye(2, 3, device=x.device, dtype=torch.promote_types(x.dtype, torch.float32))
        thumbnail = sample(x, whole.expand(x.shape[0], 2, 3), self.thumbnail).to(x.dtype)
        numbers = widened(self.localise(thumbnail))
        if self.transform == "affine":
            return numbers.unflatten(1, (2, 3))
        scale, shift = numbers[:, :1, None], numbers[:, 1:, None]
        return torch.cat([scale * whole[:, :2], shift], 2)


def _convolution(before: int, after: int, stride: int) -> list[nn.Module]:
    """Makes a 3×3 convolution with its norm and ReLU."""
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
