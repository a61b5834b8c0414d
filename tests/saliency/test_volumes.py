"""Volumes and videos (B, C, D, H, W): the maps against plain autograd, and against the same model of flat images."""

import numpy as np
import pytest
import torch
from torch import nn

import cv_attention as cva
from cv_attention import saliency as s
from tests.quick import quick_only

V = torch.randn(2, 2, 6, 16, 20, generator=torch.Generator().manual_seed(1))
REFUSING = {"spectral_residual", "full_grad", "extremal_perturbation", "lrp", "attn_lrp"}
REFUSING |= {"deep_lift", "deep_feature_factorisation", "guided_grad_cam", "le_grad", "refine_cam"}
RGB = {"itti_koch_niebur"}  # test_bottom_up_videos.py
ATTENTION = {"block_maps", "attention_rollout", "attention_flow", "gradient_attention"}
FAST = {
    "rise": {"masks": 4},
    "lime": {"samples": 20, "cells": 2},
    "smooth_grad": {"samples": 2},
    "occlusion": {"window": 6},
}
FAST |= {"var_grad": {"samples": 2}, "integrated_gradients": {"steps": 2}, "expected_gradients": {"samples": 2}}
FAST |= {"smooth_grad_cam_plus_plus": {"samples": 2}}


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv3d(2, 8, 3, (1, 2, 2), 1), nn.BatchNorm3d(8), nn.ReLU())
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3, 4)))


class Flat(nn.Module):
    """The same model for images (B, C, H, W), of volumes that are one slice thick and convolved within it."""

    def __init__(self, model):
        super().__init__()
        self.body, self.fc = nn.Sequential(nn.Conv2d(2, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()), model.fc
        self.body[0].weight, self.body[0].bias = nn.Parameter(model.body[0].weight[:, :, 1]), model.body[0].bias

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))


DEEP = sorted(s.METHODS.keys() - REFUSING - ATTENTION - RGB)


@pytest.mark.parametrize("name", quick_only([name for name in DEEP if name != "kernel_shap"], DEEP))
def test_a_volume_of_one_slice_is_an_image(name):
    model, method, options = Volume().eval(), s.METHODS[name], FAST.get(name, {})
    deep = dict(options, window=(1, 6, 6)) if name == "occlusion" else options
    flat = method(Flat(model).eval(), V[:, :, 2], 1, **options)
    volume = method(model, V[:, :, 2:3], 1, **deep)
    assert volume.shape == (2, 1, 1, 16, 20)
    if name not in ("random_map", "rise", "centre_bias"):  # these draw, or have a middle, along the depth, too
        torch.testing.assert_close(volume[:, :, 0], flat, rtol=1e-3, atol=1e-4 * float(flat.abs().max()))
    several = method(model, V, s.Several(1, 2), **options)
    assert several.shape == (2, 2, 6, 16, 20)
    assert several.std() > 0
    cut = method(model, V, s.Several(1, 2), **options, batch_size=1)
    torch.testing.assert_close(cut, several, rtol=1e-3, atol=1e-4 * float(several.abs().max()))


def test_gradients_and_cams_written_out():
    model, pixels = Volume().eval(), V.clone().requires_grad_()
    a = model.body(pixels)
    g, dx = torch.autograd.grad(model.fc(a.mean((2, 3, 4)))[:, 1].sum(), [a, pixels])
    expected = (g.mean((2, 3, 4), keepdim=True) * a).sum(1, keepdim=True).relu().detach()
    heat = s.grad_cam(model, V, 1, upsample=False)
    torch.testing.assert_close(heat, expected)
    assert dict(s.explanation(heat).layers) == {"body": (6, 8, 10)}
    torch.testing.assert_close(s.gradient(model, V, 1), dx.abs().amax(1, keepdim=True))
    torch.testing.assert_close(s.input_x_gradient(model, V, 1), (dx * V).sum(1, keepdim=True))


def test_occlusion_written_out():
    model = Volume().eval()
    heat = s.occlusion(model, V, 1, window=(3, 8, 10), stride=(3, 8, 10))
    with torch.no_grad():
        covered = V.clone()
        covered[:, :, 3:, :8, 10:] = 0
        drop = (model(V) - model(covered))[:, 1]
    torch.testing.assert_close(heat[:, 0, 3:, :8, 10:].mean((1, 2, 3)), drop)
    torch.testing.assert_close(heat[:, 0, 4, 3, 15], drop)


@pytest.mark.parametrize("name", sorted(REFUSING))
def test_methods_of_flat_images_say_so(name):
    with pytest.raises(ValueError, match=rf"{name} takes images \(B, C, H, W\), not volumes"):
        s.METHODS[name](Volume().eval(), V, 1)


