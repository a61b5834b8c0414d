"""DeepLIFT against captum, and its completeness where captum has no rule; GradientSHAP and Guided Grad-CAM."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s

X = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
pytestmark = pytest.mark.filterwarnings("ignore")


def network(pool: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU(), pool, nn.Conv2d(6, 8, 3), nn.Sigmoid(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip
    nn.init.normal_(model[1].running_mean)
    nn.init.normal_(model[1].bias)
    return model.eval()


@pytest.mark.parametrize("pool", [nn.Identity(), nn.AvgPool2d(2), nn.MaxPool2d(2)], ids=["none", "mean", "max"])
@pytest.mark.parametrize("baseline", [0.0, torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(2))])
def test_it_equals_captum(pool, baseline):
    captum = pytest.importorskip("captum.attr")
    model = network(pool)
    got = s.deep_lift(model, X, 3, baseline=baseline)
    for i in range(2):  # captum mixes up images of a batch at maxima
        start = torch.zeros(1, 3, 12, 12) + baseline
        expected = captum.DeepLift(model).attribute(X[i : i + 1], start, target=3).sum(1)
        change = float((model(X[i : i + 1]) - model(start))[0, 3])
        assert float(got[i].sum()) == pytest.approx(change, abs=1e-5)
        if isinstance(baseline, torch.Tensor) and isinstance(pool, nn.MaxPool2d):
            assert float(expected.sum()) != pytest.approx(change, abs=1e-4), "captum's maxima are complete now: compare"
            continue
        torch.testing.assert_close(got[i], expected.detach(), rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


class Everything(nn.Module):
    """Gates, own softmax and attention, normalisations, maxima, functions in place."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.se, self.qkv = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 24, 1)
        self.norm, self.group, self.instance = nn.LayerNorm(8), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True)
        self.mha, self.fc = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 5)

    def forward(self, x):
        x = F.silu(self.stem(x), inplace=True)
        x = x * self.se(x.amax((2, 3), keepdim=True)).sigmoid()
        q, k, v = self.qkv(x).flatten(2).mT.chunk(3, -1)
        tokens = x.flatten(2).mT + (q @ k.mT / 3).softmax(-1) @ v
        tokens = F.gelu(self.norm(tokens))
        tokens = tokens + self.mha(tokens, tokens, tokens, need_weights=False)[0]
        x = self.instance(self.group(tokens.mT.unflatten(2, x.shape[2:]) * x)).relu_()
        x = F.max_pool2d(x, 3, 2, 1) / (1 + x.mean((2, 3), keepdim=True).abs())
        x.mul_(x.max(1, keepdim=True).values)
        return self.fc(F.normalize(x.mean((2, 3)), dim=1))


def test_the_map_sums_to_the_change_of_the_score():
    model, images = Everything().eval().double(), X.double()
    base = torch.full_like(images, 0.1) + 0.01 * images.flip(0)
    got = s.deep_lift(model, images, s.Several(3, s.Difference(0, 1)), baseline=base).sum((2, 3))
    with torch.no_grad():
        change = model(images) - model(base)
    expected = torch.stack([change[:, 3], change[:, 0] - change[:, 1]], 1).float()
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (12, 12, 0)], ids=["apart", "overlapping", "whole"])
def test_a_difference_of_maxima_goes_to_the_larger_one(window):
    """As in SHAP: where the image's maximum is larger to its place, else to that of the baseline's, per window."""
    size, stride, padding = window
    base = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(2))
    pooled = F.max_pool2d(X, size, stride, padding)
    g = torch.randn(pooled.shape[1:], generator=torch.Generator().manual_seed(3))

    class Maxima(nn.Module):
        def forward(self, x):
            found = x.amax((2, 3), keepdim=True) if size == 12 else F.max_pool2d(x, size, stride, padding)
            return torch.stack([found.sum((1, 2, 3)), (found * g).sum((1, 2, 3))], 1)

    expected, larger = torch.zeros(2, 12, 12), 0
    for image in range(2):
        for channel, row, column in ((c, y, x) for c in range(3) for y, x in torch.cartesian_prod(
            torch.arange(g.shape[1]), torch.arange(g.shape[2])).view(-1, 2).tolist()):  # fmt: skip
            rows, columns = (
                range(max(i * stride - padding, 0), min(i * stride - padding + size, 12)) for i in (row, column)
            )
            places = [(y, x) for y in rows for x in columns]
            ours, theirs = ({at: float(v[channel][at]) for at in places} for v in (X[image], base[0]))
            here, there = (max(places, key=lambda at, of=of: of[at]) for of in (ours, theirs))
            change = ours[here] - theirs[there]
            expected[image][here if change > 0 else there] += g[channel, row, column] * change
            larger += change > 0
    assert 0 < larger < 2 * g.numel()
    torch.testing.assert_close(s.deep_lift(Maxima(), X, 1, baseline=base)[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_model_that_branches_on_values_is_refused():
    class Branches(nn.Module):
        def forward(self, x):
            x = x.relu() if x.sum() > 0 else x.sigmoid()[:, :, ::2].relu()
            return x.mean((2, 3))

    with pytest.raises(ValueError, match="something else for the baseline"):
        s.deep_lift(Branches(), X.abs(), 1, baseline=-1.0)


def test_gradient_shap_equals_captum(monkeypatch):
    captum = pytest.importorskip("captum.attr")
    import numpy as np

    model, base = network(nn.AvgPool2d(2)), torch.full((1, 3, 12, 12), 0.3)
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: np.full(size, 0.4))
    monkeypatch.setattr(torch, "rand", lambda *args, **kwargs: torch.full(args[0], 0.4))
    expected = captum.GradientShap(model).attribute(X, base, n_samples=2, stdevs=0.0, target=3)
    got = s.gradient_shap(model, X, 3, baselines=base, samples=2, noise=0)
    torch.testing.assert_close(got, expected.sum(1, keepdim=True).float().detach(), rtol=1e-3, atol=1e-6)


def test_gradient_shap_is_its_equation():
    model, draws = network(nn.AvgPool2d(2)), torch.Generator().manual_seed(7)
    bases = torch.randn(3, 3, 12, 12)
    got = s.gradient_shap(model, X, 2, baselines=bases, samples=2, noise=0.2, seed=7)
    expected = 0
    for _ in range(2):
        base = bases[int(torch.randint(3, (), generator=draws))]
        noise = torch.randn((1, 3, 12, 12), generator=draws)
        way = X + 0.2 * (X.amax((1, 2, 3), True) - X.amin((1, 2, 3), True)) * noise - base
        x = (base + torch.rand((1, 1, 1, 1), generator=draws) * way).requires_grad_()
        expected += torch.autograd.grad(model(x)[:, 2].sum(), x)[0] * way.detach() / 2
    torch.testing.assert_close(got, expected.sum(1, keepdim=True), rtol=1e-4, atol=1e-6)


def test_guided_grad_cam_equals_captum():
    captum = pytest.importorskip("captum.attr")
    model = network(nn.AvgPool2d(2))
    model[5] = nn.ReLU()
    expected = captum.GuidedGradCam(model, model[4]).attribute(X, target=3, interpolate_mode="bilinear")
    got = s.guided_grad_cam(model, X, 3, layers="4")
    torch.testing.assert_close(got, expected.sum(1, keepdim=True).detach(), rtol=1e-3, atol=1e-7)
