"""Feature ablation against captum; KernelSHAP against Shapley values by their definition, and captum's."""

import math
from itertools import permutations

import pytest
import torch
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.methods.perturbation.kernel_shap import coalitions, solve

X = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(1))
SEGMENTS = torch.tensor([[0, 0, 3, 3, 3, 9, 9, 9]] * 3 + [[7, 7, 7, 3, 3, 3, 9, 9]] * 3)[None, None]  # with gaps


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(self.conv(x).relu().amax((2, 3)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("chunk", [1, 64])
def test_feature_ablation_equals_captum(chunk):
    captum = pytest.importorskip("captum.attr")
    order = SEGMENTS.unique(return_inverse=True)[1]
    expected = captum.FeatureAblation(Net()).attribute(X, 0.2, target=3, feature_mask=order.expand_as(X))
    got = s.feature_ablation(Net(), X, 3, segments=SEGMENTS, value=0.2, batch_size=chunk)
    torch.testing.assert_close(got, expected[:, :1], rtol=1e-4, atol=1e-6)
    cells = (torch.arange(6)[:, None] // 3 * 2 + torch.arange(8) // 4)[None, None]
    expected = captum.FeatureAblation(Net()).attribute(X, target=3, feature_mask=cells.expand_as(X))
    torch.testing.assert_close(s.feature_ablation(Net(), X, 3, cells=2), expected[:, :1], rtol=1e-4, atol=1e-6)


def shapley(model, image, labels, target):
    """The mean change of the score over all orders in which segments appear."""
    parts = labels.unique()
    total = dict.fromkeys(parts.tolist(), 0.0)

    @torch.no_grad()
    def score(shown):
        mask = torch.isin(labels, torch.tensor(shown or [-1]))
        return float(model((image * mask)[None])[0, target])

    for order in permutations(parts.tolist()):
        for k, part in enumerate(order):
            total[part] += (score(list(order[: k + 1])) - score(list(order[:k]))) / math.factorial(len(order))
    return torch.tensor([[total[int(label)] for label in row] for row in labels])


def test_all_sets_give_shapley_values():
    got = s.kernel_shap(Net(), X, s.Several(3, 1), segments=SEGMENTS, samples=14)
    for i in range(2):
        for column, target in enumerate((3, 1)):
            expected = shapley(Net(), X[i], SEGMENTS[0, 0], target)
            torch.testing.assert_close(got[i, column], expected, rtol=1e-3, atol=1e-5)


def test_each_image_may_have_segments_of_its_own():
    own = torch.cat([SEGMENTS, torch.arange(48).view(1, 1, 6, 8) // 24])
    got = s.kernel_shap(Net(), X, 2, segments=own, samples=14)
    torch.testing.assert_close(got[:1], s.kernel_shap(Net(), X[:1], 2, segments=own[:1], samples=14))
    torch.testing.assert_close(got[1:], s.kernel_shap(Net(), X[1:], 2, segments=own[1:], samples=14))


def test_draws_approach_shapley_values():
    weights = torch.randn(12, generator=torch.Generator().manual_seed(3)).double()
    pairs = torch.randn(12, 12, generator=torch.Generator().manual_seed(4)).double().triu(1) / 4
    exact = weights + (pairs + pairs.T).sum(1) / 2  # of a sum of weights and of pairs
    shown, kernel = coalitions(12, 1500, Source(0))
    assert shown.shape == (1500, 12)
    z = shown.double()
    changes = z @ weights + torch.einsum("ni,ij,nj->n", z, pairs, z)
    found = solve(shown, kernel, changes[:, None, None], (weights.sum() + pairs.sum()).view(1, 1))[0, 0]
    assert (found - exact).abs().max() < 0.15 < exact.abs().max()
    torch.testing.assert_close(found.sum(), exact.sum())


@pytest.mark.filterwarnings("ignore")
def test_kernel_shap_equals_captum_for_a_linear_model():
    captum = pytest.importorskip("captum.attr")
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 4)).eval()
    labels = SEGMENTS.unique(return_inverse=True)[1]
    torch.manual_seed(0)
    expected = captum.KernelShap(model).attribute(X[:1], target=3, feature_mask=labels.expand_as(X[:1]), n_samples=200)
    got = s.kernel_shap(model, X[:1], 3, segments=SEGMENTS, samples=10)
    torch.testing.assert_close(got, expected[:, :1], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("method", [s.feature_ablation, s.kernel_shap, s.lime])
def test_mistakes(method):
    with pytest.raises(ValueError, match="segments must be integers"):
        method(Net(), X, segments=torch.zeros(1, 1, 3, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="cells"):
        method(Net(), X, cells=0)
