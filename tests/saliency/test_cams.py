"""The CAM family against slow rewrites of the equations, and against pytorch-grad-cam after its post-processing."""

import warnings

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from cv_attention import saliency as s
from tests.quick import quick_first

X = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
CLASSES = [3, 7]


def network():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.uniform_(module.weight, 0.7, 1.4)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


class Curved(nn.Module):
    """Two layers after the last feature map, so that the Hessian is not zero."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU())
        self.body = nn.Conv2d(6, 8, 3, 2)
        self.hidden = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(torch.tanh(3 * self.hidden(self.body(self.stem(x)).mean((2, 3)))))


def seen(model, layer, image, score):
    """A (C, h, w), g (C, h, w) of one image, and the function from A's gradient on."""
    kept = {}
    handle = dict(model.named_modules())[layer].register_forward_hook(lambda m, _, out: kept.update(a=out) or out)
    logits = model(image[None].clone().requires_grad_())[0]
    handle.remove()
    g = torch.autograd.grad(score(logits), kept["a"], create_graph=True)[0]
    return kept["a"], g


def plus_plus(a, g):
    heat = torch.zeros(a.shape[1:])
    for A, d in zip(a, g, strict=True):
        alpha = d**2 / (2 * d**2 + A.sum() * d**3 + 1e-6)
        alpha[d == 0] = 0
        heat += (alpha * d.clamp(min=0)).sum() * A
    return heat.clamp(min=0)


def xgrad(a, g):
    return sum((d * A).sum() / (A.sum() + 1e-7) * A for A, d in zip(a, g, strict=True)).clamp(min=0)


def eigen(features):
    rows = features.flatten(1).T
    rows = rows - rows.mean(0)
    projected = rows @ torch.linalg.svd(rows, full_matrices=True)[2][0]
    if projected.min().abs() > projected.max().abs():
        projected = -projected
    return projected.reshape(features.shape[1:])


RULES = {
    "grad_cam_plus_plus": plus_plus,
    "xgrad_cam": xgrad,
    "layer_cam": lambda a, g: (g.clamp(min=0) * a).sum(0).clamp(min=0),
    "hires_cam": lambda a, g: (g * a).sum(0),
    "eigen_cam": lambda a, g: eigen(a),
    "eigen_grad_cam": lambda a, g: eigen(a * g),
}


