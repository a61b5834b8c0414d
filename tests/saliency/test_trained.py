"""Every CAM of pytorch-grad-cam, and captum's gradient methods, on a trained network and real photographs."""

import tarfile
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.core.noise import Source

ARCHIVE = Path(__file__).parents[3] / "shared/data/hymenoptera.tar"
CLASSES = [0, 0, 1, 1]

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore")]


class Small(nn.Module):
    """Three stages of convolutions, BatchNorm and ReLU, and a head that is not linear: its Hessian is not zero."""

    def __init__(self):
        super().__init__()
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU(),
                nn.Conv2d(after, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU(),
            )
            for before, after in ((3, 16), (16, 32), (32, 48))
        )  # fmt: skip
        self.hidden, self.fc = nn.Linear(48, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.fc(torch.tanh(self.hidden(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))))


def photographs(split):
    """Images (N, 3, 64, 64), roughly normalised, and their classes."""
    if not ARCHIVE.exists():
        pytest.skip(f"{ARCHIVE} is not here")
    images, labels = [], []
    with tarfile.open(ARCHIVE) as tar:
        for member in tar:
            if f"/{split}/" in member.name and member.name.endswith(".jpg"):
                data = np.frombuffer(tar.extractfile(member).read(), np.uint8)
                pixels = cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), (64, 64), interpolation=cv2.INTER_AREA)
                images.append(torch.from_numpy(pixels).permute(2, 0, 1))
                labels.append(int("bees" in member.name))
    return (torch.stack(images).float() / 255 - 0.45) / 0.25, torch.tensor(labels)


@pytest.fixture(scope="module")
def trained():
    """The network after some seconds of training, and four photographs that it has not seen."""
    torch.manual_seed(0)
    model = Small()
    images, labels = photographs("train")
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(15):
        for some in torch.randperm(len(images)).split(32):
            batch = images[some].flip(3) if torch.rand(()) < 0.5 else images[some]
            loss = F.cross_entropy(model(batch), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        assert (model(images).argmax(1) == labels).float().mean() > 0.75  # half would be chance
    unseen, labels = photographs("val")
    order = labels.argsort(stable=True)
    return model, unseen[order[[0, 1, -2, -1]]]


def as_peer(heat):
    """The positive part, scaled from its minimum and maximum, as pytorch-grad-cam does."""
    heat = heat.relu()
    heat = heat - heat.amin((2, 3), keepdim=True)
    return heat / (heat.amax((2, 3), keepdim=True) + 1e-7)


def fused_as_peer(heats):
    return as_peer(torch.stack([F.interpolate(as_peer(h), (64, 64), mode="bilinear") for h in heats]).mean(0))


CAMS = {
    "GradCAM": s.grad_cam,
    "GradCAMElementWise": s.grad_cam_elementwise,
    "GradCAMPlusPlus": s.grad_cam_plus_plus,
    "XGradCAM": s.xgrad_cam,
    "LayerCAM": s.layer_cam,
    "HiResCAM": s.hires_cam,
    "ShapleyCAM": s.shapley_cam,
    "ScoreCAM": s.score_cam,
    "AblationCAM": s.ablation_cam,
    "EigenCAM": s.eigen_cam,
    "EigenGradCAM": s.eigen_grad_cam,
    "SegEigenCAM": s.seg_eigen_cam,
    "KPCA_CAM": s.kpca_cam,
    "FEM": s.fem,
}
ELSEWHERE = {"FinerCAM", "FullGrad", "RefineCAM"}  # compared below: they are called otherwise
# Random weights for the channels, of which `random_map` is ours; and an average of any CAM over crops.
NOT_HERE = {"RandomCAM", "SESS"}


def test_no_cam_of_the_peer_is_forgotten():
    import pytorch_grad_cam
    from pytorch_grad_cam.base_cam import BaseCAM

    cams = {
        name
        for name, value in vars(pytorch_grad_cam).items()
        if isinstance(value, type) and (issubclass(value, BaseCAM) or "cam" in name.lower() or name == "SESS")
    }
    assert cams == CAMS.keys() | ELSEWHERE | NOT_HERE


@pytest.mark.parametrize("layers", [["layer3"], ["layer2"], ["layer2", "layer3"]], ids="-".join)
@pytest.mark.parametrize("name", CAMS)
def test_equals_pytorch_grad_cam(trained, name, layers, monkeypatch):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, images = trained
    if name == "ScoreCAM":  # the peer enlarges its masks with aligned corners, and nothing else; here nothing is
        monkeypatch.setattr(nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size, mode="bilinear"))
    if name == "ShapleyCAM":  # the peer frees the graph after its first layer and fails at the second
        grad = torch.autograd.grad
        monkeypatch.setattr(
            torch.autograd, "grad", lambda *args, **kwargs: grad(*args, **kwargs | {"retain_graph": True})
        )
    explainer = getattr(pytorch_grad_cam, name)(model, [getattr(model, layer) for layer in layers])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torch.from_numpy(explainer(images.clone(), [ClassifierOutputTarget(k) for k in CLASSES]))[:, None]
    single = [CAMS[name](model, images, CLASSES, layers=layer, upsample=False) for layer in layers]
    if name in ("EigenCAM", "EigenGradCAM", "KPCA_CAM"):  # whose sign is whatever the decomposition gave
        ways = [single, [-h for h in single]] if len(layers) == 1 else [
            [a, b] for a in (single[0], -single[0]) for b in (single[1], -single[1])
        ]  # fmt: skip
        found = torch.stack([fused_as_peer(way) for way in ways])
        nearest = (found - expected).abs().amax((2, 3, 4)).argmin(0)
        got = found[nearest, range(4)]
    else:
        got = fused_as_peer(single)
        if len(layers) > 1:
            torch.testing.assert_close(
                as_peer(CAMS[name](model, images, CLASSES, layers=layers)), expected, rtol=0, atol=1e-5
            )
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.01


