"""Layer-wise relevance propagation against its equations written plainly, and against captum and zennit."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cv_attention as cva
from cv_attention import saliency as s
from cv_attention.saliency import relevance_rules as rules
from tests.quick import quick_only

X = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(1)).double()
BOX = rules.ZBox(-4.0, 4.0)
RULES = {
    "epsilon": rules.Epsilon(0.1),
    "gamma": rules.Gamma(0.3),
    "z_plus": rules.AlphaBeta(1, 0),
    "alpha_beta": rules.AlphaBeta(2, 1),
    "w_square": rules.WSquare(),
    "flat": rules.Flat(),
    "box": BOX,
}


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draws statistics, biases and scales, which are 0 and 1 in a new network."""
    torch.manual_seed(seed)
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() == 1:
                nn.init.uniform_(parameter, *((-0.9, 1.2) if name == "weight" else (-0.3, 0.3)))
            elif not bool(parameter.any()):
                nn.init.normal_(parameter, 0, 0.1)
    return model.eval().double()


def network() -> nn.Sequential:
    return randomised(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1, bias=True), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
            nn.Conv2d(6, 4, 3, groups=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5),
        )
    )  # fmt: skip


def divided(rule, x, weight, bias, relevance):
    """The rules, contribution by contribution, for a matrix `weight` (outputs, inputs)."""
    sign = lambda v: torch.where(v < 0, -1.0, 1.0)  # noqa: E731
    z = x * weight
    total, eps = z.sum(1) + bias, 1e-6
    if isinstance(rule, rules.Epsilon):
        return (z * (relevance / (total + rule.epsilon * sign(total)))[:, None]).sum(0)
    if isinstance(rule, rules.Gamma):
        found = torch.zeros_like(x)
        for j, out in enumerate(relevance):
            half = (lambda v: v.clamp(min=0)) if total[j] > 0 else (lambda v: v.clamp(max=0))
            parts = z[j] + rule.gamma * half(z[j])
            below = parts.sum() + bias[j] + rule.gamma * half(bias[j])
            found += parts * out / (below + eps * sign(below))
        return found
    if isinstance(rule, rules.AlphaBeta):
        above, below = z.clamp(min=0), z.clamp(max=0)
        p, n = above.sum(1) + bias.clamp(min=0), below.sum(1) + bias.clamp(max=0)
        shares = rule.alpha * above / (p + eps)[:, None] - rule.beta * below / (n - eps)[:, None]
        return (shares * relevance[:, None]).sum(0)
    if isinstance(rule, rules.WSquare):
        return (weight**2 * (relevance / (weight.pow(2).sum(1) + bias**2 + eps))[:, None]).sum(0)
    if isinstance(rule, rules.Flat):
        ones = (weight != 0).double()  # what an output sees
        return (ones * (relevance / (ones.sum(1) + eps))[:, None]).sum(0)
    parts = z - rule.low * weight.clamp(min=0) - rule.high * weight.clamp(max=0)
    return (parts / (parts.sum(1) + eps)[:, None] * relevance[:, None]).sum(0)


def matrix(layer, shape):
    """A layer without bias as a matrix, by what it makes of each unit vector."""
    units = torch.eye(math.prod(shape)).double().view(-1, *shape)
    bias = layer(torch.zeros(1, *shape).double())
    return (layer(units) - bias).flatten(1).mT, bias.flatten()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("place", ["first", "convolution"])
