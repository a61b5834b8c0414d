"""The named positions, against figure 5 of the SE paper written out by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention.backbones import build, insert, plan, remove
from tests.quick import quick_first, quick_only


class Scale(nn.Module):
    """Something that commutes with nothing around it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor, self.bias = nn.Parameter(torch.rand(channels, 1, 1)), nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, x):
        return x * self.factor + self.bias


class TwoScales(Scale):
    pass


def units_of(model):
    return [unit for layer in (model.layer1, model.layer2, model.layer3, model.layer4) for unit in layer]


def by_hand(model, image, attend):
    """torchvision's ResNet-18 with figure 5's four places spelled out; `attend(place, unit, x)` is the block."""
    x = model.maxpool(F.relu(model.bn1(model.conv1(image))))
    for unit in units_of(model):
        branch = unit.bn2(unit.conv2(F.relu(unit.bn1(unit.conv1(attend("pre", unit, x))))))
        branch = attend("residual", unit, branch)
        shortcut = attend("identity", unit, x if unit.downsample is None else unit.downsample(x))
        x = attend("post", unit, F.relu(branch + shortcut))
    return model.fc(x.mean((2, 3)))


@pytest.mark.parametrize("name", quick_first(["torchvision/resnet18", "timm/resnet18"]))
@pytest.mark.parametrize("position", ["residual", "pre", "post", "identity"])
def test_figure_5(name, position):
    torch.manual_seed(0)
    model = build(name, num_classes=3).eval()
    plain, image = copy.deepcopy(model), torch.randn(2, 3, 64, 64)
    planned = insert(model, Scale, position, input_size=64)
    assert len(planned.sites) == 8
    blocks = dict(zip(units_of(plain), (model.get_submodule(site.block) for site in planned.sites), strict=True))

    def attend(place, unit, x):
        return blocks[unit](x) if place == position else x

    with torch.no_grad():
        torch.testing.assert_close(model(image), by_hand(plain, image, attend))
        if position == "identity":  # a second one behind the first, then the second alone
            second = insert(model, Scale, position, input_size=64)
            assert [s.name for s in second.sites] == [s.name for s in planned.sites]
            more = [model.get_submodule(site.block) for site in second.sites]
            both = dict(zip(blocks, zip(blocks.values(), more, strict=True), strict=True))
            twice = by_hand(plain, image, lambda p, u, x: both[u][1](both[u][0](x)) if p == position else x)
            torch.testing.assert_close(model(image), twice)
            remove(model, "attention")
            alone = by_hand(plain, image, lambda p, u, x: both[u][1](x) if p == position else x)
            torch.testing.assert_close(model(image), alone)
        remove(model)
        assert torch.equal(model(image), plain(image))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


# Where the blocks hang, by hand from the libraries' sources: (first site, place, number of sites).
PLACES = {
    ("timm/resnet50", "pre"): ("layer1.0.conv1", "before", 16),
    ("timm/resnet50", "post"): ("layer1.0", "after", 16),
    ("timm/resnet50", "identity"): ("layer1.0.downsample.1", "after", 16),
    ("torchvision/resnet50", "post"): ("layer1.0", "after", 16),
    ("timm/resnetv2_50", "pre"): ("stages.0.blocks.0.conv1", "before", 16),
    ("timm/convnext_atto", "pre"): ("stages.0.blocks.0.conv_dw", "before", 12),
    ("timm/convnext_atto", "post"): ("stages.0.blocks.0", "after", 12),
    ("timm/convnext_atto", "identity"): ("stages.0.blocks.0", "shortcut", 12),
    ("timm/efficientnet_b0", "pre"): ("blocks.1.1.conv_pw", "before", 9),
    ("timm/efficientnet_b0", "identity"): ("blocks.1.1", "shortcut", 9),
    ("torchvision/mobilenet_v2", "pre"): ("features.3.conv.0.0", "before", 10),
    ("torchvision/mobilenet_v2", "identity"): ("features.3", "shortcut", 10),
    ("timm/regnetx_002", "post"): ("s1.b1", "after", 13),
    ("resnet20", "identity"): ("layer1.0", "shortcut", 9),
    ("timm/resnet50", "replace"): ("layer1.0.conv2", "instead", 16),
    ("timm/resnet50d", "replace"): ("layer1.0.conv2", "instead", 16),
    ("timm/resnet18", "replace"): ("layer1.0.conv1", "instead", 13),
    ("torchvision/mnasnet0_5", "replace"): ("layers.8.0.layers.3", "instead", 6),
}


@pytest.mark.parametrize(("name", "position"), PLACES)
def test_places(name, position):
    sites = plan(build(name), Scale, position, input_size=64).sites
    assert (sites[0].name, sites[0].place, len(sites)) == PLACES[name, position]


