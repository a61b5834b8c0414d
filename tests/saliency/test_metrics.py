"""The metrics against loops by hand and against the libraries that have them."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency import metrics as m
from cv_attention.saliency.metrics._imputation import impute
from cv_attention.saliency.metrics.faithfulness import blur, ranks, reflected_gaussian

X = torch.randn(3, 3, 14, 12, generator=torch.Generator().manual_seed(1))
HEAT = torch.randn(3, 1, 14, 12, generator=torch.Generator().manual_seed(2))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU())
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3))) * 5


@pytest.mark.parametrize("chunk", [2, 64])
@pytest.mark.parametrize("name", ["deletion_auc", "insertion_auc"])
def test_curves_by_hand(name, chunk):
    model = Plain()
    classes = model(X).argmax(1)
    heat = HEAT.clone()
    heat[0, 0, :4] = 1.0  # many equal values
    got = getattr(m, name)(model, X, heat, step=25, chunk=chunk)
    kernel = torch.outer(reflected_gaussian(11, 5), reflected_gaussian(11, 5)).expand(3, 1, 11, 11)
    blurred = F.conv2d(X, kernel, padding=5, groups=3)
    for i in range(3):
        start, end = (X[i], torch.zeros_like(X[i])) if name == "deletion_auc" else (blurred[i], X[i])
        order = sorted(range(168), key=lambda p, i=i: -float(heat[i, 0].flatten()[p]))
        image, curve = start.clone(), []
        for k in range(8):  # 168 pixels at 25 a step: 7 steps
            for p in order[25 * (k - 1) : 25 * k] if k else []:
                image[:, p // 12, p % 12] = end[:, p // 12, p % 12]
            curve.append(float(model(image[None]).softmax(1)[0, classes[i]].detach()))
        torch.testing.assert_close(got.curve[i], torch.tensor(curve))
        area = sum((a + b) / 2 for a, b in pairwise(curve)) / 7
        assert float(got.auc[i]) == pytest.approx(area, rel=1e-4)
    assert got.curve.shape == (3, 8)


def test_the_blur_is_the_authors():
    ndimage = pytest.importorskip("scipy.ndimage")
    import numpy as np

    dot = np.zeros((11, 11))
    dot[5, 5] = 1
    kernel = torch.from_numpy(ndimage.gaussian_filter(dot, 5)).float()
    expected = F.conv2d(X, kernel.expand(3, 1, 11, 11), padding=5, groups=3)
    torch.testing.assert_close(blur(X), expected, rtol=1e-4, atol=1e-5)


def test_ranks_keep_the_order_of_equals():
    heat = torch.tensor([[[[1.0, 3.0, 1.0], [2.0, 3.0, 0.0]]]])
    assert ranks(heat).tolist() == [[[[3, 0, 4], [2, 1, 5]]]]


class Corner(nn.Module):
    """Class 1 is how bright the left upper quarter is, and nothing else."""

    def forward(self, x):
        quarter = x[:, :, : x.shape[2] // 2, : x.shape[3] // 2].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(quarter), 4 * quarter], 1)


def test_metrics_prefer_the_true_map():
    images = torch.ones(2, 3, 16, 16)
    true, false = torch.zeros(2, 1, 16, 16), torch.zeros(2, 1, 16, 16)
    true[:, :, :8, :8] = 1
    false[:, :, 8:, 8:] = 1
    assert (m.deletion_auc(Corner(), images, true).auc < m.deletion_auc(Corner(), images, false).auc - 0.1).all()
    assert (m.insertion_auc(Corner(), images, true).auc > m.insertion_auc(Corner(), images, false).auc).all()
    assert m.confidence_change(Corner(), images, true).drop.max() < 1e-6
    assert m.confidence_change(Corner(), images, false).drop.min() > 0.2

    assert m.infidelity(Corner(), images, true, 1).max() < 1e-3
    assert m.infidelity(Corner(), images, false, 1).min() > 0.001


@pytest.mark.filterwarnings("ignore")
def test_confidence_equals_pytorch_grad_cam():
    metric = pytest.importorskip("pytorch_grad_cam.metrics.cam_mult_image")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    model = Plain()
    heat = HEAT.relu()
    heat = (heat - heat.amin((2, 3), True)) / (heat.amax((2, 3), True) - heat.amin((2, 3), True))
    targets = [ClassifierOutputSoftmaxTarget(k) for k in (1, 2, 0)]
    got = m.confidence_change(model, X, HEAT, [1, 2, 0])
    drop = torch.from_numpy(metric.DropInConfidence()(X, heat[:, 0].numpy(), targets, model))
    before = model(X).softmax(1)[range(3), [1, 2, 0]].detach()
    torch.testing.assert_close(got.drop, drop / before, rtol=1e-3, atol=1e-5)
    increase = metric.IncreaseInConfidence()(X, heat[:, 0].numpy(), targets, model)
    assert got.increase.tolist() == [bool(v) for v in increase]
    assert got.increase.any()
    assert got.drop.max() > 0


@pytest.mark.filterwarnings("ignore")
def test_road_equals_pytorch_grad_cam():
    library = pytest.importorskip("pytorch_grad_cam.metrics.road")
    fill = library.NoisyLinearImputer(noise=0)
    for share in (0.2, 0.9):
        keep = torch.rand(3, 1, 14, 12, generator=torch.Generator().manual_seed(3)) > share
        expected = torch.stack([fill(x, k[0].float()) for x, k in zip(X, keep, strict=True)])
        torch.testing.assert_close(impute(X, keep), expected, rtol=0, atol=2e-4)
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = Plain()
    targets = [ClassifierOutputTarget(k) for k in (1, 2, 0)]
    got = m.road(model, X, HEAT, [1, 2, 0], percentiles=[20, 70], noise=0)
    torch.manual_seed(0)
    unnoisy = pytest.MonkeyPatch()
    unnoisy.setattr(torch, "randn_like", torch.zeros_like)
    try:
        expected = library.ROADCombined([20, 70])(X, HEAT[:, 0].numpy(), targets, model)
    finally:
        unnoisy.undo()
    torch.testing.assert_close(got.combined, torch.from_numpy(expected), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(got.combined, (got.least - got.most) / 2)


def test_infidelity_and_sensitivity():
    captum = pytest.importorskip("captum.metrics")
    model = Plain()
    got = m.infidelity(model, X, HEAT, [1, 2, 0], samples=5, noise=0.3, normalise=False, seed=7)
    draws = torch.Generator().manual_seed(7)
    noise = [0.3 * torch.randn(1, 1, 14, 12, generator=draws) for _ in range(5)]
    left = iter(noise)

    def perturb(inputs):
        i = next(left).expand(3, 3, 14, 12)
        return i, inputs - i

    heat = HEAT.expand(3, 3, 14, 12) / 3
    expected = captum.infidelity(
        model, perturb, X, heat, target=torch.tensor([1, 2, 0]), n_perturb_samples=5, max_examples_per_batch=3
    )
    torch.testing.assert_close(got, expected.detach(), rtol=1e-3, atol=1e-5)
    best = m.infidelity(model, X, HEAT, [1, 2, 0], samples=5, noise=0.3, seed=7)
    assert (best <= got).all()
    first = s.gradient(model, X, 1)
    draws = torch.Generator().manual_seed(3)
    worst = torch.zeros(3)
    for _ in range(4):
        shift = 0.02 * (2 * torch.rand(1, 3, 14, 12, generator=draws) - 1)
        change = (s.gradient(model, X + shift, 1) - first).flatten(1).norm(dim=1) / first.flatten(1).norm(dim=1)
        worst = torch.maximum(worst, change)
    torch.testing.assert_close(m.max_sensitivity(s.gradient, model, X, 1, samples=4, seed=3), worst)
    assert worst.max() > 0


def test_energy_pointing_game():
    heat = torch.zeros(3, 1, 4, 4)
    heat[0, 0, 0, 0], heat[0, 0, 3, 3], heat[0, 0, 1, 1] = 3.0, 1.0, -5.0
    heat[1, 0, 2, 2] = 1.0
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2.5, 2.5], [0, 0, 2, 1]])
    expected = torch.tensor([0.75, 0.25, 2 / 16])  # the last map says nothing: the box's share of the area
    torch.testing.assert_close(m.energy_pointing_game(heat, boxes), expected)
    masks = torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    masks[..., :2] = True
    torch.testing.assert_close(m.energy_pointing_game(heat, masks), torch.tensor([0.75, 0.0, 0.5]))
    with pytest.raises(ValueError, match="object 1 is empty"):
        m.energy_pointing_game(heat, torch.tensor([[0, 0, 2, 2], [9, 9, 12, 12], [0, 0, 1, 1]]))
    with pytest.raises(ValueError, match=r"got \(3, 1, 4, 4\) and \(2, 4\)"):
        m.energy_pointing_game(heat, boxes[:2])


def test_mosaics_and_the_grid_pointing_game():
    labels = torch.tensor([0, 0, 1, 2, 3, 3, 1])
    images = torch.arange(7.0)[:, None, None, None].expand(7, 3, 4, 6)
    drawn = m.mosaics(images, labels, 20, seed=1)
    assert drawn.images.shape == (20, 3, 8, 12)
    for picture, classes, sources in zip(*drawn, strict=True):
        assert sorted(classes.tolist()) == [0, 1, 2, 3]
        assert labels[sources].tolist() == classes.tolist()
        cells = [picture[0, :4, :6], picture[0, :4, 6:], picture[0, 4:, :6], picture[0, 4:, 6:]]
        assert [cell.unique().tolist() for cell in cells] == [[float(i)] for i in sources]
    assert len({tuple(row) for row in drawn.sources.tolist()}) > 5

    def knows(model, images, targets):  # images are numbered: looks where the target's images are
        found = [torch.isin(x[:1], (labels == k).nonzero().float()) for x, k in zip(images, targets, strict=True)]
        return torch.stack(found).float()

    assert m.grid_pointing_game(knows, None, drawn, batch_size=7).eq(1).all()
    shares = m.grid_pointing_game(s.random_map, None, drawn)
    assert shares.shape == (20, 4)
    torch.testing.assert_close(shares.sum(1), torch.ones(20))
    torch.testing.assert_close(m.grid_pointing_game(lambda *_: -torch.ones(7, 1, 8, 12), None, m.Mosaics(
        *(part[:7] for part in drawn))), torch.full((7, 4), 0.25))  # fmt: skip
    with pytest.raises(ValueError, match="needs 9 classes, got 4"):
        m.mosaics(images, labels, 1, grid=3)


def test_rank_correlation_equals_scipy():
    stats = pytest.importorskip("scipy.stats")
    a = (HEAT * 3).round()  # with many equal values
    b = a + torch.randn(3, 1, 14, 12, generator=torch.Generator().manual_seed(5))
    for absolute in (False, True):
        pairs = [(x.abs(), y.abs()) if absolute else (x, y) for x, y in zip(a, b, strict=True)]
        expected = [stats.spearmanr(x.flatten(), y.flatten())[0] for x, y in pairs]
        torch.testing.assert_close(
            m.rank_correlation(a, b, absolute=absolute), torch.tensor(expected, dtype=torch.float32)
        )
    assert m.rank_correlation(torch.ones(3, 1, 14, 12), b).tolist() == [0, 0, 0]


def test_structural_similarity_by_hand():
    import numpy as np

    a, b = HEAT, HEAT + 0.5 * torch.randn(3, 1, 14, 12, generator=torch.Generator().manual_seed(6))
    got = m.structural_similarity(a, b)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    w = np.outer(line, line) / line.sum() ** 2
    for i in range(3):
        x, y = (v[i, 0].double().numpy() for v in (a, b))
        x, y = ((v - v.min()) / (v.max() - v.min()) for v in (x, y))
        values = []
        for r in range(4):
            for c in range(2):
                p, q = x[r : r + 11, c : c + 11], y[r : r + 11, c : c + 11]
                mp, mq = (w * p).sum(), (w * q).sum()
                vp, vq, cov = (w * (p - mp) ** 2).sum(), (w * (q - mq) ** 2).sum(), (w * (p - mp) * (q - mq)).sum()
                top = (2 * mp * mq + 1e-4) * (2 * cov + 9e-4)
                values.append(top / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
        assert float(got[i]) == pytest.approx(np.mean(values), rel=1e-4)
    torch.testing.assert_close(m.structural_similarity(a, a * 3 + 1), torch.ones(3))


def test_structural_similarity_equals_torchmetrics_where_the_window_fits():
    """Torchmetrics averages over mirrored borders too; Wang et al. and scikit-image do not."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    from cv_attention.drawing import normalise

    other = HEAT.roll(2, 3) + 0.2 * HEAT.flip(2)
    expected = []
    for pair in zip(HEAT, other, strict=True):
        a, b = (torch.from_numpy(normalise(heat[0].numpy()))[None, None].double() for heat in pair)
        _, places = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
        expected.append(places[..., 5:-5, 5:-5].mean())
    got = m.structural_similarity(HEAT, other).double()
    torch.testing.assert_close(got, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_sanity_check():
    torch.manual_seed(0)
    model = nn.Sequential()
    model.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU())
    model.pool = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    model.fc = nn.Linear(128, 5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    results = m.cascading_randomisation(s.hires_cam, model, X, layers="stem")
    assert [r.part for r in results] == ["fc", "stem"]
    assert all(r.correlation.abs().max() < 0.9 for r in results)
    assert results[0].similarity.shape == (3,)
    same = m.cascading_randomisation(s.spectral_residual, model, X)
    assert all(r.correlation.min() > 0.999 and r.similarity.min() > 0.999 for r in same)  # it never saw the model
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    with pytest.raises(ValueError, match="no parts with parameters"):
        m.cascading_randomisation(s.gradient, Corner(), X)


def test_baselines():
    noise = s.random_map(None, X)
    assert noise.shape == (3, 1, 14, 12)
    assert torch.equal(noise[0], noise[2])
    assert 0.4 < float(noise.mean()) < 0.6
    centre = s.centre_bias(None, X, width=0.2)
    torch.testing.assert_close(centre[0, 0, 6:8, 5:7].min(), centre.max())
    assert centre[0, 0, 5, 5] < centre.max()
    torch.testing.assert_close(centre, centre.flip(2, 3))
    with pytest.raises(ValueError, match="width must be positive, got 0"):
        s.centre_bias(None, X, width=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.deletion_auc(Plain(), X, HEAT[:2]), r"heat must be maps \(3, 1, 14, 12\) .* got \(2, 1, 14, 12\)"),
        (lambda: m.deletion_auc(Plain(), X, HEAT * torch.nan), "heat must be finite"),
        (lambda: m.deletion_auc(Plain(), X, HEAT, step=0), "step must be positive, got 0"),
        (lambda: m.insertion_auc(Plain(), X, HEAT, 9), r"0\.\.4, got 9"),
        (lambda: m.road(Plain(), X, HEAT, percentiles=[0]), r"percentiles must be in \(0, 100\)"),
        (lambda: m.infidelity(Plain(), X, HEAT, noise=0), "got 50 and 0"),
        (lambda: m.max_sensitivity(s.gradient, Plain(), X, samples=0), "got 0 and 0.02"),
        (lambda: m.mosaics(X, [0, 1], 1), r"one entry per image \(3\), got shape \(2,\)"),
        (lambda: m.rank_correlation(X, X), "expected two batches of maps"),
        (lambda: m.structural_similarity(HEAT[..., :9], HEAT[..., :9]), "at least 11x11"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_road_adds_noise_to_removed_pixels_alone():
    class OnePixel(nn.Module):
        """Scores the pixel that the map finds least salient, which is kept where the most salient ones are removed."""

        def forward(self, images):
            score = images.flatten(2)[:, 0, int(HEAT[:1].argmin())]
            return torch.stack([score, -score], 1)

    got = m.road(OnePixel(), X[:1], HEAT[:1], [0], percentiles=[50], noise=5.0)
    assert got.most.item() == 0
    assert abs(got.least.item()) > 0.1