def test_shapley_cam_is_not_grad_cam_here(trained):
    model, images = trained
    change = as_peer(s.shapley_cam(model, images, CLASSES)) - as_peer(s.grad_cam(model, images, CLASSES))
    assert change.abs().max() > 1e-3


def test_finer_cam_equals_pytorch_grad_cam(trained):
    import pytorch_grad_cam

    model, images = trained
    expected = torch.from_numpy(pytorch_grad_cam.FinerCAM(model, [model.layer3])(images.clone()))[:, None]
    got = fused_as_peer([s.finer_cam(model, images, upsample=False)])
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_refine_cam_equals_pytorch_grad_cam(trained):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, images = trained
    explainer = pytorch_grad_cam.RefineCAM(model, [model.layer1, model.layer2, model.layer3])
    expected = torch.from_numpy(explainer(images.clone(), [ClassifierOutputTarget(k) for k in CLASSES]))[:, None]
    got = s.refine_cam(model, images, CLASSES, layers=["layer1", "layer2", "layer3"])
    got = (got - got.amin((2, 3), True)) / (got - got.amin((2, 3), True)).amax((2, 3), True)
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-3)


def test_full_grad_equals_pytorch_grad_cam(trained):
    """The peer scales each channel by itself; the authors' code, and our default, each layer."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, images = trained
    explainer = pytorch_grad_cam.FullGrad(model, [])
    expected = torch.from_numpy(explainer(images.clone(), [ClassifierOutputTarget(k) for k in CLASSES]))[:, None]
    got = s.full_grad(model, images, CLASSES, rescale="channel")
    torch.testing.assert_close(as_peer(got), expected, rtol=0, atol=1e-5)


def test_full_grad_by_the_authors_rule(trained):
    model, images = trained
    places, biases = {}, {}
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            biases[name] = module.bias
        elif isinstance(module, nn.BatchNorm2d):
            biases[name] = module.bias - module.running_mean * module.weight / (module.running_var + module.eps).sqrt()
        else:
            continue
        handles.append(module.register_forward_hook(lambda m, _, out, name=name: places.update({name: out})))
    x = images.clone().requires_grad_()
    scores = model(x)[range(4), CLASSES].sum()
    gradients = torch.autograd.grad(scores, [x, *places.values()])
    for handle in handles:
        handle.remove()
    expected = torch.zeros(4, 1, 64, 64)
    for g, bias in zip(gradients, [x, *(biases[name][:, None, None] for name in places)], strict=True):
        share = (g * bias).abs().detach()
        for i in range(4):
            one = (share[i] - share[i].min()) / (share[i].max() - share[i].min() + 1e-7)
            expected[i] += F.interpolate(one[None], (64, 64), mode="bilinear")[0].sum(0)
    got = s.full_grad(model, images, CLASSES)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def alike(got, expected):
    """Equal to 1e-5 of the largest value."""
    scale = float(expected.abs().max())
    torch.testing.assert_close(got / scale, expected.detach().float() / scale, rtol=0, atol=1e-5)


CAPTUM = {
    "Saliency": (s.gradient, {"channels": "sum_abs"}, {}),
    "InputXGradient": (s.input_x_gradient, {}, {}),
    "IntegratedGradients": (s.integrated_gradients, {"steps": 16}, {"n_steps": 16, "method": "gausslegendre"}),
    "GuidedBackprop": (s.guided_backprop, {"channels": "sum"}, {}),
}


@pytest.mark.parametrize("name", CAPTUM)
def test_equals_captum(trained, name):
    import captum.attr

    model, images = trained
    method, ours, theirs = CAPTUM[name]
    expected = getattr(captum.attr, name)(model).attribute(
        images.clone().requires_grad_(), target=torch.tensor(CLASSES), **theirs
    )
    alike(method(model, images, CLASSES, **ours), expected.sum(1, keepdim=True))


def test_smoothed_gradients_equal_captum(trained, monkeypatch):
    """Its noise tunnel is given our noise, image by image, as its spread is one number."""
    import captum.attr

    model, images = trained
    source = Source(7)
    noise = torch.cat([source.normal((1, 3, 64, 64), images) for _ in range(6)])
    monkeypatch.setattr(torch, "normal", lambda mean, spread: noise * spread)
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
    for method, kind in ((s.smooth_grad, "smoothgrad"), (s.var_grad, "vargrad")):
        got = method(model, images, CLASSES, samples=6, noise=0.1, seed=7, channels="sum")
        for i, image in enumerate(images.split(1)):
            spread = 0.1 * float(image.max() - image.min())
            expected = tunnel.attribute(image, kind, 6, stdevs=spread, target=CLASSES[i], abs=False)
            alike(got[i : i + 1], expected.sum(1, keepdim=True))


def test_expected_gradients_equal_captum(trained, monkeypatch):
    """Its GradientSHAP is given our draws of the baseline and of the place on the way to it."""
    import captum.attr

    model, images = trained
    baselines = images.flip(0)
    source = Source(7)
    draws = [(source.index(4), float(source.uniform((1, 1, 1, 1), images))) for _ in range(6)]
    expected = torch.zeros(4, 1, 64, 64)
    for number, share in draws:
        monkeypatch.setattr(np.random, "uniform", lambda low, high, size, share=share: np.full(size, share))
        one = captum.attr.GradientShap(model).attribute(
            images, baselines[number : number + 1], n_samples=1, target=torch.tensor(CLASSES)
        )
        expected += one.sum(1, keepdim=True) / 6
    alike(s.expected_gradients(model, images, CLASSES, baselines=baselines, samples=6, seed=7), expected)


def test_layers_and_windows_equal_captum(trained):
    import captum.attr

    model, images = trained
    classes = torch.tensor(CLASSES)
    expected = captum.attr.LayerGradCam(model, model.layer2).attribute(images, classes, relu_attributions=True)
    alike(s.grad_cam(model, images, classes, layers="layer2", upsample=False), expected)
    expected = captum.attr.Occlusion(model).attribute(images, (3, 16, 16), (3, 8, 8), target=classes)
    alike(s.occlusion(model, images, classes, window=16, stride=8), expected[:, :1])