@pytest.mark.parametrize("position", ["pre", "post", "identity"])
@pytest.mark.parametrize(
    "name",
    quick_only(
        ["resnet20", "timm/convnext_atto"], ["resnet20", "timm/nf_resnet26", "timm/resnetv2_50", "timm/convnext_atto"]
    ),
)
def test_identity_init_at_each_position(name, position):
    torch.manual_seed(0)
    model, image = build(name, num_classes=4).eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        plain = model(image)
        planned = insert(model, "se", position, init="identity", input_size=64)
        assert torch.equal(model(image), plain)
    state = copy.deepcopy(model.state_dict())
    model.train()(image).square().sum().backward()
    for site in planned.sites:
        assert all(parameter.grad is not None for parameter in model.get_submodule(site.block).parameters())
    model.load_state_dict(state)
    remove(model)
    with torch.no_grad():
        assert torch.equal(model.eval()(image), plain)


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("stage:-1", ["layer3.2"]),
        ("stage:0", ["layer1.2"]),
        ("stage:1:", ["layer2.2", "layer3.2"]),
        ("stage:-2", ["layer2.2"]),
        ("residual:-1", ["layer3.0.bn2", "layer3.1.bn2", "layer3.2.bn2"]),
        ("pre:1", ["layer2.0.conv1", "layer2.1.conv1", "layer2.2.conv1"]),
        (["residual:0:1", "stage:2"], ["layer1.0.bn2", "layer1.1.bn2", "layer1.2.bn2", "layer3.2"]),
        ("replace:-1", ["layer3.0.conv2", "layer3.1.conv1", "layer3.1.conv2", "layer3.2.conv1", "layer3.2.conv2"]),
        ("replace:layer3.*.conv2", ["layer3.0.conv2", "layer3.1.conv2", "layer3.2.conv2"]),
    ],
)
def test_stages(at, names):
    assert [site.name for site in plan(build("resnet20"), Scale, at).sites] == names


@pytest.mark.parametrize(
    ("name", "at", "parts"),
    [
        ("resnet20", "stage:3", ["'stage:3'", "3 stages, 0 to 2", "stage 2: 1"]),
        ("resnet20", "residual:last", ["'residual:last'", "residual:-1"]),
        ("resnet20", "residaul:-1", ["'residaul:-1'", "'residual'"]),
        ("resnet20", "replace:layer2.0.conv1", ["layer2.0.conv1", "32 channels of 16"]),
        ("resnet20", "replace:layer2.0.bn1", ["BatchNorm2d is not a Conv2d"]),
        ("timm/convnext_atto", "replace", ["no position 'replace'", "residual (12 sites)", "identity (12 sites)"]),
        ("torchvision/squeezenet1_1", "pre", ["no position 'pre'; it has: stage (3 sites); or name modules"]),
    ],
)
def test_says_what_there_is(name, at, parts):
    with pytest.raises(ValueError) as caught:
        plan(build(name), Scale, at, input_size=64)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "block",
    [
        {"residual:0": "se", "residual:-1": {"name": "vit", "heads": 4}},
        [("se", "residual:0"), ({"name": "vit", "heads": 4}, ["residual:-1"])],
    ],
)
def test_different_blocks_per_stage(block):
    model = build("resnet20", num_classes=4)
    planned = insert(model, block)
    assert [site.label for site in planned.sites] == ["se"] * 3 + ["vit"] * 3
    assert (planned.block, planned.at) == ("se, vit", ("residual:0", "residual:-1"))
    assert type(model.layer3[0].bn2.attention).__name__ == "ViTBlock"
    assert {site.block.rpartition(".")[2] for site in planned.sites} == {"attention"}
    head = str(planned).splitlines()
    assert head[0] == "se at residual:0; vit at residual:-1, init plain, image 3×32×32"
    assert head[1].split()[:4] == ["site", "type", "block", "channels"]
    assert planned.added_parameters == sum(p.numel() for name, p in model.named_parameters() if ".attention." in name)


def test_blocks_at_one_site_compose_in_their_order():
    model, image = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), torch.randn(1, 3, 8, 8)
    plain = model[0](image)
    planned = insert(model, [(Scale, "0"), (TwoScales, "0")], input_size=8)
    assert [site.block for site in planned.sites] == ["0.attention", "0.attention_and_2"]
    assert type(model[0].attention_and_2) is TwoScales
    composed = model[0].attention_and_2(model[0].attention(plain))
    torch.testing.assert_close(model[0](image), composed)
    second = insert(model, Scale, "0", input_size=8)
    assert second.name == "attention_2"
    assert "called attention_2 below its site" in str(second)
    remove(model, "attention_2")
    torch.testing.assert_close(model[0](image), composed)
    assert remove(model, planned) == ["0.attention", "0.attention_and_2"]  # an insertion is removed as a whole
    assert torch.equal(model[0](image), plain)
    with pytest.raises(ValueError, match="no insertion is called 'attention'; there are: none"):
        remove(model, planned)


@pytest.mark.parametrize(
    ("block", "at", "part"),
    [
        ({"residual": "se"}, "stage", "at='stage'"),
        ({}, "residual", "empty"),
        ([], "residual", "pairs"),
        (["se", "vit"], "residual", "pairs"),
        ({"residual:0": "see"}, "residual", "'see'"),
        ("se", 3, "got 3"),
    ],
)
def test_says_what_is_wrong_with_several_blocks(block, at, part):
    with pytest.raises(ValueError, match=part):
        plan(build("resnet20"), block, at)


def test_blocks_with_additions_hide_no_unit():
    model = build("resnet20")
    first = insert(model, "vit")
    second = plan(model, "se")
    assert [site.name for site in second.sites] == [site.name for site in first.sites]
    assert second.flops == first.flops + first.added_flops