class Video(nn.Module):
    """Tubes of 2 frames and 4 x 4 pixels as tokens, which attend to each other."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.token = nn.Conv3d(2, 16, (2, 4, 4), (2, 4, 4)), nn.Parameter(torch.randn(1, 1, 16))
        self.blocks = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        tokens = torch.cat([self.token.expand(len(x), -1, -1), self.embed(x).flatten(2).mT], 1)
        return self.fc(self.blocks(tokens)[:, 0])


def test_tokens_of_a_video():
    heat = s.grad_cam(Video().eval(), V, 1, upsample=False)
    assert dict(s.explanation(heat).layers) == {"blocks.norm1": (3, 4, 5)}
    assert s.attention_rollout(Video().eval(), V, 1, upsample=False).shape == (2, 1, 3, 4, 5)
    changed = V.clone()
    changed[:, :, :2] += 3  # the first two frames
    change = s.eigen_cam(Video().eval(), changed, 1, layers="embed", upsample=False) - s.eigen_cam(
        Video().eval(), V, 1, layers="embed", upsample=False
    )
    assert change.abs().mean((0, 1, 3, 4)).argmax() == 0


@pytest.mark.parametrize("name", ["deletion_auc", "insertion_auc", "confidence_change", "infidelity"])
def test_measures(name):
    found = getattr(s.metrics, name)(Volume().eval(), V, torch.rand(2, 1, 6, 16, 20), 1)
    assert (found if isinstance(found, torch.Tensor) else found[0]).shape == (2,)


def test_road_is_of_flat_images():
    with pytest.raises(ValueError, match=r"road takes images \(B, C, H, W\), not volumes"):
        s.metrics.road(Volume().eval(), V, torch.rand(2, 1, 6, 16, 20), 1)


class Frames(nn.Module):
    """A network of images, run on every frame; the mean over frames is classified."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc = nn.Sequential(nn.Conv2d(2, 8, 3, 2, 1), nn.ReLU()), nn.Linear(8, 4)

    def forward(self, x):
        frames = self.body(x.transpose(1, 2).flatten(0, 1))
        return self.fc(frames.mean((2, 3)).unflatten(0, (len(x), -1)).mean(1).square())


def test_frames_that_are_run_as_images():
    model, pixels = Frames().eval(), V.clone().requires_grad_()
    by_frame = {"layers": "body", "layout": lambda x: x.unflatten(0, (-1, 6)).transpose(1, 2), "upsample": False}
    a = model.body(pixels.transpose(1, 2).flatten(0, 1))
    g = torch.autograd.grad(model.fc(a.mean((2, 3)).unflatten(0, (2, 6)).mean(1).square())[:, 1].sum(), a)[0]
    a, g = (value.detach().view(2, 6, 8, 8, 10).transpose(1, 2) for value in (a, g))
    expected = (g.mean((2, 3, 4), keepdim=True) * a).sum(1, keepdim=True).relu()
    torch.testing.assert_close(s.grad_cam(model, V, 1, **by_frame), expected)
    with pytest.raises(ValueError, match="no module of Frames gives a map of the image"):
        s.grad_cam(model, V, 1)
    with pytest.raises(ValueError, match="ablation_cam needs a layer whose output has an entry for each image"):
        s.ablation_cam(model, V, 1, **by_frame)


def test_a_method_of_your_own_explains_volumes():
    def edges(model, volumes, targets):
        return volumes[:, :1].diff(dim=-1, append=volumes[:, :1, ..., -1:])

    torch.testing.assert_close(s.resolve(edges)(Volume(), V), edges(None, V, None))


def test_slices_are_drawn_side_by_side_on_one_scale():
    scan = np.random.default_rng(0).integers(0, 255, (6, 16, 20), np.uint8)
    heat = s.input_x_gradient(Volume().eval(), V, 1)[:1]
    picture = cva.overlay_slices(scan, heat, slices=[1, 4])
    low, high = float(heat.min()), float(heat.max())
    for place, number in enumerate([1, 4]):
        grey = np.repeat(scan[number][..., None], 3, 2)
        expected = cva.overlay(grey, heat[0, 0, number], low=low, high=high)
        np.testing.assert_array_equal(picture[:, place * 20 : place * 20 + 20], expected)
    # half as many slices in the map: the first is a quarter of a step before the map's first, the second behind it
    coarse = np.stack([np.zeros((16, 20)), np.ones((16, 20)), np.ones((16, 20))])
    second = cva.overlay_slices(scan, coarse, 1.0, slices=[1])
    np.testing.assert_array_equal(
        second[0, 0], cva.overlay(np.zeros((1, 1, 3), np.uint8), [[0.25]], 1.0, low=0, high=1)[0, 0]
    )
    assert cva.overlay_slices(np.zeros((30, 4, 4, 3), np.uint8), np.zeros((3, 4, 4))).shape == (4, 32, 3)


@pytest.mark.parametrize(
    ("volume", "heat", "slices", "message"),
    [
        (
            np.zeros((6, 4, 4), np.uint8),
            np.zeros((4, 4)),
            None,
            r"heat must be \(d, h, w\), one volume's, got shape \(4, 4\)",
        ),
        (np.zeros((6, 4, 4)), np.zeros((3, 4, 4)), None, r"volume must be .* uint8, got \(6, 4, 4\) float64"),
        (np.zeros((6, 4, 4), np.uint8), np.zeros((3, 4, 4)), [6], r"slices must be numbers in 0..5, got \[6\]"),
    ],
)
def test_what_cannot_be_drawn(volume, heat, slices, message):
    with pytest.raises(ValueError, match=message):
        cva.overlay_slices(volume, heat, slices=slices)
