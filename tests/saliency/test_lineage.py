"""Positions are followed through views without a measurement: what lands where is compared with torch's own result."""

import pytest
import timm
import torch
from torch import nn

from cv_attention import saliency
from cv_attention.saliency.core.places import probing
from cv_attention.saliency.core.places.axes import Axes, Digit, Part, free, whole
from cv_attention.saliency.core.places.layouts import Grid
from cv_attention.saliency.core.places.lineage import keeps_positions

IMAGES = torch.randn(1, 3, 8, 12, generator=torch.Generator().manual_seed(1)).requires_grad_()
CONV = nn.Conv2d(3, 6, 2, 2)
FC = nn.Linear(6, 6)


def windows(x, side=2):
    """(B, H, W, C) to (B * windows, side * side, C)."""
    b, h, w, c = x.shape
    return x.view(b, h // side, side, w // side, side, c).transpose(2, 3).reshape(-1, side * side, c)


def reversed_windows(x, h, w, side=2):
    return x.view(-1, h // side, w // side, side, side, x.shape[-1]).permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, 6)


def tokens(before=0, after=0, x=None):
    patches = (CONV(IMAGES) if x is None else x).flatten(2).mT
    extra = [nn.Parameter(torch.zeros(1, count, 6)) for count in (before, after)]
    return torch.cat([extra[0], patches, extra[1]], 1)


def merged(x):
    """Swin's patch merging in two ways of writing it."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)


KEPT = {
    "convolution": (lambda: CONV(IMAGES), Grid(1, (4, 6))),
    "channels last": (lambda: FC(CONV(IMAGES).permute(0, 2, 3, 1)).relu(), Grid(-1, (4, 6))),
    "a norm of channels": (lambda: nn.functional.layer_norm(CONV(IMAGES).movedim(1, -1), (6,)), Grid(-1, (4, 6))),
    "tokens": (lambda: FC(tokens()), Grid(-1, (4, 6))),
    "behind a class token": (lambda: FC(tokens(1)) + 1, Grid(-1, (4, 6), 1)),
    "between others": (lambda: FC(tokens(2, 3)), Grid(-1, (4, 6), 2, 3)),
    "taken out again": (lambda: tokens(2, 0)[:, 2:].mT.reshape(1, 6, 4, 6), Grid(1, (4, 6))),
    "merged": (lambda: merged(CONV(IMAGES).movedim(1, -1)), Grid(-1, (2, 3))),
    "slices": (
        lambda: torch.cat([CONV(IMAGES).movedim(1, -1)[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], -1),
        Grid(-1, (2, 3)),
    ),
    "windows and back": (lambda: reversed_windows(FC(windows(CONV(IMAGES).movedim(1, -1))), 4, 6), Grid(-1, (4, 6))),
    "transposed twice": (lambda: CONV(CONV(IMAGES).mT.mT[:, :3]), Grid(1, (2, 3))),
    "unshuffled by hand": (
        lambda: IMAGES.view(1, 3, 4, 2, 6, 2).permute(0, 1, 3, 5, 2, 4).flatten(1, 3), Grid(1, (4, 6)),
    ),
}  # fmt: skip
OTHERS = {
    "transposed": (lambda: CONV(IMAGES.mT), Grid(1, (6, 4))),
    "transposed tokens": (lambda: tokens(x=CONV(IMAGES).mT), Grid(-1, (4, 6))),
    "read as another grid": (lambda: tokens(), Grid(-1, (6, 4))),
    "one token further": (lambda: tokens(1), Grid(-1, (4, 6), 0, 1)),
    "rows and columns": (
        lambda: torch.cat([CONV(IMAGES).mean(3), CONV(IMAGES).mean(2)], 2)[..., None], Grid(1, (10, 1)),
    ),
    "one below the other": (lambda: torch.cat([CONV(IMAGES), CONV(IMAGES)], 2), Grid(1, (8, 6))),
    "windows": (lambda: windows(CONV(IMAGES).movedim(1, -1)).reshape(1, 24, 6), Grid(-1, (4, 6))),
    "flipped": (lambda: CONV(IMAGES).flip(3), Grid(1, (4, 6))),
    "rolled": (lambda: CONV(IMAGES).roll(1, 3), Grid(1, (4, 6))),
    "rows interleaved": (lambda: CONV(IMAGES).view(1, 6, 2, 2, 6).transpose(2, 3).reshape(1, 6, 4, 6), Grid(1, (4, 6))),
    "channels for rows": (lambda: CONV(IMAGES).transpose(1, 2), Grid(1, (6, 6))),
    "means": (lambda: CONV(IMAGES).mean(3, keepdim=True).expand(1, 6, 4, 6) + 0, Grid(1, (4, 6))),
    "from nothing": (lambda: nn.Parameter(torch.zeros(1, 6, 4, 6)).relu(), Grid(1, (4, 6))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KEPT)
def test_positions_are_followed(kind):
    make, grid = KEPT[kind]
    output = make()
    assert keeps_positions(output, grid, IMAGES)
    h, w = grid.size
    for i, j in ((0, 0), (h - 1, 1), (1, w - 1)):  # a position depends on its own pixels alone, as autograd says
        pixels = torch.autograd.grad(grid(output)[0, :, i, j].square().sum(), IMAGES, retain_graph=True)[0][0]
        rows, columns = 8 // h, 12 // w
        own = pixels[:, i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
        assert own.abs().sum() > 0
        if kind != "transposed twice":
            torch.testing.assert_close(own.abs().sum(), pixels.abs().sum())


@pytest.mark.parametrize("kind", OTHERS)
def test_other_orders_are_not(kind):
    make, grid = OTHERS[kind]
    assert not keeps_positions(make(), grid, IMAGES)


def test_digits_of_views():
    axes = Axes((free(1), whole(0, 4), whole(1, 6), free(5)), (4, 6))
    assert axes.shape == (1, 4, 6, 5)
    divided = axes.viewed((2, 2, 30))
    assert divided.digits == ((Digit(2, 0, 2),), (Digit(2, 0, 1),), (Digit(6, 1, 1), Digit(5)))
    assert divided.viewed((1, 4, 6, 5)) == axes
    assert axes.viewed((8, 15)).digits[0] == (Digit(4, 0, 1), Digit(2, 1, 3))
    assert axes.viewed((24, 4)) is None
    part = Axes(((Part(7, 1, whole(0, 6)),),), (6,))
    assert part.viewed((7, 1)) is not None
    assert Axes(((Part(6, 1, whole(0, 4)),),), (4,)).viewed((2, 3)) is None


@pytest.mark.parametrize(
    ("name", "options", "layer"),
    [
        ("convnext_atto", {"depths": (1, 1, 2, 1)}, ("norm_pre", (2, 2))),
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2}, ("blocks.1.norm1", (4, 4))),
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "depths": (1, 1, 2, 1)}, ("norm", (2, 2))),
    ],
)
def test_nothing_is_measured_where_positions_can_be_followed(name, options, layer, monkeypatch):
    def refuse(run):
        raise AssertionError("measured")

    monkeypatch.setattr(probing, "_measure", refuse)
    model = timm.create_model(name, num_classes=5, **options).eval()
    found = saliency.grad_cam_layers(model, torch.randn(2, 3, 64, 64), 1)
    assert {key: tuple(value.shape[2:]) for key, value in found.items()} == dict([layer])
