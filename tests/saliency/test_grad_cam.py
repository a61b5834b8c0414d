"""Grad-CAM against the paper's equation with plain autograd, and against captum, on nets of every awkward kind."""

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from cv_attention.blocks.base import Gate
from cv_attention.saliency import Several, grad_cam, grad_cam_layers

X = torch.randn(3, 3, 33, 32, generator=torch.Generator().manual_seed(1))


class Gated(Gate):
    kind = "spatial"

    def attention(self, x):
        return x.mean(1, keepdim=True).sigmoid()


class Plain(nn.Module):
    """A small CNN with in-place activations, one module used three times, and dropout."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.stage1 = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.BatchNorm2d(12))
        self.stage2 = nn.Sequential(nn.Conv2d(12, 12, 3, 1, 1), nn.BatchNorm2d(12))
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.relu(self.stem(x))
        x = self.relu(self.stage1(x))
        x = self.relu(self.stage2(x) + x)
        return self.fc(self.drop(self.pool(x).flatten(1)))


def seeded(make, mode=False):
    """The model with BatchNorm statistics and affine weights away from their defaults."""
    torch.manual_seed(0)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias):
                nn.init.normal_(tensor, 0, 0.3)
            for tensor in (module.running_var, module.weight):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return model.train(mode)


def by_hand(model, layers, images, classes):
    """relu(sum_c mean(g_c) A_c) of each layer from one whole graph, and the logits."""
    seen = {}
    modules = dict(model.named_modules())
    handles = [
        modules[name].register_forward_hook(lambda m, _, out, name=name: seen.update({name: out}) or out.clone())
        for name in layers
    ]
    try:
        logits = model(images.clone().requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    heats = []
    for name in layers:
        heat = []
        for i, k in enumerate(classes):
            g = torch.autograd.grad(logits[i, k], seen[name], retain_graph=True)[0][i]
            a = seen[name][i]
            heat.append(sum(g[c].mean() * a[c] for c in range(len(a))).clamp(min=0))
        heats.append(torch.stack(heat)[:, None].detach())
    return heats


MODELS = {
    "plain": (Plain, ["relu"], ["stage1", "stage2", "stem"]),
    "torchvision_resnet18": (torchvision.models.resnet18, ["layer4"], ["layer3", "layer4.1.conv2"]),
    "timm_resnet18": (lambda: timm.create_model("resnet18"), ["layer4"], ["layer4.0.bn1", "layer2"]),
    "timm_mobilenetv3": (lambda: timm.create_model("mobilenetv3_small_050"), None, ["blocks.4"]),
}


@pytest.fixture(params=MODELS)
def case(request):
    make, last, others = MODELS[request.param]
    return seeded(make), last, others


def test_equals_the_equation(case):
    model, last, others = case
    images = F.interpolate(X, 96)
    classes = model(images).argmax(1)
    if last is not None:
        expected = by_hand(model, last, images, classes.tolist())[0]
        torch.testing.assert_close(grad_cam(model, images, upsample=False), expected)
        assert expected.amax(dim=(1, 2, 3)).min() > 0  # a comparison of zeros would say nothing
    several = grad_cam_layers(model, images, 4, layers=others)
    assert list(several) == others
    for got, expected in zip(several.values(), by_hand(model, others, images, [4] * 3), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("name", ["plain", "torchvision_resnet18", "timm_resnet18"])
def test_equals_captum(name):
    captum = pytest.importorskip("captum.attr")
    make, last, others = MODELS[name]
    model = seeded(make)
    classes = torch.tensor([1, 0, 4])
    for layer in last + others[:1]:
        if layer == "relu":  # captum refuses modules that are used several times
            continue
        module = dict(model.named_modules())[layer]
        expected = captum.LayerGradCam(model, module).attribute(X, classes, relu_attributions=True)
        torch.testing.assert_close(grad_cam(model, X, classes, layers=layer, upsample=False), expected.detach())
        expected = captum.LayerAttribution.interpolate(expected, X.shape[2:], "bilinear")
        torch.testing.assert_close(grad_cam(model, X, classes, layers=module), expected.detach())


def test_targets():
    model = seeded(Plain)
    logits = model(X)
    predicted = logits.argmax(1)
    expected = grad_cam(model, X, predicted)
    for same in (None, "predicted", predicted.tolist(), predicted.int(), predicted.numpy(), lambda z: z.amax(1)):
        torch.testing.assert_close(grad_cam(model, X, same), expected, rtol=0, atol=0)
    torch.testing.assert_close(grad_cam(model, X, 2), grad_cam(model, X, [2, 2, 2]), rtol=0, atol=0)
    torch.testing.assert_close(grad_cam(model, X, torch.tensor(2)), grad_cam(model, X, 2), rtol=0, atol=0)
    one = grad_cam(model, X[1:2], 3)
    torch.testing.assert_close(one, grad_cam(model, X, 3)[1:2])
    difference = grad_cam(model, X, lambda z: z[:, 0] - z[:, 1], layers="stage2", upsample=False)
    torch.manual_seed(0)
    a = model.relu(model.stage1(model.relu(model.stem(X))))
    s = model.stage2(a).detach().requires_grad_()
    z = model.fc(model.pool((s + a.detach()).relu()).flatten(1))
    g = torch.autograd.grad((z[:, 0] - z[:, 1]).sum(), s)[0]
    torch.testing.assert_close(difference, (g.mean((2, 3), keepdim=True) * s).sum(1, keepdim=True).relu().detach())


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (5, "0..4, got 5, 5, 5"),
        (-1, "0..4, got -1"),
        ([0, 9, 1], "0..4, got 9"),
        ([0, 1], r"each of the 3 images, got shape \(2,\)"),
        (torch.zeros(3, 1, 1, dtype=torch.int64), r"got shape \(3, 1, 1\)"),
        (torch.zeros(2, 4, dtype=torch.int64), r"each of the 3 images, got shape \(2,\)"),
        ([[0, 1], [1]], r"got \[\[0, 1\], \[1\]\]"),
        (Several(0, [0, 1]), r"each of the 3 images, got shape \(2,\)"),
        (torch.rand(3), "float32"),
        (True, "True"),
        ("largest", "'largest'"),
        (1.5, "float32"),
        ({"a": 1}, "'a'"),
        (lambda z: z, r"shape \(3,\), one per image, got \(3, 5\)"),
        (lambda z: 1.0, "got float"),
    ],
)
def test_bad_targets(targets, message):
    with pytest.raises(ValueError, match=message):
        grad_cam(seeded(Plain), X, targets)


class Returns(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.inner, self.change = Plain(), change

    def forward(self, x):
        return self.change(self.inner(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z: {"logits": z}, r"Returns must return logits \(3, classes\) for 3 images, got a dict"),
        (lambda z: (z, z), "got a tuple"),
        (lambda z: z[:, :, None], r"shape \(3, 5, 1\)"),
        (lambda z: z[:1], r"shape \(1, 5\)"),
        (lambda z: z.detach(), "do not depend on the output of layer 'inner.relu', or gradients are turned off"),
    ],
)
def test_bad_outputs(change, message):
    with pytest.raises(ValueError, match=message):
        grad_cam(Returns(change), X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "stag1"}, "no module of Plain matches 'stag1'; did you mean 'stage1'"),
        ({"layers": []}, "at least one"),
        ({"layers": nn.ReLU()}, "the given layer ReLU is not a module of this Plain"),
        ({"layers": "fc"}, r"layer 'fc' must return a feature map \(B, C, h, w\) or tokens of a grid, got \(3, 5\)"),
        ({"images": X[0]}, r"got \(3, 33, 32\)"),
        ({"images": X[:0]}, r"at least one image, got \(0, 3, 33, 32\)"),
        ({"images": [X]}, "got list"),
    ],
)
def test_bad_layers_and_images(arguments, message):
    with pytest.raises(ValueError, match=message):
        grad_cam(seeded(Plain), arguments.get("images", X), layers=arguments.get("layers"))


def test_layers_that_do_not_count():
    model = seeded(Plain)
    model.spare = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="layer 'spare' did not run in the forward pass of Plain"):
        grad_cam(model, X, layers="spare")
    model.register_forward_pre_hook(lambda module, args: [module.spare(args[0]), None][1])
    with pytest.raises(ValueError, match="do not depend on the output of layer 'spare'"):
        grad_cam(model, X, layers="spare")


def test_several_layers_are_scaled_resized_and_averaged():
    model = seeded(torchvision.models.resnet18)
    names = ["layer2", "layer3"]
    expected = []
    for heat in by_hand(model, names, X, [7, 7, 7]):
        low, high = heat.amin((2, 3), keepdim=True), heat.amax((2, 3), keepdim=True)
        expected.append(nn.Upsample((33, 32), mode="bilinear")((heat - low) / (high - low)))
    torch.testing.assert_close(grad_cam(model, X, 7, layers=names), sum(expected) / 2)
    torch.testing.assert_close(grad_cam(model, X, 7, layers="layer[23]"), sum(expected) / 2)
    assert grad_cam(model, X, 7, layers=names, upsample=False).shape == (3, 1, 5, 4)


def test_the_automatic_layer_includes_attention_and_follows_insertion():
    model = seeded(torchvision.models.resnet18)
    plain = grad_cam(model, X, 0, upsample=False)
    gate = Gated()
    handle = model.layer4.register_forward_hook(lambda m, _, out: gate(out) * 3)
    attended = grad_cam(model, X, 0, upsample=False)
    torch.testing.assert_close(attended, by_hand(model, ["layer4"], X, [0, 0, 0])[0])
    assert not torch.allclose(attended, plain)
    handle.remove()
    model.layer4 = nn.Sequential(model.layer4, gate)
    torch.testing.assert_close(grad_cam(model, X, 0, upsample=False), by_hand(model, ["layer4"], X, [0, 0, 0])[0])


def vgg_like():
    """Pools to 2x2 before its linear layers, as VGG and AlexNet pool to 7x7 and 6x6."""
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(True), nn.MaxPool2d(2))
    parts = {"features": features, "pool": nn.AdaptiveAvgPool2d(2), "flat": nn.Flatten(), "fc": nn.Linear(16, 4)}
    return nn.Sequential(OrderedDict(parts))


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (vgg_like, "features"),
        (lambda: torchvision.models.mobilenet_v3_small(num_classes=4), "features"),
        (lambda: torchvision.models.convnext_tiny(num_classes=4), "features"),
        (lambda: timm.create_model("densenet121", num_classes=4), "features"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(196, 4)), "1"),
    ],
)
def test_automatic_layer(make, layer):
    model = seeded(make)
    images = X[:1, :, :32, :32] if layer == "1" else F.interpolate(X[:1], 64)
    heat = grad_cam_layers(model, images)
    assert list(heat) == [layer]


def test_automatic_layer_follows_the_image_size():
    model = seeded(torchvision.models.resnet18)
    small = grad_cam_layers(model, X[:, :, :32, :32])  # the last stage is 1x1 there
    assert {name: heat.shape[2:] for name, heat in small.items()} == {"layer3": (2, 2)}
    assert list(grad_cam_layers(model, F.interpolate(X, 64))) == ["layer4"]


def test_models_without_positions_are_refused():
    with pytest.raises(ValueError, match="larger than 1x1, or tokens of a grid"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(3 * 33 * 32, 4)), X)


def everything(model):
    """All that a call must leave as it was, tensors by identity and value."""
    return {
        "modes": [m.training for m in model.modules()],
        "hooks": [
            (list(m._forward_hooks.items()), list(m._forward_pre_hooks.items()), list(m._backward_hooks.items()))
            for m in model.modules()
        ],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "tensors": [id(t) for t in [*model.parameters(), *model.buffers()]],
        "values": [t.detach().clone().tolist() for t in [*model.parameters(), *model.buffers()]],
        "versions": [t._version for t in [*model.parameters(), *model.buffers()]],
        "grads": [None if p.grad is None else (id(p.grad), p.grad.tolist()) for p in model.parameters()],
        "random": torch.get_rng_state().tolist(),
        "process": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


CALLS = {
    "auto": ({}, None),
    "layers": ({"layers": ["stage1", "stem"]}, None),
    "bad target": ({"targets": 99}, ValueError),
    "bad layer": ({"layers": "fc"}, ValueError),
    "bad images": ({"images": X[:, :2], "layers": "stage1"}, RuntimeError),
    "bad callable": ({"targets": lambda z: 1 / 0}, ZeroDivisionError),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("mode", ["train", "eval", "mixed"])
def test_leaves_everything_as_found(call, mode):
    model = seeded(Plain, mode != "eval")
    model.stage1[1].train(mode == "train")
    model.stem.weight.requires_grad_(False)
    model(X).sum().backward()
    model.stage2.register_forward_hook(lambda *_: None)
    before = everything(model)
    arguments, error = CALLS[call]
    with pytest.raises(error) if error else nullcontext():
        grad_cam(model, **{"images": X, **arguments})
    assert everything(model) == before


def test_an_exception_in_the_model_leaves_everything():
    model = seeded(Plain, True)
    model.fc.register_forward_hook(lambda *_: 1 / 0)
    before = everything(model)
    with pytest.raises(ZeroDivisionError):
        grad_cam(model, X)
    assert everything(model) == before


def test_a_pending_backward_is_not_disturbed():
    model = seeded(Plain, True)
    torch.manual_seed(3)
    loss = model(X).square().sum()
    grad_cam(model, X)
    loss.backward()
    got = [p.grad.clone() for p in model.parameters()]
    fresh = seeded(Plain, True)
    torch.manual_seed(3)
    fresh(X).square().sum().backward()
    torch.testing.assert_close(got, [p.grad for p in fresh.parameters()])


def test_train_mode_explains_the_prediction():
    torch.testing.assert_close(grad_cam(seeded(Plain, True), X), grad_cam(seeded(Plain), X), rtol=0, atol=0)


def test_frozen_and_without_gradients():
    model = seeded(Plain)
    expected = grad_cam(model, X)
    assert not expected.requires_grad
    model.requires_grad_(False)
    torch.testing.assert_close(grad_cam(model, X), expected, rtol=0, atol=0)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            got = grad_cam(model, X.clone())  # in inference mode the images are inference tensors
            assert torch.is_grad_enabled() is False
        torch.testing.assert_close(got + 0, expected, rtol=0, atol=0)
    asks = X.clone().requires_grad_()
    torch.testing.assert_close(grad_cam(model, asks), expected, rtol=0, atol=0)
    assert asks.grad is None


class Branches(nn.Module):
    """Two branches from the same images, which is where the second starts after the first began the graph."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 5)

    def forward(self, x):
        return self.fc((self.a(x).relu_() * self.b(x)).mean((2, 3)))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_parallel_branches(mode, frozen):
    model = seeded(Branches)
    expected = by_hand(model, ["a", "b"], X, [2, 2, 2])
    model.requires_grad_(not frozen)
    with mode():
        heats = grad_cam_layers(model, X.clone(), 2, layers=["a", "b"])
    for heat, other in zip(heats.values(), expected, strict=True):
        torch.testing.assert_close(heat + 0, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_precisions(dtype):
    expected = grad_cam(seeded(Plain), X, 1)
    heat = grad_cam(seeded(Plain).to(dtype), X.to(dtype), 1)
    assert heat.dtype == torch.float32
    torch.testing.assert_close(heat, expected, rtol=0, atol=0.05 * expected.max().item())


def test_autocast_does_not_cost_the_caller_gradients():
    model, expected = seeded(Plain), grad_cam(seeded(Plain), X, 1)
    with torch.autocast("cpu", torch.bfloat16):
        heat = grad_cam(model, X, 1)
        model(X).sum().backward()  # weights cast without gradients must not be taken from autocast's cache
    assert heat.dtype == torch.float32
    torch.testing.assert_close(heat, expected, rtol=0, atol=0.05 * expected.max().item())
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("training", [False, True])
def test_threads_share_a_model(training):
    model = seeded(Plain, training)
    before = [m.training for m in model.modules()], [b.tolist() for b in model.buffers()]
    images = [X[i : i + 1] * scale for i in range(3) for scale in (1, -1)]
    layers = [None, "stage1", ["stem", "stage2"]]
    expected = [grad_cam(model, image, layers=layers[i % 3]) for i, image in enumerate(images)]
    barrier = threading.Barrier(6)

    def work(i):
        barrier.wait(20)
        return [grad_cam(model, images[i], layers=layers[i % 3]) for _ in range(15)]

    with ThreadPoolExecutor(6) as pool:
        for i, results in enumerate(pool.map(work, range(6))):
            for result in results:
                torch.testing.assert_close(result, expected[i])
    assert ([m.training for m in model.modules()], [b.tolist() for b in model.buffers()]) == before
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("compile", ["around", "in place", "stage"])
def test_compiled_models(compile):
    torch.compiler.reset()
    model = seeded(Plain)
    expected = grad_cam(model, X, 1, layers=["stage1", "stage2"])
    if compile == "around":
        model = torch.compile(model, backend="eager")
    elif compile == "in place":
        model.compile(backend="eager")
    else:
        model.stage1 = torch.compile(model.stage1, backend="eager")
    with torch.no_grad():
        model(X)
    torch.testing.assert_close(grad_cam(model, X, 1, layers=["stage1", "stage2"]), expected)


def test_data_parallel_is_looked_through():
    model = seeded(Plain)
    wrapped = nn.DataParallel(model)
    torch.testing.assert_close(grad_cam(wrapped, X, layers="stage1"), grad_cam(model, X, layers="stage1"))


def test_channels_last():
    model = seeded(Plain).to(memory_format=torch.channels_last)
    heat = grad_cam(model, X.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(heat, grad_cam(seeded(Plain), X))
