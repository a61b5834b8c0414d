"""Sparseness, complexity, selectivity, ARCC, rank accuracy, masks and randomisation tests against plain rewrites."""

import math

import pytest
import torch
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency import metrics as m
from cv_attention.saliency.metrics.sanity import randomise

X = torch.randn(3, 3, 14, 12, generator=torch.Generator().manual_seed(1))
HEAT = torch.randn(3, 1, 14, 12, generator=torch.Generator().manual_seed(2))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU()), nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3))) * 5


def test_sparseness_and_complexity_by_hand():
    for one in HEAT:
        values = sorted(abs(float(v)) for v in one.flatten())
        n, total = len(values), sum(values)
        gini = sum(abs(a - b) for a in values for b in values) / (2 * n * total)
        entropy = -sum(v / total * math.log(v / total) for v in values)
        assert float(m.sparseness(one[None])) == pytest.approx(gini, abs=1e-5)
        assert float(m.complexity(one[None])) == pytest.approx(entropy, abs=1e-5)
    flat, dot = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    assert m.sparseness(dot).item() == m.complexity(dot).item() == 0
    dot[..., 2, 1] = -3
    assert m.sparseness(flat).item() == 0
    assert m.sparseness(dot).item() == pytest.approx(15 / 16)
    assert m.complexity(flat).item() == pytest.approx(math.log(16))
    assert m.complexity(dot).item() == 0
    with pytest.raises(ValueError, match="finite maps"):
        m.complexity(dot / 0)


def test_selectivity_by_hand():
    got = m.selectivity(Plain(), X, HEAT, 2, patch=5, value=0.1)
    four = m.selectivity(Plain(), X, HEAT, 2, patch=5, value=0.1, step=4)
    corners = [(y, x) for y in (0, 5, 10) for x in (0, 5, 10)]
    for i in range(3):
        order = sorted(corners, key=lambda c, i=i: -float(HEAT[i, 0, c[0] : c[0] + 5, c[1] : c[1] + 5].sum()))
        image, curve = X[i].clone(), []
        for y, x in [(99, 99), *order]:
            image[:, y : y + 5, x : x + 5] = 0.1
            curve.append(float(Plain()(image[None]).softmax(1)[0, 2].detach()))
        torch.testing.assert_close(got.curve[i], torch.tensor(curve))
        assert float(got.auc[i]) == pytest.approx((sum(curve) - (curve[0] + curve[-1]) / 2) / 9, rel=1e-4)
        torch.testing.assert_close(four.curve[i], torch.tensor([curve[0], curve[4], curve[8], curve[9]]))
    with pytest.raises(ValueError, match="step must be positive, got 0"):
        m.selectivity(Plain(), X, HEAT, 2, step=0)


def test_rank_accuracy_and_masks():
    masks = torch.rand(3, 1, 14, 12, generator=torch.Generator().manual_seed(3)) > 0.7
    for heat, mask, found in zip(HEAT, masks, m.relevance_rank_accuracy(HEAT, masks), strict=True):
        best = sorted(range(168), key=lambda p, heat=heat: -float(heat.flatten()[p]))[: int(mask.sum())]
        assert float(found) == pytest.approx(sum(bool(mask.flatten()[p]) for p in best) / len(best))
    boxes = torch.tensor([[2, 3, 9, 10], [0, 0, 12, 1], [5, 5, 6, 14]])
    drawn = torch.zeros(3, 1, 14, 12)
    for (x0, y0, x1, y1), mask in zip(boxes.tolist(), drawn, strict=True):
        mask[:, y0:y1, x0:x1] = 1
    for game in (m.pointing_game, m.relevance_rank_accuracy, m.energy_pointing_game):
        torch.testing.assert_close(game(HEAT, boxes), game(HEAT, drawn))
    for tolerance in (1, 4):
        assert m.pointing_game(HEAT, boxes, tolerance).tolist() == m.pointing_game(HEAT, drawn, tolerance).tolist()
    with pytest.raises(ValueError, match="object 0 is empty"):
        m.pointing_game(HEAT, torch.zeros_like(HEAT))
    with pytest.raises(ValueError, match="object 0 is empty"):
        m.relevance_rank_accuracy(HEAT, torch.zeros_like(HEAT))


@pytest.mark.filterwarnings("ignore")
def test_arcc_equals_pytorch_grad_cam(monkeypatch):
    library = pytest.importorskip("pytorch_grad_cam.metrics.arcc")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    model, classes = Plain(), [1, 2, 0]

    def scaled(images):
        heat = s.gradient(model, images, classes)
        heat = heat - heat.amin((2, 3), True)
        return heat / (heat.amax((2, 3), True) + 1e-7)

    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    measure = library.ARCC(lambda input_tensor, targets: scaled(input_tensor)[:, 0].numpy(), [20, 40, 60, 80])
    targets = [ClassifierOutputSoftmaxTarget(k) for k in classes]
    expected = torch.from_numpy(measure(X, scaled(X)[:, 0].numpy(), targets, model))
    unnoisy = lambda *args, **options: m.road(*args, **{**options, "noise": 0})  # noqa: E731
    monkeypatch.setattr("cv_attention.saliency.metrics.composite.road", unnoisy)
    got = m.arcc(s.gradient, model, X, classes)
    torch.testing.assert_close(got.arcc, expected.float(), rtol=2e-2, atol=1e-4)
    given = m.arcc(s.gradient, model, X, classes, heat=s.gradient(model, X, classes))
    torch.testing.assert_close(given.arcc, got.arcc)


def randomised_from_the_end(model):
    randomise(model.fc, 0)
    yield model
    randomise(model.body, 1)
    yield model


def test_smooth_randomisation_by_hand():
    got = m.smooth_randomisation(s.gradient, Plain(), X, 2, samples=3, noise=0.2)

    def smooth(model):
        draws, total = torch.Generator().manual_seed(0), 0
        for _ in range(3):
            noise = torch.randn((1, *X.shape[1:]), generator=draws)
            spread = 0.2 * (X.amax((1, 2, 3), True) - X.amin((1, 2, 3), True))
            total = total + s.gradient(model, X + spread * noise, 2) / 3
        return total

    first = smooth(Plain())
    expected = [m.rank_correlation(first, smooth(model)) for model in randomised_from_the_end(Plain())]
    torch.testing.assert_close(got, torch.stack(expected))
    centre = m.smooth_randomisation(s.centre_bias, Plain(), X, 2, samples=2)
    torch.testing.assert_close(centre, torch.ones(2, 3))


def test_efficient_randomisation_by_hand():
    import numpy as np

    got = m.efficient_randomisation(s.gradient, Plain(), X, 2, bins=10)
    *_, last = randomised_from_the_end(Plain())
    for i in range(3):
        entropies = []
        for model in (Plain(), last):
            counts, _ = np.histogram(s.gradient(model, X, 2)[i].numpy(), bins=10)
            shares = counts[counts > 0] / counts.sum()
            entropies.append(-(shares * np.log2(shares)).sum())
        assert float(got.rise[i]) == pytest.approx((entropies[1] - entropies[0]) / entropies[0], abs=0.05)
    assert m.efficient_randomisation(lambda _, x, t: x[:, :1] * 0, Plain(), X, 2).rise.tolist() == [0, 0, 0]
