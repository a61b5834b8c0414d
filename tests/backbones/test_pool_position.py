"""The position `pool`, against each library's own features and head with a weighted average between them."""

import copy

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import nn

from cv_attention import record, to_heatmap
from cv_attention.backbones import build, insert, overview, plan, remove
from tests.backbones.test_encoder_decoders import ResidualUNet, UNet
from tests.quick import quick_only


class Ramp(nn.Module):
    """Weighs positions by fixed numbers of mean 1 that grow from corner to corner."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * self.weight * (x[0, 0].numel() * shares(x))


def shares(x):
    """Weights (H, W) that sum to 1."""
    count = torch.arange(1.0, x[0, 0].numel() + 1)
    return (count / count.sum()).view(x.shape[2:])


def weighted(x):
    return (x * shares(x)).sum((2, 3))


def through_timm(model, image):
    features = model.forward_features(image)
    return model.forward_head(weighted(features)[:, :, None, None].expand_as(features))


def through_resnet20(model, image):
    x = model.layer3(model.layer2(model.layer1(model.act1(model.bn1(model.conv1(image))))))
    return model.fc(weighted(x))


# By hand from the libraries' sources: host, channels, and the forward with a weighted average.
NETWORKS = {
    "resnet20": ("layer3.2", 64, through_resnet20),
    "timm/resnet18": ("layer4.1", 512, through_timm),
    "timm/efficientnet_b0": ("bn2", 1280, through_timm),
    "timm/densenet121": ("features.norm5", 1024, through_timm),
    "timm/mobilenetv3_small_100": ("blocks.5.0", 576, through_timm),
    "timm/convnext_atto": ("stages.3", 320, through_timm),
    "timm/regnetx_002": ("s4.b7", 368, through_timm),
    "torchvision/mobilenet_v2": ("features.18.2", 1280, lambda m, x: m.classifier(weighted(m.features(x)))),
    "torchvision/densenet121": ("features.norm5", 1024, lambda m, x: m.classifier(weighted(m.features(x).relu()))),
    "torchvision/efficientnet_b0": ("features.8.2", 1280, lambda m, x: m.classifier(weighted(m.features(x)))),
}


@pytest.mark.parametrize(
    "name", quick_only([n for n in NETWORKS if not ("densenet" in n or "efficientnet" in n)], NETWORKS)
)
def test_pools_a_weighted_average(name):
    torch.manual_seed(0)
    host, channels, by_hand = NETWORKS[name]
    model, image = build(name, num_classes=5).eval(), torch.randn(2, 3, 96, 96)
    state = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        for module in model.modules():  # a fresh head or norm may hide a difference
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight)
        plain, expected = model(image), by_hand(model, image)
        scale = plain.abs().max()  # features of random weights may be tiny
        planned = plan(model, Ramp, "pool", input_size=96)
        assert [(site.name, site.channels) for site in planned.sites] == [(host, channels)]
        assert model.state_dict().keys() == state.keys()
        insert(model, Ramp, "pool", input_size=96)
        assert (model(image) - plain).abs().max() > 1e-2 * scale
        torch.testing.assert_close(model(image) / scale, expected / scale, rtol=1e-4, atol=1e-4)
        remove(model)
        assert torch.equal(model(image), plain)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hugging_face():
    torch.manual_seed(0)
    config = transformers.ResNetConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], embedding_size=8)
    model, image = transformers.ResNetForImageClassification(config).eval(), torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        features = model.resnet(image).last_hidden_state
        expected = model.classifier[1](weighted(features))
        # The features are returned too, not their mean alone: the block goes before the pooling, which is a module.
        site = insert(model.resnet, Ramp, "pool", input_size=96).sites[0]
        assert (site.name, site.place) == ("pooler", "before")
        assert torch.equal(model.resnet(image).last_hidden_state, features)
        torch.testing.assert_close(model(image).logits, expected)
        remove(model.resnet)
        insert(model, Ramp, "pool", input_size=96)
        torch.testing.assert_close(model(image).logits, expected)


class Net(nn.Module):
    """A convolution and a linear layer; `pooled` makes the features (B, 8) of the map (B, 8, 30, 30)."""

    def __init__(self, pooled) -> None:
        super().__init__()
        self.conv, self.average, self.fc = nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 4)
        self.pooled = pooled

    def forward(self, x):
        return self.fc(self.pooled(self, self.conv(x)))


@pytest.mark.parametrize(
    ("pooled", "host", "place", "activation"),
    [
        (lambda net, x: F.adaptive_avg_pool2d(x, 1).flatten(1), "conv", "after", nn.Identity()),
        (lambda net, x: x.mean((2, 3)), "conv", "after", nn.Identity()),
        (lambda net, x: x.mean((-1, -2), keepdim=True)[:, :, 0, 0], "conv", "after", nn.Identity()),
        (lambda net, x: x.mean(3).mean(2), "conv", "after", nn.Identity()),
        (lambda net, x: x.flatten(2).mean(2), "conv", "after", nn.Identity()),
        (lambda net, x: F.avg_pool2d(x, 30).flatten(1), "conv", "after", nn.Identity()),
        (lambda net, x: F.relu(x).mean((2, 3)), "conv", "after", nn.ReLU()),
        (lambda net, x: net.average(F.silu(x)).flatten(1), "average", "before", nn.SiLU()),
    ],
)
def test_forms_of_pooling(pooled, host, place, activation):
    torch.manual_seed(0)
    model, image = Net(pooled).eval(), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.fc(weighted(activation(model.conv(image))))
        site = insert(model, Ramp, "pool", input_size=32).sites[0]
        assert (site.name, site.place, site.height) == (host, place, 30)
        torch.testing.assert_close(model(image), expected)


@pytest.mark.parametrize(
    ("pooled", "reason"),
    [
        (lambda net, x: F.avg_pool2d(x, 29).flatten(1), r"8×30×30 is not the mean over its positions \(avg_pool2d\)"),
        (lambda net, x: x.amax((2, 3)), "its pooling takes the maximum of the feature map 8×30×30, not the mean"),
        (lambda net, x: x.mean((2, 3)) + x.amax((2, 3)), r"is not the mean over its positions \(add\)"),
        (lambda net, x: F.silu(x).mean((2, 3)), "neither a module returns the feature map 8×30×30"),
        (lambda net, x: x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3), "neither a module returns"),
        (lambda net, x: F.layer_norm(x.permute(0, 2, 3, 1), (8,)).mean((1, 2)), "has the channels last"),
        (lambda net, x: x[:, :, :1, :1].mean((2, 3)), "takes a single position, 8×1×1, of an image 3×32×32"),
    ],
)
def test_other_poolings_are_refused(pooled, reason):
    with pytest.raises(ValueError, match=f"^Net has no position 'pool', since .*{reason}"):
        plan(Net(pooled), Ramp, "pool", input_size=32)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("timm/vit_tiny_patch16_224", "it makes a sequence of tokens of the feature map 192×14×14"),
        ("timm/mixer_s32_224", "it makes a sequence of tokens of the feature map 512×7×7"),
        ("timm/swin_tiny_patch4_window7_224", r"its last feature map \(7, 7, 768\) has the channels last"),
        pytest.param(
            "torchvision/vgg11",
            "its head takes all positions of the feature map 512×7×7, flattened",
            marks=pytest.mark.long,
        ),
        ("torchvision/squeezenet1_1", "its head comes before its pooling, which takes the logits"),
    ],
)
def test_networks_without_it_are_refused(name, reason):
    with pytest.raises(ValueError, match=f"has no position 'pool', since {reason}"):
        plan(build(name), Ramp, "pool")


class Outputs(nn.Module):
    """Returns several things; `last` makes them of the feature map and the linear layer."""

    def __init__(self, last) -> None:
        super().__init__()
        self.conv, self.fc, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), last

    def forward(self, x):
        return self.last(self.fc, self.conv(x))


def test_outputs_of_one_mean_share_the_block():
    model = Outputs(lambda fc, x: [fc(mean := x.mean((2, 3))), fc(mean * 2)])
    assert [site.name for site in plan(model, Ramp, "pool", input_size=32).sites] == ["conv"]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (lambda fc, x: (fc(x.mean((2, 3))), fc(x.relu().mean((2, 3)))), "come from 2 poolings, of the feature maps"),
        (lambda fc, x: (fc(x.mean((2, 3))), x), "that its pooling takes is used elsewhere too"),
        (lambda fc, x: (fc(x.relu().mean((2, 3))), x), "that its pooling takes is used elsewhere too"),
        (lambda fc, x: (fc(x.mean((2, 3))), x + 1), "that its pooling takes is used elsewhere too"),
        (lambda fc, x: x, "its output is a feature map, 8×30×30, and nothing pools it"),
    ],
)
def test_other_outputs_are_refused(last, reason):
    with pytest.raises(ValueError, match=reason):
        plan(Outputs(last), Ramp, "pool", input_size=32)


@pytest.mark.parametrize("network", [UNet, ResidualUNet])
def test_encoder_decoders_are_refused(network):
    with pytest.raises(ValueError, match="Net has no position 'pool', since "):
        plan(network(), Ramp, "pool", input_size=32)


def test_the_mean_inside_a_gate_is_no_pooling_of_the_network():
    model = build("timm/seresnet18", num_classes=3)
    assert [site.name for site in plan(model, Ramp, "pool", input_size=96).sites] == ["layer4.1"]
    insert(model, "se", "stage")
    assert [site.name for site in plan(model, Ramp, "pool", input_size=96).sites] == ["layer4.1"]


def test_plain_sequential():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)]
    model, image = nn.Sequential(*layers).eval(), torch.randn(2, 3, 16, 16)
    expected = layers[4](weighted(layers[1](layers[0](image))))
    assert [site.name for site in insert(model, Ramp, "pool", input_size=16).sites] == ["1"]
    torch.testing.assert_close(model(image), expected)
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="eager")(image), expected)
    twin = nn.Sequential(*copy.deepcopy(layers))
    remove(twin)
    insert(twin, Ramp, "pool", input_size=16)
    twin.load_state_dict(model.state_dict())
    torch.testing.assert_close(twin(image), expected)


def test_comes_last_among_several():
    model, image = build("timm/resnet18", num_classes=3).eval(), torch.randn(2, 3, 96, 96)
    sites = insert(model, {"pool": Ramp, "stage:-1": "simam", "residual:0": "se"}, input_size=96).sites
    assert [site.label for site in sites] == ["se", "se", "simam", "Ramp"]
    features = []
    model.get_submodule(sites[-2].block).register_forward_hook(lambda block, inputs, output: features.append(output))
    with torch.no_grad():
        logits = model(image)
        torch.testing.assert_close(logits, model.fc(weighted(features[0])))
    remove(model)
    names = [site.name for site in plan(model, Ramp, ["residual:-1", "pool"], input_size=96).sites]
    assert names == ["layer4.0.bn2", "layer4.1.bn2", "layer4.1"]
    assert [site.name for site in plan(model, Ramp, "pool:-1", input_size=96).sites] == ["layer4.1"]


def test_trains_block_and_head():
    model = build("resnet20", num_classes=4)
    planned = insert(model, Ramp, "pool", train="blocks+head")
    assert planned.head == ("fc",)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"layer3.2.attention.weight", "fc.weight", "fc.bias"}


def test_the_overview_counts_it():
    assert overview(build("resnet20")).positions["pool"] == (1, [0, 0, 1], [])


QUERIES = ["class_attention", "latent_pool", "query_2d"]
POOLINGS = ["additive", {"name": "luong", "score": "concat"}, "luong", "local", "gated"]


@pytest.mark.parametrize(
    "name",
    [
        "resnet20",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("timm/mobilenetv3_small_100", "timm/efficientnet_b0", "torchvision/densenet121")
        ),
    ],
)
def test_fresh_attention_poolings_change_no_bit(name):
    torch.manual_seed(0)
    model, image = build(name, num_classes=5).eval(), torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        plain = model(image)
        for block in POOLINGS:
            insert(model, block, "pool", input_size=96)
            assert torch.equal(model(image), plain), block
            with record(model) as maps:
                model(image)
            [map_] = [map_ for name, map_ in maps.items() if name.endswith("attention.map")]
            assert (map_.values == 1).all()
            assert to_heatmap(map_).shape[:2] == (2, 1)
            remove(model)
        for block in QUERIES:  # they return other features, which are faded in
            insert(model, block, "pool", init="identity", input_size=96)
            assert torch.equal(model(image), plain), block
            with record(model) as maps:
                model(image)
            last = [map_ for name, map_ in maps.items() if ".attention.block." in name][-1]
            assert last.values.shape[:3] == (2, 4, 1)
            assert to_heatmap(last).shape[:2] == (2, 1)
            remove(model)
    model.train()
    torch.manual_seed(1)
    plain = model(image)
    insert(model, "additive", "pool", input_size=96)
    torch.manual_seed(1)
    assert torch.equal(model(image), plain)


@pytest.mark.parametrize("block", QUERIES)
def test_the_mean_gives_the_vector_of_one_query_back(block):
    torch.manual_seed(0)
    model, image, seen = build("resnet20", num_classes=5).eval(), torch.randn(2, 3, 64, 64), []
    insert(model, block, "pool", input_size=64)
    model.layer3[2].attention.register_forward_hook(lambda block, inputs, output: seen.append(output))
    with torch.no_grad():
        logits = model(image)
        torch.testing.assert_close(logits, model.fc(seen[0][:, :, 3, 5]))


@pytest.mark.parametrize("block", POOLINGS, ids=str)
def test_trained_attention_poolings_are_weighted_averages(block):
    torch.manual_seed(0)
    model, image = build("resnet20", num_classes=5).eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.layer3(model.layer2(model.layer1(model.act1(model.bn1(model.conv1(image))))))
        plain = model(image)
        insert(model, block, "pool", input_size=64)
        for parameter in model.layer3[2].attention.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        with record(model) as maps:
            logits = model(image)
        [map_] = maps.values()
        assert map_.kind == "spatial"
        weights = map_.values.flatten(2) / 256
        torch.testing.assert_close(weights.sum(2), torch.ones(2, 1))
        torch.testing.assert_close(logits, model.fc((features.flatten(2) * weights).sum(2)))
        assert (logits - plain).abs().max() > 1e-3