@torch.no_grad()
def test_rules_are_their_equations(name, place):
    model, rule = network(), RULES[name]
    chosen = rules.Composite(
        rule if place == "convolution" else rules.Epsilon(), first=rule if place == "first" else None
    )
    if place == "convolution" and not hasattr(rule, "back") and name != "epsilon":
        pytest.skip("a rule of the first layer")
    first, second = nn.Sequential(model[0], model[1]), model[3]
    for i, image in enumerate(X):
        a1 = first(image[None]).relu()
        a2 = second(a1).relu()
        logits = model[5:](a2)[0]
        relevance = torch.where(torch.arange(5) == 3, logits, 0)
        head, bias = matrix(model[5:], a2.shape[1:])  # pooling divides like a linear layer without bias
        relevance = divided(rules.Epsilon(1e-6), a2.flatten(), head, bias, relevance)
        for inputs, layer, its in ((a1, second, chosen.convolution), (image[None], first, chosen.first or rule)):
            weight, bias = matrix(layer, inputs.shape[1:])
            relevance = divided(its, inputs.flatten(), weight, bias, relevance)
        got = s.lrp(model, X, 3, rules=chosen)[i, 0]
        expected = relevance.view(3, 9, 8).sum(0).float()
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["epsilon", "z_plus"])
def test_it_equals_captum(name):
    captum = pytest.importorskip("captum.attr")
    from captum.attr._utils import lrp_rules

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.pool, self.fc = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Linear(54, 5)

        def forward(self, x):
            return self.fc(self.pool(self.relu(self.conv(x))).flatten(1))

    model = Net().double().eval()
    x = X.abs() + 0.1  # captum's rule of positive contributions drops negative inputs
    model.conv.bias.data.zero_()
    model.fc.rule = lrp_rules.EpsilonRule(1e-6)
    model.conv.rule = lrp_rules.EpsilonRule(1e-6) if name == "epsilon" else lrp_rules.Alpha1_Beta0_Rule()
    expected = captum.LRP(model).attribute(x.clone().requires_grad_(), target=3).sum(1, keepdim=True)
    chosen = "epsilon" if name == "epsilon" else "epsilon_plus"
    torch.testing.assert_close(s.lrp(model, x, 3, rules=chosen), expected.detach().float(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1", "box"])
def test_it_equals_zennit(name):
    composites = pytest.importorskip("zennit.composites")
    from zennit.attribution import Gradient
    from zennit.torchvision import ResNetCanonizer

    torchvision = pytest.importorskip("torchvision")
    model = randomised(
        torchvision.models.resnet.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)
    )
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    x, one = torch.randn(2, 3, 33, 32).double(), F.one_hot(torch.tensor([3, 3]), 5)
    theirs = {
        "epsilon_plus": composites.EpsilonPlus,
        "epsilon_plus_flat": composites.EpsilonPlusFlat,
        "epsilon_alpha2_beta1": composites.EpsilonAlpha2Beta1,
        "box": lambda **options: composites.EpsilonGammaBox(
            torch.full((1, 3, 33, 32), -4.0), torch.full((1, 3, 33, 32), 4.0), **options
        ),
    }[name](canonizers=[ResNetCanonizer()])
    with Gradient(model, theirs) as attributor:
        _, expected = attributor(x.clone(), lambda z: one * z)
    chosen = rules.Composite(rules.Gamma(), first=BOX) if name == "box" else name
    expected = expected.sum(1, keepdim=True).float()
    got = s.lrp(model, x, 3, rules=chosen)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


class Everything(nn.Module):
    """Sums and concatenations, gates of each kind, normalisations, functions in place, an own softmax."""

    def __init__(self):
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.se, self.qkv = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 24, 1)
        self.norm, self.group, self.instance = nn.LayerNorm(8), nn.GroupNorm(2, 16), nn.InstanceNorm2d(16, affine=True)
        self.mha, self.own = nn.MultiheadAttention(8, 2, batch_first=True), nn.Parameter(torch.randn(1, 1, 8))
        self.up, self.last = nn.ConvTranspose2d(16, 6, 2, 2), nn.BatchNorm2d(6)
        self.fc, self.own_fc = nn.Linear(6, 5), nn.Linear(8, 5)

    def forward(self, x):
        x = F.silu(self.bn(self.stem(2 * x - 0.1)), inplace=True)
        x = x * self.se(x.mean((2, 3), keepdim=True)).sigmoid()
        tokens = x.flatten(2).mT
        q, k, v = self.qkv(x).flatten(2).mT.chunk(3, -1)
        tokens = tokens + (q @ k.mT / 3).softmax(-1) @ v
        tokens = torch.cat([self.own.expand(len(x), -1, -1), F.gelu(self.norm(tokens))], 1)
        tokens += self.mha(tokens, tokens, tokens, need_weights=False)[0]
        grid = tokens[:, 1:].mT.unflatten(2, x.shape[2:])
        x = self.instance(self.group(torch.cat([grid, x.clamp(max=0.5)], 1)))
        x = F.relu6(self.last(self.up(F.avg_pool2d(x, 2))))
        x.mul_(torch.tanh(x.amax((2, 3), keepdim=True)) + 1)
        x = x * x / (1 + x.norm(dim=1, keepdim=True))
        return self.fc(F.normalize(x.amax((2, 3)), dim=1)) + self.own_fc(tokens[:, 0])