@pytest.mark.parametrize("method", RULES)
@pytest.mark.parametrize("layer", quick_first(["layer3", "layer1"]))
def test_equals_the_equation(method, layer):
    model = network()
    got = getattr(s, method)(model, X, CLASSES, layers=layer, upsample=False)
    for i, k in enumerate(CLASSES):
        a, g = seen(model, layer, X[i], lambda z, k=k: z[k])
        expected = RULES[method](a[0].detach(), g[0].detach())
        torch.testing.assert_close(got[i, 0], expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        assert expected.abs().max() > 0


def test_shapley_cam_uses_the_curvature():
    model, images = Curved(), X[:, :, :24, :20]
    got = s.shapley_cam(model, images, CLASSES, layers="body", upsample=False)
    for i, k in enumerate(CLASSES):
        a, g = seen(model, "body", images[i], lambda z, k=k: z[k])
        # the Hessian in full: row by row
        rows = [torch.autograd.grad(v, a, retain_graph=True)[0].flatten() for v in g.flatten()]
        product = (torch.stack(rows) @ a.flatten()).reshape(a.shape)
        w = (g - product / 2).mean((2, 3), keepdim=True)
        torch.testing.assert_close(got[i], (w * a).sum(1).clamp(min=0).detach(), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(got, s.grad_cam(model, images, CLASSES, layers="body", upsample=False))
    linear = network()
    torch.testing.assert_close(s.shapley_cam(linear, X, 1), s.grad_cam(linear, X, 1))


def test_finer_cam_by_hand():
    model = network()
    z = model(X).detach()
    expected = []
    for i, k in enumerate(CLASSES):
        near = sorted((c for c in range(10) if c != k), key=lambda c: abs(float(z[i, c] - z[i, k])))[:2]

        def score(logits, near=near, k=k):
            p = logits.softmax(0)
            return sum(p[c] * (logits[k] - 0.6 * logits[c]) for c in near) / (sum(p[c] for c in near) + 1e-9)

        a, g = seen(model, "layer4", X[i], score)
        expected.append((g.mean((2, 3), keepdim=True) * a).sum(1).clamp(min=0).detach())
    got = s.finer_cam(model, X, CLASSES, alpha=0.6, others=2, upsample=False)
    torch.testing.assert_close(got, torch.stack(expected), rtol=1e-4, atol=2e-6)
    with pytest.raises(ValueError, match="class indices as targets"):
        s.finer_cam(model, X, lambda z: z[:, 0])
    with pytest.raises(ValueError, match="others must be at least 1, got 0"):
        s.finer_cam(model, X, others=0)


@pytest.mark.parametrize("distance", [20.0, 200.0])
def test_finer_cam_of_a_class_with_vanishing_probability(distance):
    """Its closest classes may be as improbable: their weights are ratios that do not vanish with them."""
    model = network()
    with torch.no_grad():
        model.fc.bias[1:3] -= distance  # two classes close to each other, and far from the others
    expected = s.grad_cam(model, X, 1, upsample=False)
    assert float(expected.max()) > 0
    torch.testing.assert_close(s.finer_cam(model, X, 1, alpha=0, others=1, upsample=False), expected)


def test_cam_is_the_logit_spread_over_positions():
    model = network()
    heat = s.cam(model, X, CLASSES, upsample=False)
    logits = model(X)[range(2), CLASSES]
    torch.testing.assert_close(heat.mean((1, 2, 3)) + model.fc.bias[CLASSES], logits, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        positions = heat.shape[2] * heat.shape[3]
        torch.testing.assert_close(heat / positions, s.hires_cam(model, X, CLASSES, upsample=False))
    with pytest.raises(ValueError, match="more than a mean over positions"):
        s.cam(Gated(), X, 0)
    with pytest.raises(ValueError, match="no linear layer from 8 channels to 10 classes"):
        s.cam(Gated(), X, 0, layers="stem")
    with pytest.raises(ValueError, match="class indices as targets"):
        s.cam(model, X, lambda z: z[:, 0])
    with pytest.raises(ValueError, match="one layer, got 2"):
        s.cam(model, X, 0, layers="layer[34]")


class Gated(nn.Module):
    """A head that squares before it classifies."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.body, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3), nn.Linear(12, 10)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)) ** 2 * 9)


def test_smooth_grad_cam_plus_plus_averages_the_derivatives():
    model = network()
    got = s.smooth_grad_cam_plus_plus(model, X, CLASSES, layers="layer3", upsample=False, samples=3, noise=0.2, seed=5)
    noise = torch.Generator().manual_seed(5)
    copies = [torch.randn(1, 3, 64, 48, generator=noise)[0] for _ in range(3)]
    for i, k in enumerate(CLASSES):
        noisy = [X[i] + 0.2 * (X[i].max() - X[i].min()) * n for n in copies]
        pairs = [seen(model, "layer3", image, lambda z, k=k: z[k]) for image in noisy]
        a = sum(p[0][0].detach() for p in pairs) / 3
        d1, d2, d3 = (sum(p[1][0].detach() ** power for p in pairs) / 3 for power in (1, 2, 3))
        alpha = d2 / (2 * d2 + a.sum((1, 2))[:, None, None] * d3 + 1e-6)
        expected = ((alpha * d1.clamp(min=0)).sum((1, 2))[:, None, None] * a).sum(0).clamp(min=0)
        torch.testing.assert_close(got[i, 0], expected, rtol=1e-3, atol=1e-4 * float(expected.max()))
    still = s.smooth_grad_cam_plus_plus(model, X, CLASSES, samples=2, noise=0)
    torch.testing.assert_close(still, s.grad_cam_plus_plus(model, X, CLASSES), rtol=1e-4, atol=1e-6)


def test_full_grad_is_complete_before_it_is_rescaled():
    """The shares of input and biases add up to the logit; that fixes what is counted."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 6, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4, bias=False),
    ).eval()  # fmt: skip
    for values in (model[1].running_mean, model[1].bias, model[1].weight):
        nn.init.normal_(values)
    nn.init.uniform_(model[1].running_var, 0.5, 1.5)
    outputs = {}
    for i in (0, 1, 3):
        model[i].register_forward_hook(lambda m, _, out, i=i: outputs.update({i: out}))
    x = X[:1].clone().requires_grad_()
    score = model(x)[0, 2]
    grads = torch.autograd.grad(score, [x, outputs[0], outputs[1], outputs[3]])
    b = model[1].bias - model[1].running_mean * model[1].weight / (model[1].running_var + model[1].eps).sqrt()
    biases = [x, model[0].bias[:, None, None], b[:, None, None], model[3].bias[:, None, None]]
    shares = [g * bias for g, bias in zip(grads, biases, strict=True)]
    torch.testing.assert_close(sum(share.sum() for share in shares), score)
    expected = 0
    for share in shares:
        share = share.abs()
        share = (share - share.min()) / (share.max() - share.min() + 1e-7)
        expected = expected + F.interpolate(share, X.shape[2:], mode="bilinear").sum(1, keepdim=True)
    torch.testing.assert_close(s.full_grad(model, X[:1], 2), expected.detach(), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="no convolution or BatchNorm"):
        s.full_grad(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Flatten()), X)


def peer(name, model, layers, **attributes):
    """What pytorch-grad-cam gives, (B, 1, H, W)."""
    library = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    modules = dict(model.named_modules())
    explainer = getattr(library, name)(model, [modules[layer] for layer in layers])
    for attribute, value in attributes.items():
        setattr(explainer, attribute, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heat = explainer(X.clone(), [ClassifierOutputTarget(k) for k in CLASSES])
    return torch.from_numpy(heat)[:, None]


def as_peer(heat):
    """What pytorch-grad-cam does at the end: the positive part, scaled from its minimum and maximum."""
    heat = heat.relu()
    heat = heat - heat.amin((2, 3), keepdim=True)
    return heat / (heat.amax((2, 3), keepdim=True) + 1e-7)


def as_peer_resized(heat):
    return as_peer(F.interpolate(as_peer(heat), X.shape[2:], mode="bilinear"))


PEERS = {
    "GradCAM": s.grad_cam,
    "GradCAMPlusPlus": s.grad_cam_plus_plus,
    "XGradCAM": s.xgrad_cam,
    "LayerCAM": s.layer_cam,
    "HiResCAM": s.hires_cam,
    "ShapleyCAM": s.shapley_cam,
    "EigenCAM": s.eigen_cam,
    "EigenGradCAM": s.eigen_grad_cam,
}
COMPARED = [
    pytest.param(
        *(name, layers),
        id="-".join([name, *layers]),
        marks=() if layers == ["layer4"] or name == "GradCAM" else pytest.mark.long,
    )
    for name in PEERS
    for layers in (["layer4"], ["layer2"], ["layer3", "layer4"])
    # Further in front the curvature of many ReLUs is zero: nothing is compared that Grad-CAM does not compare.
    if not (name == "ShapleyCAM" and layers != ["layer4"])
    # Each layer's sign is whatever the SVD gave.
    if not ("Eigen" in name and len(layers) > 1)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "layers"), COMPARED)
def test_equals_pytorch_grad_cam(name, layers):
    model = network()
    expected = peer(name, model, layers)
    single = [PEERS[name](network(), X, CLASSES, layers=layer, upsample=False) for layer in layers]
    got = as_peer(torch.stack([F.interpolate(as_peer(h), X.shape[2:], mode="bilinear") for h in single]).mean(0))
    if "Eigen" in name:  # there the sign is whatever the SVD gave: either way round
        other = as_peer(torch.stack([F.interpolate(as_peer(-h), X.shape[2:], mode="bilinear") for h in single]).mean(0))
        got = torch.where(((other - expected).abs().amax((1, 2, 3), True) < 1e-3), other, got)
    else:
        fused = as_peer(PEERS[name](network(), X, CLASSES, layers=layers))
        if len(layers) > 1:
            torch.testing.assert_close(fused, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.01


@pytest.mark.filterwarnings("ignore")
def test_full_grad_and_finer_cam_equal_pytorch_grad_cam():
    library = pytest.importorskip("pytorch_grad_cam")
    model = network()
    expected = peer("FullGrad", model, [])
    torch.testing.assert_close(
        as_peer(s.full_grad(network(), X, CLASSES, rescale="channel")), expected, rtol=0, atol=1e-4
    )
    expected = torch.from_numpy(library.FinerCAM(model, [model.layer4])(X.clone()))[:, None]
    torch.testing.assert_close(as_peer_resized(s.finer_cam(network(), X, upsample=False)), expected, rtol=0, atol=1e-5)


def test_smooth_grad_cam_plus_plus_explains_one_prediction_in_all_copies():
    model, options = network(), {"samples": 6, "noise": 0.8, "seed": 3}
    with torch.no_grad():
        model.fc.bias -= model(X).mean(0)  # no class is far ahead of the others
    noise = 0.8 * (X.amax() - X.amin()) * torch.randn(X.shape, generator=torch.Generator().manual_seed(0))
    assert (model(X + noise).argmax(1) != model(X).argmax(1)).any()  # so that it makes a difference
    expected = s.smooth_grad_cam_plus_plus(model, X, model(X).argmax(1), **options)
    torch.testing.assert_close(s.smooth_grad_cam_plus_plus(model, X, **options), expected)
