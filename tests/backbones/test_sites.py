"""Where blocks go in models of many families, against what their authors' code says."""

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert, plan
from tests.quick import quick_only
from tests.references.flops import plain_flops


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 16, 1)
        self.fc1, self.fc2 = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Attend(nn.Module):
    """Self-attention over the positions, whose cost lies in matrix products."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)

    def forward(self, x):
        q, k, v = self.qkv(x.flatten(2).mT).chunk(3, -1)
        return x + nn.functional.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape)


def units(pattern, counts):
    """``layer{}.{}.bn3`` for counts of units per stage -> all names."""
    return [pattern.format(s + 1, u) for s, n in enumerate(counts) for u in range(n)]


# The last module of each residual branch, by hand from the libraries' sources.
RESIDUAL = {
    "resnet20": units("layer{}.{}.bn2", (3, 3, 3)),
    "resnet18_cifar": units("layer{}.{}.bn2", (2, 2, 2, 2)),
    "timm/resnet50": units("layer{}.{}.bn3", (3, 4, 6, 3)),
    "timm/resnet18d": units("layer{}.{}.bn2", (2, 2, 2, 2)),
    "timm/seresnet18": units("layer{}.{}.se", (2, 2, 2, 2)),
    "timm/res2net50_26w_4s": units("layer{}.{}.bn3", (3, 4, 6, 3)),
    "timm/regnetx_002": [
        f"s{s}.b{b}.conv3.bn" for s, n in ((1, 1), (2, 1), (3, 4), (4, 7)) for b in range(1, n + 1)
    ],
    "timm/efficientnet_b0": [
        f"blocks.{s}.{u}.bn3" for s, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 4)) for u in range(1, n)
    ],
    "timm/convnext_atto": [
        f"stages.{s}.blocks.{u}.drop_path" for s, n in enumerate((2, 2, 6, 2)) for u in range(n)
    ],
    "torchvision/resnet18": units("layer{}.{}.bn2", (2, 2, 2, 2)),
    "torchvision/resnet50": units("layer{}.{}.bn3", (3, 4, 6, 3)),
    "torchvision/mobilenet_v2": [f"features.{i}.conv.3" for i in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)],
    "torchvision/mobilenet_v3_large": [
        "features.1.block.1.1",
        "features.3.block.2.1",
        *(f"features.{i}.block.3.1" for i in (5, 6)),
        *(f"features.{i}.block.2.1" for i in (8, 9, 10)),
        *(f"features.{i}.block.3.1" for i in (12, 14, 15)),
    ],
    "torchvision/convnext_tiny": [
        f"features.{2 * s + 1}.{u}.stochastic_depth" for s, n in enumerate((3, 3, 9, 3)) for u in range(n)
    ],
}  # fmt: skip

STAGE = {
    "resnet20": ["layer1.2", "layer2.2", "layer3.2"],
    "timm/resnet50": ["layer1.2", "layer2.3", "layer3.5", "layer4.2"],
    "timm/convnext_atto": ["stages.0", "stages.1", "stages.2", "stages.3"],
    "timm/regnetx_002": ["s1.b1", "s2.b1", "s3.b4", "s4.b7"],
    "timm/efficientnet_b0": ["blocks.1.1", "blocks.2.1", "blocks.4.2", "blocks.6.0"],
    "torchvision/resnet18": ["layer1.1", "layer2.1", "layer3.1", "layer4.1"],
    "torchvision/mobilenet_v2": ["features.3", "features.6", "features.13", "features.18.2"],
    "torchvision/convnext_tiny": ["features.1.2", "features.3.2", "features.5.8", "features.7.2"],
    "torchvision/vgg11": ["features.4", "features.9", "features.14", "features.19"],
    "torchvision/densenet121": [*(f"features.transition{i}.norm" for i in (1, 2, 3)), "features.norm5"],
    "torchvision/squeezenet1_1": ["features.4", "features.7", "features.12"],
}


@pytest.mark.parametrize("name", quick_only([n for n in RESIDUAL if "resnet50" not in n], RESIDUAL))
def test_residual(name):
    assert [site.name for site in plan(build(name), Squeeze, input_size=64).sites] == RESIDUAL[name]


@pytest.mark.parametrize(
    "name", quick_only(STAGE.keys() - {"torchvision/vgg11", "torchvision/densenet121", "timm/resnet50"}, STAGE)
)
def test_stage(name):
    sites = plan(build(name), Squeeze, "stage", input_size=64).sites
    assert [site.name for site in sites] == STAGE[name]
    sizes = [site.height for site in sites]
    assert sizes == sorted(set(sizes), reverse=True)


def test_se_resnet50_has_the_papers_parameters():
    model = build("timm/resnet50")
    planned = insert(model, Squeeze, input_size=64)
    assert planned.parameters + planned.added_parameters == 28_088_024  # with biases, as in the Caffe release
    assert sum(p.numel() for p in model.parameters()) == 28_088_024


@pytest.mark.parametrize("block", [Squeeze, Attend, lambda channels: nn.Conv2d(channels, channels, 3, padding=1)])
def test_costs_are_torchs_own_count(block):
    model, image = build("resnet20").eval(), torch.zeros(1, 3, 32, 32)
    plain = plain_flops(model, image)
    planned = insert(model, block)
    assert planned.flops == plain
    assert planned.flops + planned.added_flops == plain_flops(model, image)
    assert planned.added_flops > 0
    total = sum(p.numel() for p in model.parameters())
    assert planned.parameters + planned.added_parameters == total


def test_containers_hand_on_to_what_returns_their_output():
    model = build("torchvision/resnet18")
    assert [s.name for s in plan(model, Squeeze, "layer*", input_size=64).sites] == STAGE["torchvision/resnet18"]
    timm = build("timm/regnetx_002")  # its stages run over their children
    assert [s.name for s in plan(timm, Squeeze, "s?", input_size=64).sites] == STAGE["timm/regnetx_002"]


def test_several_positions_are_joined_in_the_order_of_the_forward():
    names = [s.name for s in plan(build("resnet20"), Squeeze, ["stage", "layer1.*.bn2", "layer1.0.bn2"]).sites]
    assert names == ["layer1.0.bn2", "layer1.1.bn2", "layer1.2.bn2", "layer1.2", "layer2.2", "layer3.2"]


class Branches(nn.Module):
    """Additions of every spelling, and one that is not a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.one, self.two, self.three = (nn.Conv2d(4, 4, 3, 1, 1) for _ in range(3))
        self.left, self.right, self.gate = (nn.Conv2d(4, 4, 1) for _ in range(3))
        self.scale = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x):
        x = self.stem(x)
        x = x + self.one(x)
        y = self.two(x)
        y += x
        y = torch.add(self.scale * self.three(y), y)
        y = self.left(y) + self.right(y)  # two branches alike: neither is a shortcut
        return (y + y.mean((2, 3), keepdim=True)).mean((2, 3))


