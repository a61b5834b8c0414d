"""Gradient methods against captum and against sums by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s

X = torch.randn(3, 3, 17, 16, generator=torch.Generator().manual_seed(1))
CLASSES = torch.tensor([1, 0, 4])


class Plain(nn.Module):
    """ReLUs as modules, in place, and as functions; one module twice."""

    def __init__(self, reused=True):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.relu, self.other, self.fc = nn.ReLU(inplace=reused), nn.ReLU(), nn.Linear(8, 5)
        self.reused = reused

    def forward(self, x):
        x = self.relu(self.a(x))
        y = self.b(x)
        x = (self.relu(y) if self.reused else self.other(y)) + x
        return self.fc((F.relu(x - 0.1) if self.reused else x).mean((2, 3)))


def grad(model, x, classes=CLASSES):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[range(len(x)), classes].sum(), x)[0]


def test_plain_gradients_equal_captum():
    captum = pytest.importorskip("captum.attr")
    model = Plain()
    x = X.clone().requires_grad_()
    expected = captum.Saliency(model).attribute(x, CLASSES)
    torch.testing.assert_close(s.gradient(model, X, CLASSES), expected.amax(1, keepdim=True))
    torch.testing.assert_close(s.gradient(model, X, CLASSES, channels="sum_abs"), expected.sum(1, keepdim=True))
    expected = captum.InputXGradient(model).attribute(x, CLASSES).sum(1, keepdim=True)
    torch.testing.assert_close(s.input_x_gradient(model, X, CLASSES), expected.detach())


def test_integrated_gradients_equal_captum_and_are_complete():
    captum = pytest.importorskip("captum.attr")
    model = Plain()
    base = torch.full((1, 3, 17, 16), 0.3)
    expected = captum.IntegratedGradients(model).attribute(X, base, CLASSES, n_steps=20, method="gausslegendre")
    got = s.integrated_gradients(model, X, CLASSES, baseline=0.3, steps=20)
    torch.testing.assert_close(got, expected.float().sum(1, keepdim=True), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(s.integrated_gradients(model, X, CLASSES, baseline=base[0], steps=20), got)
    fine = s.integrated_gradients(model, X, CLASSES, steps=100).sum((1, 2, 3))
    change = (model(X) - model(torch.zeros_like(X)))[range(3), CLASSES].detach()
    torch.testing.assert_close(fine, change, rtol=0, atol=0.01 * float(change.abs().max()))


def test_guided_backprop_equals_captum():
    captum = pytest.importorskip("captum.attr")
    import warnings

    model = Plain(reused=False)  # captum neither sees functions nor takes a module twice
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = captum.GuidedBackprop(model).attribute(X.clone().requires_grad_(), CLASSES)
    got = s.guided_backprop(Plain(reused=False), X, CLASSES, channels="sum")
    torch.testing.assert_close(got, expected.detach().sum(1, keepdim=True))
    assert not torch.allclose(got, s.gradient(model, X, CLASSES, channels="sum"))


def test_guided_backprop_sees_every_relu():
    model = Plain()

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            return g.clamp(min=0) * (ctx.saved_tensors[0] > 0)

    x = X.clone().requires_grad_()
    h = Rule.apply(model.a(x))
    h = Rule.apply(Rule.apply(model.b(h)) + h - 0.1)
    expected = torch.autograd.grad(model.fc(h.mean((2, 3)))[range(3), CLASSES].sum(), x)[0]
    torch.testing.assert_close(s.guided_backprop(model, X, CLASSES, channels="sum"), expected.sum(1, keepdim=True))
    with pytest.raises(ValueError, match="Sequential runs no ReLU"):
        s.guided_backprop(nn.Sequential(nn.Flatten(), nn.Linear(816, 5)), X)


@pytest.mark.parametrize(
    "limited",
    [nn.ReLU6(), nn.ReLU6(inplace=True), F.relu6, lambda x: F.hardtanh(x, 0.0, 6.0), nn.Hardtanh(0, 6),
     lambda x: F.hardtanh(x, min_val=0.0, max_val=6.0)],
)  # fmt: skip
def test_guided_backprop_through_relu6(limited):
    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(0, 6)

        @staticmethod
        def backward(ctx, g):
            [x] = ctx.saved_tensors
            return g.clamp(min=0) * ((x > 0) & (x < 6))

    class Limited(nn.Module):
        def __init__(self, act):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.fc, self.act = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 5), act

        def forward(self, x):
            x = self.act(self.b(self.act(8 * self.a(x))))
            return self.fc(x.mean((2, 3)))

    x = X.clone().requires_grad_()
    expected = torch.autograd.grad(Limited(Rule.apply)(x)[range(3), CLASSES].sum(), x)[0]
    got = s.guided_backprop(Limited(limited), X, CLASSES, channels="sum")
    torch.testing.assert_close(got, expected.sum(1, keepdim=True))
    with pytest.raises(ValueError, match="runs no ReLU"):
        s.guided_backprop(Limited(F.hardtanh), X, CLASSES)


def noisy(seed, samples, share):
    noise = torch.Generator().manual_seed(seed)
    spread = share * torch.stack([x.max() - x.min() for x in X])[:, None, None, None]
    return [X + spread * torch.randn(1, 3, 17, 16, generator=noise) for _ in range(samples)]


def test_noise_is_averaged():
    model = Plain()
    grads = torch.stack([grad(model, x) for x in noisy(3, 6, 0.2)])
    options = {"samples": 6, "noise": 0.2, "seed": 3}
    got = s.smooth_grad(model, X, CLASSES, channels="sum", **options)
    torch.testing.assert_close(got, grads.mean(0).sum(1, keepdim=True))
    got = s.var_grad(model, X, CLASSES, **options)
    torch.testing.assert_close(got, grads.var(0, unbiased=False).sum(1, keepdim=True), rtol=1e-3, atol=1e-9)
    torch.testing.assert_close(
        s.smooth_grad(model, X[1:2], 0, samples=4), s.smooth_grad(model, X, 0, samples=4)[1:2], rtol=1e-4, atol=1e-7
    )  # an image's map does not depend on its neighbours


def test_expected_gradients():
    model = Plain()
    one = torch.full((1, 3, 17, 16), 0.3)
    got = s.expected_gradients(model, X, CLASSES, baselines=one, samples=2000 // 10, seed=1)
    exact = s.integrated_gradients(model, X, CLASSES, baseline=0.3, steps=50)
    assert (got - exact).abs().max() < 0.15 * exact.abs().max()  # one baseline: a Monte Carlo of the same integral
    draws = torch.Generator().manual_seed(2)
    expected = 0
    base = torch.randn(4, 3, 17, 16, generator=torch.Generator().manual_seed(9))
    for _ in range(3):
        start = base[int(torch.randint(4, (), generator=draws))]
        share = torch.rand((1, 1, 1, 1), generator=draws)
        expected = expected + (X - start) * grad(model, start + share * (X - start)) / 3
    got = s.expected_gradients(model, X, CLASSES, baselines=base, samples=3, seed=2)
    torch.testing.assert_close(got, expected.sum(1, keepdim=True))
    assert s.expected_gradients(model, X, 1, samples=2).isfinite().all()


@pytest.mark.parametrize("name", ["smooth_grad", "var_grad", "integrated_gradients", "expected_gradients"])
def test_several_steps_share_a_forward(name):
    """As many as fit into 16 images or `batch_size`; the map is the same."""
    model, sizes = Plain(), []
    count = {"steps" if name == "integrated_gradients" else "samples": 7}
    model.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    alone = s.METHODS[name](model, X, CLASSES, batch_size=3, **count)
    assert sizes == [3] * 7
    sizes.clear()
    together = s.METHODS[name](model, X, CLASSES, **count)
    assert sizes == [15, 6]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: s.gradient(m, X, channels="mean"), "'max_abs', 'sum' or 'sum_abs', got 'mean'"),
        (lambda m: s.smooth_grad(m, X, samples=0), "samples=0"),
        (lambda m: s.smooth_grad(m, X, noise=-1.0), "noise=-1.0"),
        (lambda m: s.integrated_gradients(m, X, steps=0), "steps must be positive, got 0"),
        (lambda m: s.integrated_gradients(m, X, baseline=torch.zeros(2, 5)), r"got \(2, 5\)"),
        (lambda m: s.expected_gradients(m, X, samples=0), "got 0"),
        (lambda m: s.expected_gradients(m, X, baselines=X[:, :1]), r"\(N, 3, 17, 16\), got \(3, 1, 17, 16\)"),
        (lambda m: s.gradient(m, X, lambda z: z.sum(1).detach()), "do not depend on the images"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(Plain())


class Frozen(nn.Module):
    """A head on features that are detached, or computed without gradients."""

    def __init__(self, how):
        super().__init__()
        self.how, self.conv, self.fc = how, nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        if self.how == "detached":
            return self.fc(self.conv(x).mean((2, 3)).detach())
        with torch.no_grad():
            features = self.conv(x).relu().mean((2, 3))
        return self.fc(features)


@pytest.mark.parametrize("how", ["detached", "no_grad"])
@pytest.mark.parametrize(
    "name", ["gradient", "integrated_gradients", "smooth_grad", "lrp", "deep_lift", "extremal_perturbation"]
)
def test_a_score_without_gradient_is_an_error(name, how):
    with pytest.raises(ValueError, match="target scores of Frozen do not depend on the images by any gradient"):
        s.METHODS[name](Frozen(how), X, 1)
