"""LIME against what is known, against captum called by hand, and without captum."""

import sys

import pytest
import torch
from torch import nn

from cv_attention import saliency as s

pytest.importorskip("captum")
X = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(1)) + 1


class Quarters(nn.Module):
    """The probability of class 1 is linear in how much of each quarter is shown."""

    weights = torch.tensor([[0.4, 0.0], [0.1, -0.2]])

    def forward(self, x):
        shown = (x != 0).float().mean(1).unflatten(1, (2, 4)).unflatten(3, (2, 6)).mean((2, 4))
        p = 0.3 + (shown * self.weights).sum((1, 2))
        return torch.stack([torch.log1p(-p), torch.log(p)], 1)


def test_finds_the_weights_of_a_linear_probability():
    heat = s.lime(Quarters(), X, 1, cells=2, samples=200, alpha=1e-6)
    expected = Quarters.weights.repeat_interleave(4, 0).repeat_interleave(6, 1)
    torch.testing.assert_close(heat, expected.expand(2, 1, -1, -1), rtol=0, atol=1e-4)
    both = s.lime(Quarters(), X, s.Several(0, 1), cells=2, samples=200, alpha=1e-6)
    torch.testing.assert_close(both, torch.cat([-heat, heat], 1), rtol=0, atol=1e-4)


def test_segments():
    halves = torch.zeros(1, 1, 8, 12, dtype=torch.int64)
    halves[..., 6:] = 7  # numbers may have gaps
    heat = s.lime(Quarters(), X, 1, segments=halves, samples=50, alpha=1e-6)
    torch.testing.assert_close(heat[0, 0, 0, [0, -1]], torch.tensor([0.5, -0.2]), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        s.lime(Quarters(), X, 1, segments=halves.expand(2, -1, -1, -1), samples=50, alpha=1e-6), heat
    )
    with pytest.raises(ValueError, match=r"integers \(1 or 2, 1, 8, 12\), got torch.float32 \(1, 1, 8, 12\)"):
        s.lime(Quarters(), X, 1, segments=halves.float())
    with pytest.raises(ValueError, match="got 0, 500"):
        s.lime(Quarters(), X, 1, cells=0)


def test_equals_ridge_regression_by_hand():
    from sklearn.linear_model import Ridge

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    got = s.lime(model, X, [2, 3], cells=4, samples=30, value=0.5, width=0.4, alpha=0.01, seed=3, batch_size=7)
    rows = torch.arange(8) // 2
    columns = torch.arange(12) // 3
    segments = rows[:, None] * 4 + columns
    for image, k in ((0, 2), (1, 3)):
        draws = torch.Generator().manual_seed(3)
        shown = torch.stack([(torch.rand(1, 16, generator=draws) < 0.5)[0] for _ in range(30)])
        p = [model(torch.where(on[segments], X[image], 0.5)[None]).softmax(1)[0, k].item() for on in shown]
        distance = 1 - torch.nn.functional.cosine_similarity(shown.float(), torch.ones(30, 16))
        weights = torch.exp(-(distance**2) / 0.4**2).sqrt()
        ridge = Ridge(alpha=0.01).fit(shown.float().numpy(), p, sample_weight=weights.numpy())
        expected = torch.tensor(ridge.coef_)[segments]
        torch.testing.assert_close(got[image, 0], expected.float(), rtol=1e-3, atol=1e-6)


def test_without_captum(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"lime needs captum: pip \(or uv pip\) install 'cv_attention\[captum\]'"
    ):
        s.lime(Quarters(), X, 1)