@pytest.mark.parametrize("softmax", ["constant", "tangent"])
@pytest.mark.parametrize("name", rules.COMPOSITES)
def test_the_account_balances(name, softmax):
    model, x = randomised(Everything()), torch.randn(2, 3, 16, 16).double()
    found = s.relevance(model, x, s.Several(3, s.Difference(0, 1)), rules=name, softmax=softmax)
    assert found.error.max() < 1e-4
    torch.testing.assert_close(found.scores[:, 0], model(x)[:, 3].detach().float())
    assert all(value.shape == (2, 2) for value in found.kept.values())
    assert found.kept["constants"].abs().min() > 0
    method = s.lrp if softmax == "constant" else s.attn_lrp
    torch.testing.assert_close(method(model, x, 3, rules=name), found.maps[:, :1])


def test_the_account_shows_what_has_no_rule():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.special.expit(x).sum((2, 3))

    assert s.relevance(Odd(), X, 1).error.min() > 0.1


@pytest.mark.parametrize("block", quick_only(["cbam", "gc"], ["se", "cbam", "simam", "gc", "mhsa", "coordinate"]))
def test_relevance_passes_inserted_blocks(block):
    model = cva.backbones.build("resnet20", num_classes=10, width=4)
    cva.insert(model, block)
    found = s.relevance(randomised(model), torch.randn(2, 3, 32, 32).double(), 3, softmax="tangent")
    assert found.error.max() < 1e-3


def test_epsilon_0_is_input_times_gradient_in_a_relu_network():
    model = network()
    got = s.lrp(model, X, 3, rules=rules.Composite(rules.Epsilon(0), rules.Epsilon(0)))
    torch.testing.assert_close(got, s.input_x_gradient(model, X, 3), rtol=1e-3, atol=1e-6)


def test_callables_that_are_linear_in_the_output_are_like_classes():
    model = network()
    for target, same in (
        (lambda out: out[:, 3], 3),
        (lambda out: out[:, 3] - out[:, 1], s.Difference(3, 1)),
        (lambda out: 2 * out[:, 3], 3),
    ):
        factor = 2 if target(torch.eye(5)).max() == 2 else 1
        for method in (s.lrp, s.attn_lrp):
            torch.testing.assert_close(method(model, X, target), factor * method(model, X, same))
        assert s.relevance(model, X, target).error.max() < 1e-4
    both = s.lrp(model, X, s.Several(3, lambda out: out[:, 1]))
    torch.testing.assert_close(both, torch.cat([s.lrp(model, X, 3), s.lrp(model, X, 1)], 1))


def test_a_callable_begins_with_the_output_times_its_derivative():
    """Of a cosine, which scales with no power of the output, that is nothing in total; the account says so."""
    torch.manual_seed(0)
    model, other = nn.Sequential(nn.Flatten(), nn.Linear(216, 5)).double(), torch.randn(5).double()
    score = lambda out: F.cosine_similarity(out, other)  # noqa: E731
    z = model(X).detach().requires_grad_()
    start = z * torch.autograd.grad(score(z).sum(), z)[0]
    contributions = X.flatten(1)[:, None] * model[1].weight  # (B, 5, 216)
    expected = (contributions / z[..., None] * start[..., None]).sum(1).view(2, 3, 9, 8).sum(1, keepdim=True)
    got = s.lrp(model, X, score, rules=rules.Composite(rules.Epsilon(0), rules.Epsilon(0)))
    torch.testing.assert_close(got, expected.detach().float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(start.sum(1), torch.zeros(2).double())
    assert s.relevance(model, X, score).error.min() > 0.1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: s.lrp(network(), X, rules="epsilon_pluss"), "epsilon_plus"),
        (lambda: s.relevance(network(), X, softmax="taylor"), "softmax"),
        (lambda: rules.AlphaBeta(2, 0), "alpha - beta must be 1"),
        (lambda: rules.Epsilon(-1), "epsilon must be at least 0, got -1"),
    ],
)
def test_mistakes(call, words):
    with pytest.raises(ValueError, match=words):
        call()
