"""Networks of other widths and depths: counted by hand, and the same function where that is promised."""

import copy

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, deepen, widen, widths

# Small members of the families, and how many of their layers have a width of their own, by their papers' figures:
# a ResNet's block has one inside, a bottleneck two; an inverted residual its expansion; ConvNeXt and ViT an MLP.
FAMILIES = [
    ("resnet20", {}, 32, 9),
    ("wrn16_4", {}, 32, 6),
    ("timm/resnet10t", {"stem_width": 8}, 64, 6),
    ("timm/vit_tiny_patch16_224", {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 32}, 32, 2),
]
LARGE = [
    ("timm/convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, 32, 4),
    ("timm/convnextv2_atto", {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, 32, 4),
    ("timm/resnet50", {}, 64, 32),
    ("timm/efficientnet_b0", {}, 64, 16),
    ("timm/efficientnet_lite0", {}, 64, 16),
    ("timm/mobilenetv2_050", {}, 64, 16),
    ("timm/mobilenetv3_small_050", {}, 64, 10),
    ("timm/seresnet18", {}, 64, 8),
]


@pytest.mark.parametrize(
    ("name", "options", "size", "least"),
    [*FAMILIES, *(pytest.param(*each, marks=pytest.mark.long) for each in LARGE)],
)
def test_a_wider_network_of_every_family(name, options, size, least):
    """New channels without effect leave the output as it was; with one, the parameters are those of the shapes."""
    torch.manual_seed(0)
    network = build(name, num_classes=10, **options).eval()
    found = widths(network, size)
    assert len(found) >= least
    images, state = torch.randn(2, 3, size, size), copy.deepcopy(network.state_dict())
    with torch.no_grad():
        before = network(images)
    before_all = {n: copy.deepcopy(m) for n, m in network.named_modules()}
    widen(network, {layer: width + 5 for layer, width in found.items()}, size, kept=True)
    with torch.no_grad():
        torch.testing.assert_close(network(images), before, rtol=1e-3, atol=1e-4)
    for layer, width in found.items():
        module = network.get_submodule(layer)
        assert module.weight.shape[0] == width + 5
        assert torch.equal(module.weight[:width, : before_all[layer].weight.shape[1]], before_all[layer].weight)
    assert widths(network, size) == {layer: width + 5 for layer, width in found.items()}
    network.train()(images).sum().backward()
    widen(network, found, size)
    assert {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in state.items()}


def test_parameters_of_a_wider_resnet_by_hand():
    """One channel inside a block of ResNet-20's first stage: 9·16 weights on either side, and a batch norm's two."""
    network = build("resnet20", num_classes=10)
    before = sum(p.numel() for p in network.parameters())
    widen(network, {"layer1.0.conv1": 17})
    assert sum(p.numel() for p in network.parameters()) == before + 9 * 16 + 9 * 16 + 2
    assert network.layer1[0].bn1.num_features == 17
    assert network.layer1[0].bn1.running_mean.shape == (17,)


def test_new_weights_are_drawn_alike_and_nothing_else_is():
    """The layers that stay draw what they drew; new weights have the spread of their layer; the seed decides them."""
    networks = []
    for extra in (0, 64, 64):
        torch.manual_seed(3)
        network = build("resnet20", num_classes=10)
        if extra:
            widen(network, {"layer3.0.conv1": 64 + extra})
        networks.append((network, torch.rand(1)))
    plain, wide, again = (network for network, _ in networks)
    assert torch.equal(wide.layer3[0].conv1.weight, again.layer3[0].conv1.weight)
    assert torch.equal(wide.layer3[1].conv1.weight, plain.layer3[1].conv1.weight)
    assert len({float(after) for _, after in networks}) == 1
    spread = wide.layer3[0].conv1.weight[64:].std() / plain.layer3[0].conv1.weight.std()
    assert 0.9 < spread < 1.1


class Shared(nn.Module):
    """Channels that two layers take, or that are added, belong to nobody alone."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(n, 4, 1) for n in (3, 4, 4))
        self.d, self.e = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.a(x)
        x = self.b(x) + self.c(x)
        return self.e(x + self.d(x)).mean((2, 3))


def test_channels_that_others_need_stay():
    assert widths(Shared(), (3, 8, 8)) == {}


def test_a_deeper_network_and_its_new_weights():
    network = build("resnet20", num_classes=10)
    block = sum(p.numel() for p in network.layer3[-1].parameters())
    before = sum(p.numel() for p in network.parameters())
    deepen(network, {"layer3": 2})
    assert sum(p.numel() for p in network.parameters()) == before + 2 * block
    weights = [network.layer3[n].conv1.weight for n in (2, 3, 4)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    assert {f"layer3.{n}.conv1" for n in range(5)} <= set(widths(network))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda n: widen(n, {"layer1.0.conv2": 20}),
            "'layer1.0.conv2' is not a layer whose channels can be changed",
        ),
        (lambda n: widen(n, {"layer1.0.conv1": 0}), r"layer1.0.conv1 must be a whole number in \[1, 65536\], got 0"),
        (lambda n: widen(n, {"layer1.0.conv1": True}), "got True"),
        (lambda n: deepen(n, {"layr1": 1}), "'layr1' is not a stage of the network; did you mean 'layer1'"),
        (lambda n: deepen(n, {"layer1": 0}), r"layer1 must be a whole number in \[1, 1000\], got 0"),
    ],
)
def test_what_cannot_be_changed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(build("resnet20", width=4))
