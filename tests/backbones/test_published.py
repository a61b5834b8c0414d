"""Published weights with attention, loaded into plain networks: the outputs are those of the networks they come from.

The oracles are timm's networks, and torchvision's with the attention modules of the papers' repositories, written again
by the equations under the names that their files use.
"""

import pytest
import timm
import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import nn
from torchvision.models import resnet

import cv_attention as cva
from cv_attention.config import Model
from cv_attention.training.checkpoint import initial
from cv_attention.training.tasks.network import build_network

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def scrambled(model: nn.Module) -> nn.Module:
    """Draws all weights and statistics again: zeros and ones would hide mistakes."""
    generator = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            drawn = torch.rand(value.shape, generator=generator)
            norm = name.endswith("running_var") or value.ndim == 1
            value.copy_(0.5 + drawn if norm else (drawn - 0.5) * (2 / max(1, value[0].numel())) ** 0.5)
    return model.eval()


def timm_network(attention: str | None) -> nn.Module:
    options = {"attn_layer": attention} if attention else {}
    return ResNet(BasicBlock, (1, 2, 1, 1), num_classes=5, block_args=options)


class SELayer(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class EcaLayer(nn.Module):
    def __init__(self, channels, kernel=3):
        super().__init__()
        kernel = {256: 3, 512: 5, 1024: 5, 2048: 7}[channels]  # as in the authors' ResNet-50
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x):
        return x * self.conv(x.mean((2, 3))[:, None]).sigmoid()[:, 0, :, None, None]


class Flatten(nn.Module):
    def forward(self, x):
        return x.flatten(1)


class ChannelGate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        hidden = channels // 16
        self.mlp = nn.Sequential(Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x):
        logits = self.mlp(x.mean((2, 3), keepdim=True)) + self.mlp(x.amax((2, 3), keepdim=True))
        return x * logits.sigmoid()[:, :, None, None]


class BasicConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x):
        return self.bn(self.conv(x))


class SpatialGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.spatial = BasicConv()

    def forward(self, x):
        return x * self.spatial(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)).sigmoid()


class AuthorsCbam(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.ChannelGate, self.SpatialGate = ChannelGate(channels), SpatialGate()

    def forward(self, x):
        return self.SpatialGate(self.ChannelGate(x))


def authors_network(name: str | None) -> nn.Module:
    made = {"se": SELayer, "se_module": CadeneSE, "eca": EcaLayer, "cbam": AuthorsCbam}.get(name or "")

    class Attended(resnet.Bottleneck):
        def __init__(self, inplanes, planes, *args, **options):
            super().__init__(inplanes, planes, *args, **options)
            if made:
                setattr(self, name or "", made(planes * 4))

        def forward(self, x):
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
            out = getattr(self, name)(out) if made else out
            return self.relu(out + (x if self.downsample is None else self.downsample(x)))

    return resnet.ResNet(Attended if made else resnet.Bottleneck, [1, 1, 1, 1], num_classes=5)  # pyright: ignore


class CadeneSE(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, channels // 16, 1), nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


LONG = ("timm's se", "se_module of a paper's repository")  # whose layouts differ from others only in names
NETWORKS = {
    **{f"timm's {name}": (timm_network, name) for name in ("se", "eca", "cbam")},
    **{f"{name} of a paper's repository": (authors_network, name) for name in ("se", "se_module", "eca", "cbam")},
}


@pytest.mark.parametrize("which", [pytest.param(each, marks=[pytest.mark.long] * (each in LONG)) for each in NETWORKS])
def test_the_output_is_that_of_the_published_network(which):
    make, name = NETWORKS[which]
    published, model = scrambled(make(name)), scrambled(make(None))
    with torch.no_grad():
        expected, plain = published(IMAGES), model(IMAGES)
        plan = cva.backbones.load_published(model, published.state_dict())
        torch.testing.assert_close(model(IMAGES), expected, rtol=1e-4, atol=1e-4)
    assert (plain - expected).abs().max() > 1e-2
    assert plan.block == {"se_module": "se"}.get(name, name)
    with cva.record(model) as maps:
        model(IMAGES)
    assert len(maps) == len(plan.sites) * (2 if name == "cbam" else 1)


def test_files_as_their_authors_save_them(tmp_path):
    published, model = scrambled(authors_network("cbam")), authors_network(None).eval()
    old = {name: value for name, value in published.state_dict().items() if not name.endswith("num_batches_tracked")}
    content = {"epoch": 89, "arch": "resnet50", "state_dict": {f"module.{name}": value for name, value in old.items()}}
    torch.save(content, tmp_path / "RESNET50_CBAM.pth")
    cva.backbones.load_published(model, tmp_path / "RESNET50_CBAM.pth")
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES), published(IMAGES), rtol=1e-4, atol=1e-4)


def test_weights_of_a_configuration_find_inserted_blocks(tmp_path):
    published = scrambled(timm.create_model("seresnet18", num_classes=5))
    torch.save(published.state_dict(), tmp_path / "seresnet18.pth")
    block = {"name": "se", "divisor": 8}
    model = Model("timm/resnet18", weights=str(tmp_path / "seresnet18.pth"), block=block)
    network, _ = build_network(model, 5, (64, 64))
    initial.load(network, model, None)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(IMAGES), published(IMAGES), rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_leaves_the_network_as_it_was():
    model = scrambled(timm_network(None))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = timm_network("se").state_dict()
    for weights, message in (
        (timm_network(None).state_dict(), "no attention blocks of a known layout"),
        ({name: value for name, value in state.items() if "layer1.0.se.fc2" not in name}, "lacks expand.weight"),
        ({name: value for name, value in state.items() if name != "layer2.0.conv1.weight"}, "lack layer2.0.conv1"),
        ({**state, "fc.weight": torch.zeros(7, 512)}, "size mismatch for fc.weight"),
        ({**state, "layer9.0.se.fc1.weight": state["layer1.0.se.fc1.weight"]}, "layer9.0.se.fc1.weight lacks"),
        ({name.replace("layer4", "layer5"): value for name, value in state.items()}, "no place for the attention"),
        ({"weights": 3}, "got a int at weights"),
        ({}, "got dict"),
    ):
        with pytest.raises(ValueError, match=message):
            cva.backbones.load_published(model, weights)
        after = model.state_dict()
        assert after.keys() == before.keys()
        assert all(torch.equal(value, before[name]) for name, value in after.items())
    cva.insert(model, "se")
    with pytest.raises(ValueError, match="inserted blocks already"):
        cva.backbones.load_published(model, state)


def test_code_in_a_file_is_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state_dict": Harmful()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="cannot be read as weights"):
        cva.backbones.load_published(timm_network(None), tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(FileNotFoundError):
        cva.backbones.load_published(timm_network(None), tmp_path / "none.pth")
