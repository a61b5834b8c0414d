"""What insertion says about inputs that a model cannot take, and about networks without feature maps (B, C, H, W)."""

import pytest
import torch
import torchvision
from torch import nn

from cv_attention.backbones import insert, plan
from cv_attention.backbones.models.cifar_resnet import CifarResNet
from tests.quick import quick_first


def network():
    return CifarResNet((1, 1), num_classes=2, width=4)


class TwoImages(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, left, right, *, scale=1):
        return self.conv(left) - self.conv(right) * scale


IMAGE = torch.zeros(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("example", "parts"),
    [
        ((1, 3, 32, 32), ["must hold a tensor", "(1, 3, 32, 32)", "input_size"]),
        (224, ["must hold a tensor", "224", "input_size"]),
        ((), ["must hold a tensor"]),
        ({1: IMAGE}, ["keys must be strings", "[1]", "(mapping,)"]),
        ((IMAGE, (i for i in range(2))), ["cannot be copied", "generator"]),
        ((IMAGE, torch.zeros(2)), ["CifarResNet fails", "[0] 2×3×32×32 float32, [1] 2 float32", "TypeError", "(x)"]),
        ({"pixels": IMAGE}, ["CifarResNet fails", "'pixels'", "unexpected keyword", "(x)"]),
        (IMAGE.double(), ["example_inputs is torch.float64", "CifarResNet torch.float32"]),
        (IMAGE.to(torch.uint8), ["example_inputs is torch.uint8", "CifarResNet torch.float32"]),
        ([IMAGE], ["CifarResNet fails", "[0] 2×3×32×32"]),
        ((IMAGE.to("meta"),), ["example_inputs[0] is on meta", "CifarResNet on cpu"]),
    ],
)
@pytest.mark.parametrize("function", [plan, insert])
def test_says_what_is_wrong_with_the_inputs(function, example, parts):
    model = network()
    keys = list(model.state_dict())
    with pytest.raises(ValueError) as caught:
        function(model, "se", example_inputs=example)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)
    assert list(model.state_dict()) == keys


def test_both_options_are_one_too_many():
    with pytest.raises(ValueError, match=r"input_size=32 and example_inputs both say .*give one"):
        plan(network(), "se", input_size=32, example_inputs=IMAGE)


def test_a_model_of_two_images_is_told_its_forward_and_both_options():
    with pytest.raises(ValueError) as caught:
        plan(TwoImages(), "se", "conv")
    for part in ("3×224×224", "'right'", "(left, right, *, scale=1)", "input_size=", "example_inputs="):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


class Sequence(nn.Module):
    """A 1-D residual network."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv1d(3, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.stem(x).relu()
        return (x + self.conv(x)).mean(-1)


class VolumeUNet(nn.Module):
    """A 3-D U-Net without batch norms."""

    def __init__(self, channels=1):
        super().__init__()
        self.stem = nn.Conv3d(channels, 8, 3, padding=1)
        self.down, self.conv = nn.Conv3d(8, 8, 3, stride=2, padding=1), nn.Conv3d(8, 8, 3, padding=1)
        self.up, self.out = nn.ConvTranspose3d(8, 8, 2, 2), nn.Conv3d(8, 2, 1)

    def forward(self, x):
        x = self.stem(x).relu()
        deep = self.down(x).relu()
        return self.out(x + self.up(deep + self.conv(deep)))


def video(name):
    return getattr(torchvision.models.video, name)(num_classes=2).eval()


CLIP = torch.zeros(1, 3, 4, 32, 32)


@pytest.mark.parametrize("at", quick_first(["residual", "stage", "replace", "**"]))
@pytest.mark.parametrize(
    ("model", "example", "axes"),
    [
        (Sequence, torch.zeros(2, 3, 16), "(B, C, L), such as 2×8×16"),
        (VolumeUNet, torch.zeros(1, 1, 8, 8, 8), "(B, C, D, H, W), such as 1×8×8×8×8"),
        (VolumeUNet, torch.zeros(1, 8, 8, 8), "(B, C, D, H, W), such as 1×8×8×8×8"),  # no batch: no image with 8 rows
        (lambda: video("r3d_18"), CLIP, "(B, C, D, H, W), such as 1×64×4×16×16"),
        (lambda: video("mc3_18"), CLIP, "(B, C, D, H, W)"),
        (lambda: video("r2plus1d_18"), CLIP, "(B, C, D, H, W)"),
        (lambda: video("swin3d_t"), CLIP, "(B, C, D, H, W)"),
    ],
    ids=["1-D", "3-D", "3-D without a batch", "r3d", "mc3", "r2plus1d", "swin3d"],
)
def test_networks_of_one_or_three_axes_are_refused_by_name(model, example, axes, at):
    model = model()
    with pytest.raises(ValueError, match="and blocks take") as caught:
        plan(model, "se", at, example_inputs=example)
    assert type(model).__name__ in str(caught.value)
    assert axes in str(caught.value)


@pytest.mark.parametrize(
    ("model", "layer"),
    [(lambda: video("r3d_18"), "Conv3d"), (Sequence, "Conv1d"), (lambda: VolumeUNet(2), "Conv3d")],
    ids=["video", "1-D", "3-D"],
)
def test_without_inputs_they_are_not_taken_for_networks_of_images(model, layer):
    with pytest.raises(ValueError, match=rf"begins with a {layer}.*example_inputs="):
        plan(model(), "se")


def test_a_single_convolution_of_three_axes_is_named():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv3d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return self.second(self.first(x)[:, :, 0])

    assert plan(Mixed(), "se", "second", example_inputs=CLIP).sites[0].channels == 4
    with pytest.raises(ValueError, match=r"'first': its Conv3d returns shape \(1, 4, 4, 32, 32\)"):
        plan(Mixed(), "se", "first", example_inputs=CLIP)


def test_a_volume_without_a_batch_beside_images_keeps_its_channels_apart():
    class Slices(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv3d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, volume):
            return self.second(self.first(volume).transpose(0, 1))  # every slice is an image

    volume = torch.zeros(1, 6, 16, 16)
    planned = plan(Slices(), "se", "second", example_inputs=volume)
    assert (planned.sites[0].channels, planned.sites[0].height) == (4, 16)
    with pytest.raises(ValueError, match=r"channels at axis 0"):
        plan(Slices(), "se", "first", example_inputs=volume)
