"""FullGrad's shares sum to the score without the head's bias, whichever modules hold the biases."""

import pytest
import torch
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.methods.gradient.full_grad import collect

# ReLU networks, so that the decomposition is complete: plain, BatchNormAct2d, grouped, pre-activation, dense, branches.
FAMILIES = [
    "regnetx_002", "vovnet39a", "resnet18", "vgg11_bn", "densenet121", "resnext50_32x4d", "resnetv2_50",
    "repvgg_a0", "dla34", "selecsls42b", "inception_v3", "inception_v4", "hrnet_w18_small", "dpn68", "res2net50_14w_8s",
    "xception", "nasnetalarge", "mobileone_s1", "wide_resnet50_2", "resnetblur18",
]  # fmt: skip


def randomised(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if value.dim() == 1 and name in ("weight", "bias"):
                nn.init.uniform_(value, *((0.5, 1.5) if name == "weight" else (-0.3, 0.3)))
    return model.eval().double()


def missing(model: nn.Module, images: torch.Tensor, head: nn.Linear | nn.Conv2d, logits=lambda out: out) -> float:
    """What the shares lack of the score, over the largest sum."""
    biases, inputs = collect(model, images, 3, lambda share: share.double().flatten(1).sum(1, keepdim=True))
    with torch.no_grad():
        score = logits(model(images))[:, 3] - (
            head.bias[3] if isinstance(head, nn.Linear) else 0
        )  # a convolution counts by itself
    sums = torch.stack([inputs.double().sum((1, 2, 3, 4)), *(bias[:, 0] for bias in biases)])
    return float(((sums.sum(0) - score).abs() / sums.abs().amax(0)).max())


class Norms(nn.Module):
    """Two convolutions and a normalisation between them, with a head besides that the score does not need."""

    def __init__(self, norm: nn.Module):
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(3, 6, 3, bias=False), norm, nn.Conv2d(6, 6, 3)
        self.auxiliary, self.fc = nn.Conv2d(6, 5, 1), nn.Linear(6, 5)

    def forward(self, x):
        x = self.norm(self.first(2 * x - 0.5)).relu()
        self.auxiliary(x)
        return self.fc(self.second(x).relu().mean((2, 3)))


@pytest.mark.parametrize("norm", ["frozen", "sync", "affine=False", "act", "frozen act", "group"])
def test_every_kind_of_batch_norm(norm):
    ops, layers = pytest.importorskip("torchvision.ops"), pytest.importorskip("timm.layers")
    model = randomised(
        Norms(
            {
                "frozen": lambda: ops.FrozenBatchNorm2d(6),
                "sync": lambda: nn.SyncBatchNorm(6),
                "affine=False": lambda: nn.BatchNorm2d(6, affine=False),
                "act": lambda: layers.BatchNormAct2d(6),
                "frozen act": lambda: layers.FrozenBatchNormAct2d(6),
                "group": lambda: nn.GroupNorm(2, 6),
            }[norm]()
        )
    )
    images = torch.randn(2, 3, 12, 12).double()
    lacks = missing(model, images, model.fc)
    assert lacks > 1e-2 if norm == "group" else lacks < 1e-6  # a group's deviation is not constant
    assert s.full_grad(model, images, 3).shape == (2, 1, 12, 12)


def test_unused_heads_are_no_mistake():
    torchvision = pytest.importorskip("torchvision")
    model = randomised(torchvision.models.googlenet(num_classes=5, aux_logits=True, init_weights=False))
    assert missing(model, torch.randn(1, 3, 64, 64).double(), model.fc) < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_complete_on(name):
    timm = pytest.importorskip("timm")
    try:
        model = timm.create_model(name, num_classes=5)
    except RuntimeError as error:
        pytest.skip(str(error))
    head = model.get_classifier()
    model = randomised(model)
    assert missing(model, torch.randn(1, 3, 96, 96).double(), head) < 1e-4
