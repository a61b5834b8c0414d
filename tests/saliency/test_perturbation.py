"""Perturbation methods against captum, pytorch-grad-cam and loops by hand."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.methods.model_free.spectral_residual import gaussian
from cv_attention.saliency.methods.perturbation.smooth_mask import SmoothMask

X = torch.randn(2, 3, 24, 21, generator=torch.Generator().manual_seed(1))
CLASSES = torch.tensor([1, 4])


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=True))
        self.body = nn.Sequential(nn.Conv2d(6, 10, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(10, 5)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


class Joining(Plain):
    """Joins the first feature map and the last, so the batch cannot grow half-way."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        first = self.stem(x)
        return self.fc(torch.cat([first.mean((2, 3)), self.body(first).mean((2, 3))], 1))


@pytest.mark.parametrize(("window", "stride"), [((5, 4), (3, 2)), (4, 4), ((24, 5), (7, 5))])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_occlusion_equals_captum(window, stride, batch_size):
    captum = pytest.importorskip("captum.attr")
    pair = [(v, v) if isinstance(v, int) else v for v in (window, stride)]
    model = Plain().eval()
    expected = captum.Occlusion(model).attribute(X, (3, *pair[0]), (3, *pair[1]), baselines=0.2, target=CLASSES)
    got = s.occlusion(model, X, CLASSES, window=window, stride=stride, value=0.2, batch_size=batch_size)
    torch.testing.assert_close(got, expected[:, :1].float().detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "cells"), [(24, 21, 4), (24, 9, 4), (8, 21, 2), (24, 21, 30)])
def test_rise_by_hand(height, width, cells):
    """Also on images whose cells are not square, and with more cells than pixels."""
    model, images = Plain(), X[..., :height, :width]
    got = s.rise(model, images, CLASSES, masks=9, cells=cells, keep=0.3, seed=4, batch_size=5)
    draws = torch.Generator().manual_seed(4)
    expected = torch.zeros(2, 1, height, width)
    down, across = math.ceil(height / cells), math.ceil(width / cells)
    for _ in range(9):
        grid = (torch.rand(1, 1, cells, cells, generator=draws) < 0.3).float()
        large = nn.Upsample(((cells + 1) * down, (cells + 1) * across), mode="bilinear")(grid)
        y = int(torch.randint(down, (), generator=draws))
        x = int(torch.randint(across, (), generator=draws))
        mask = large[:, :, y : y + height, x : x + width]
        p = model(images * mask).softmax(1)[range(2), CLASSES].detach()
        expected += p[:, None, None, None] * mask / (9 * 0.3)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)
    alone = s.rise(model, images[1:], 4, masks=9, cells=cells, keep=0.3, seed=4)
    torch.testing.assert_close(alone, got[1:], rtol=1e-4, atol=1e-6)