def test_finds_additions_however_they_are_written():
    assert [site.name for site in plan(Branches(), Squeeze, input_size=16).sites] == ["one", "two", "three"]


def test_table_and_dict():
    planned = plan(build("resnet20", num_classes=10), Squeeze, "stage", init="identity", input_size=(32, 48))
    lines = str(planned).splitlines()
    assert lines[0] == "Squeeze at stage, init identity, image 3×32×48"
    assert lines[1].split() == ["site", "type", "channels", "size", "parameters", "FLOPs"]
    assert lines[4].split()[:5] == ["layer2.2", "BasicBlock", "32", "16×24", "194"]  # 162 of the block, and alpha
    assert lines[-5].split()[:3] == ["CifarResNet", "without", "269,722"]
    assert len({len(line) for line in lines[2:3] + lines[6:7]}) == 1
    record = planned.to_dict()
    assert record["added_parameters"] == sum(site["parameters"] for site in record["sites"])
    assert record["sites"][0]["block"] == "layer1.2.attention"


def test_summaries_keep_the_keys_of_sites():
    """Run directories written by earlier versions, and the report's page, know these names."""
    site = plan(build("resnet20"), Squeeze, "stage:0").to_dict()["sites"][0]
    assert list(site) == [
        "name", "host", "channels", "height", "width", "block", "parameters", "flops", "place", "label",
    ]  # fmt: skip
    assert (site["name"], site["host"], site["place"]) == ("layer1.2", "BasicBlock", "after")


class Grouped(nn.Module):
    """Residual blocks inside of a long skip, as in RCAN (Zhang et al., ECCV 2018)."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(blocks))
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.stem(x)
        y = x
        for conv in self.convs:
            y = y + conv(y)
        return self.head((x + self.last(y)).mean((2, 3)))


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_a_skip_around_several_residual_blocks_is_not_one(blocks):
    planned = plan(Grouped(blocks), "se", at="residual", input_size=16)
    assert [site.name for site in planned.sites] == [f"convs.{number}" for number in range(blocks)]