def as_peer(heat):
    for _ in range(2):
        heat = heat.relu()
        heat = heat - heat.amin((2, 3), keepdim=True)
        heat = heat / (heat.amax((2, 3), keepdim=True) + 1e-7)
        heat = F.interpolate(heat, X.shape[2:], mode="bilinear")
    return heat


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["ScoreCAM", "AblationCAM"])
def test_equals_pytorch_grad_cam(name, monkeypatch):
    library = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    # the peer enlarges its masks with aligned corners, and nothing else so; as everything else is, here
    monkeypatch.setattr(nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size, mode="bilinear"))
    model = Plain().eval()
    explainer = getattr(library, name)(model, [model.body])
    targets = [ClassifierOutputTarget(int(k)) for k in CLASSES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torch.from_numpy(explainer(X.clone(), targets))[:, None]
    method = {"ScoreCAM": s.score_cam, "AblationCAM": s.ablation_cam}[name]
    got = method(Plain(), X, CLASSES, layers="body", upsample=False, batch_size=3)
    torch.testing.assert_close(as_peer(got), expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.01


@pytest.mark.parametrize("make", [Plain, Joining])
@pytest.mark.parametrize("layer", ["stem", "body"])
@pytest.mark.parametrize("batch_size", [4, 64])
def test_ablation_cam_by_hand(make, layer, batch_size):
    model = make()
    module = dict(model.named_modules())[layer]
    got = s.ablation_cam(model, X, CLASSES, layers=layer, upsample=False, batch_size=batch_size)
    for i, k in enumerate(CLASSES.tolist()):
        kept = {}
        handle = module.register_forward_hook(lambda m, _, out, kept=kept: kept.update(a=out.clone()))
        y = model(X[i : i + 1])[0, k].detach()
        handle.remove()
        a = kept["a"].detach()
        heat = 0
        for c in range(a.shape[1]):

            def drop(m, _, out, c=c):
                out = out.clone()
                out[:, c] = 0
                return out

            handle = module.register_forward_hook(drop)
            heat = heat + (y - model(X[i : i + 1])[0, k].detach()) / y * a[:, c : c + 1]
            handle.remove()
        torch.testing.assert_close(got[i : i + 1], heat.clamp(min=0), rtol=1e-3, atol=1e-5)
    assert got.std() > 0


def test_score_cam_by_hand():
    model = Plain()
    got = s.score_cam(model, X, CLASSES, upsample=False)
    a = model.body(model.stem(X)).detach()
    scores = torch.zeros(2, 10)
    for c in range(10):
        m = nn.Upsample((24, 21), mode="bilinear")(a[:, c : c + 1])
        low, high = m.amin((1, 2, 3), keepdim=True), m.amax((1, 2, 3), keepdim=True)
        scores[:, c] = model(X * (m - low) / (high - low + 1e-8))[range(2), CLASSES].detach()
    expected = (scores.softmax(1)[:, :, None, None] * a).sum(1, keepdim=True)
    torch.testing.assert_close(got, expected.clamp(min=0), rtol=1e-4, atol=1e-6)


class Corner(nn.Module):
    """Class 1 is how much detail the left upper quarter has, and nothing else."""

    def forward(self, x):
        quarter = x[:, :, : x.shape[2] // 2, : x.shape[3] // 2]
        detail = quarter.diff(dim=3).square().mean((1, 2, 3))
        return torch.stack([torch.zeros_like(detail), 100 * detail], 1)


@pytest.mark.long
def test_extremal_perturbation_finds_what_counts():
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    heat = s.extremal_perturbation(Corner(), images, 1, areas=(0.25,), steps=400, jitter=False, rate=0.02)
    assert heat[:, :, :14, :14].mean() > 0.8
    assert heat[:, :, 21:, 21:].max() < 0.2
    assert (heat.mean((1, 2, 3)) - 0.25).abs().max() < 0.03


def test_smooth_masks_by_hand():
    """The smooth maximum over all cells of kernel times cell, pixel by pixel."""
    mask = SmoothMask((10, 13), 3, 4.0, torch.device("cpu"))
    coarse = torch.rand(2, 1, *mask.cells, generator=torch.Generator().manual_seed(0))
    inner, outer = mask.enlarge(coarse)
    assert inner.shape == (2, 1, 10, 13)
    assert outer.shape == (2, 1, 18, 21)
    torch.testing.assert_close(outer[:, :, 4:14, 4:17], inner)
    reach = 3 * mask.radius  # cells that count: as many to each side, empty ones beyond the grid
    for y, x in ((0, 0), (4, 7), (9, 12), (-4, 16)):
        for b in range(2):
            values = []
            for row in range(-10, 14):
                for column in range(-10, 14):
                    away = (3 * row - 3 * (y // 3), 3 * column - 3 * (x // 3))
                    if max(map(abs, away)) > reach:
                        continue
                    inside = 0 <= row < mask.cells[0] and 0 <= column < mask.cells[1]
                    distance = ((3 * row - y) ** 2 + (3 * column - x) ** 2) ** 0.5 / 4.0
                    kernel = math.exp(-2 * max(distance - 0.5, 0) ** 2)
                    values.append(kernel * float(coarse[b, 0, row, column]) if inside else 0.0)
            top = sum(v * math.exp(20 * v) for v in values) / sum(math.exp(20 * v) for v in values)
            assert float(outer[b, 0, y + 4, x + 4]) == pytest.approx(top, abs=1e-5)


def test_extremal_perturbation_by_torchs_optimizer():
    model, images = Plain(), X[:1]
    options = {"spacing": 4, "sigma": 5.0, "blur": 3.0, "levels": 4, "rate": 0.03, "constraint": 20.0}
    got = s.extremal_perturbation(model, images, 1, areas=(0.2, 0.5), steps=6, **options)
    mask = SmoothMask((24, 21), 4, 5.0, torch.device("cpu"))
    pyramid = [gaussian(images, sigma) for sigma in (3.0, 2.0, 1.0)] + [images]
    heats = []
    for area in (0.2, 0.5):
        coarse = torch.ones(1, 1, *mask.cells, requires_grad=True)
        optimizer = torch.optim.SGD([coarse], lr=0.03, momentum=0.9, dampening=0.9)
        for step in range(6):
            inner, outer = mask.enlarge(coarse)
            place = inner * 3
            low = place.detach().floor().long().clamp(max=2)
            near, far = (
                torch.stack(
                    [torch.stack(pyramid)[low[0, 0, y, x] + up, 0, :, y, x] for y in range(24) for x in range(21)]
                )
                for up in (0, 1)
            )
            shown = (near + (place - low).flatten()[:, None] * (far - near)).T.reshape(1, 3, 24, 21)
            logits = model(shown.flip(3) if step % 2 == 0 else shown)
            wanted = torch.zeros(outer.numel())
            wanted[len(wanted) - round(area * 24 * 21) :] = 1
            distance = ((outer.flatten().sort().values - wanted) ** 2).mean()
            optimizer.zero_grad()
            (20.0 * 1.0035**step * distance - logits[0, 1]).backward()
            optimizer.step()
            coarse.data.clamp_(0, 1)
        heats.append(mask.enlarge(coarse.detach())[0])
    torch.testing.assert_close(got, sum(heats) / 2, rtol=1e-3, atol=1e-4)
    assert got.std() > 0.001


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: s.occlusion(m, X, window=0), "window must be positive pixels or .* got 0"),
        (lambda m: s.occlusion(m, X, window=3, stride=5), "stride must not exceed the window"),
        (lambda m: s.occlusion(m, X, batch_size=0), "batch_size must be .* at least 1, got 0"),
        (lambda m: s.rise(m, X, keep=1.0), "got 1000, 7 and 1.0"),
        (lambda m: s.rise(m, X, masks=0), "got 0, 7"),
        (lambda m: s.extremal_perturbation(m, X, areas=(1.5,)), r"\(0, 1\), got \(1.5,\)"),
        (lambda m: s.extremal_perturbation(m, X, steps=0), "got 0, 1"),
        (lambda m: s.extremal_perturbation(m, X, levels=1), "and 1$"),
        (lambda m: s.rise(m, X[0]), "must be a batch"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(Plain())
