"""Attention to several depths: the paper's equations, pretrained networks, `model.head`."""

import copy
import threading

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.testing import assert_close

import cv_attention as cva
from cv_attention.backbones import build
from cv_attention.config import Model
from cv_attention.heads import PayAttention, options_of_pay_attention, pay_attention, remove_pay_attention
from cv_attention.training import build_network

LAYERS = ["layer1", "layer2", "layer3"]


def unlike(module):
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module


def by_loops(head, features, vectors):
    """Section 3 of the paper, position by position: logits, and the weights of every depth."""
    logits, weights = [], [[] for _ in features]
    for image, g in enumerate(vectors):
        attended = []
        for depth, x in enumerate(features):
            rows = x[image].flatten(1).T
            if hasattr(head.project[depth], "weight"):
                rows = torch.stack([head.project[depth].weight[:, :, 0, 0] @ row for row in rows])
            if head.score == "pc":
                scores = [sum(float(u) * (float(h) + float(k)) for u, h, k in zip(head.u[depth], row, g, strict=True))
                          for row in rows]  # fmt: skip
            else:
                scores = [sum(float(h) * float(k) for h, k in zip(row, g, strict=True)) for row in rows]
            exponentials = torch.tensor(scores, dtype=torch.float64).exp()
            shares = exponentials / exponentials.sum()
            weights[depth].append(shares.view(x.shape[2:]))
            attended.append(sum(share * row for share, row in zip(shares, rows, strict=True)))
        logits.append(head.logits.weight @ torch.cat(attended))
    return torch.stack(logits), [torch.stack(maps) for maps in weights]


@pytest.mark.parametrize("score", ["pc", "dp"])
def test_against_the_equations(score):
    torch.manual_seed(0)
    head = unlike(PayAttention([4, 6, 5], width=5, classes=3, score=score)).double()
    features = [torch.randn(2, c, h, w, dtype=torch.float64) for c, h, w in ((4, 4, 6), (6, 2, 3), (5, 1, 2))]
    vectors = torch.randn(2, 5, dtype=torch.float64)
    with torch.no_grad():
        expected, maps = by_loops(head, features, vectors)
        with cva.record(head) as seen:
            assert_close(head(features, vectors), expected)
    for map_, expected_map in zip(seen.values(), maps, strict=True):
        assert_close(map_.values[:, 0, 0], expected_map)


@pytest.mark.parametrize(("score", "depends"), [("pc", False), ("dp", True)])
def test_only_the_weights_of_dp_depend_on_the_global_feature(score, depends):
    head = unlike(PayAttention([5], width=5, classes=3, score=score))
    features, weights = [torch.randn(1, 5, 3, 3)], []
    for _ in range(2):
        with cva.record(head) as maps:
            head(features, torch.randn(1, 5))
        weights.append(maps["maps.0"].values)
    assert torch.allclose(*weights, atol=1e-6) != depends


@pytest.mark.parametrize(
    ("model", "at"),
    [
        (lambda: timm.create_model("resnet18"), ["layer2", "layer3", "layer4"]),
        (lambda: timm.create_model("tf_efficientnet_lite0"), ["blocks.2", "blocks.4", "bn2"]),
        (lambda: torchvision.models.mobilenet_v2(), ["features.6", "features.13", "features.18"]),
        (lambda: build("resnet20"), LAYERS),
    ],
    ids=["resnet18", "efficientnet_lite0", "mobilenet_v2", "resnet20"],
)
def test_a_fresh_head_changes_nothing_to_the_bit_and_learns(model, at):
    torch.manual_seed(0)
    network, images = model().eval(), torch.randn(2, 3, 64, 64)
    before, keys, original = network(images), set(network.state_dict()), copy.deepcopy(network.state_dict())
    head = pay_attention(network, at, images[:1])
    assert torch.equal(network(images), before)
    network(images).square().sum().backward()
    assert head.logits.weight.grad.abs().max() > 0
    network.load_state_dict(original)  # strictly
    assert torch.equal(copy.deepcopy(network)(images), before)
    nn.init.normal_(head.logits.weight)
    assert not torch.allclose(network(images), before)
    remove_pay_attention(network)
    assert torch.equal(network(images), before)
    assert set(network.state_dict()) == keys
    hooks = [m for m in network.modules() if m._forward_hooks or m._forward_pre_hooks or m._load_state_dict_pre_hooks]
    assert hooks == []


def test_the_global_feature_is_what_the_classifier_takes():
    torch.manual_seed(0)
    network, images = build("resnet20", num_classes=5).eval(), torch.randn(2, 3, 32, 32)
    head = unlike(pay_attention(network, LAYERS[1:], images[:1]))
    x = network.act1(network.bn1(network.conv1(images)))
    second = network.layer2(network.layer1(x))
    third = network.layer3(second)
    g = third.mean((2, 3))
    assert_close(network(images), network.fc(g) + head([second, third], g))


def test_threads_and_compilers_see_their_own_images():
    torch.manual_seed(0)
    network = build("resnet20", num_classes=5).eval()
    unlike(pay_attention(network, LAYERS, torch.zeros(1, 3, 32, 32)))
    batches = [torch.randn(2, 3, 32, 32) for _ in range(8)]
    expected, found = [network(batch) for batch in batches], [None] * 8

    def run(number):
        for _ in range(5):
            found[number] = network(batches[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)
    exported = torch.export.export(network, (batches[0],)).module()
    assert_close(exported(batches[1]), expected[1])


@pytest.mark.parametrize("train", ["all", "blocks", "blocks+head", "head"])
def test_from_a_configuration(train):
    model = Model(backbone="resnet20", head={"name": "pay_attention", "score": "dp"}, block="se", train=train)
    network, plan = build_network(model, 4, (32, 32))
    assert network.pay_attention.score == "dp"
    assert [parameter.shape[1] for parameter in network.pay_attention.project.parameters()] == [16, 32]
    assert {site.label for site in plan.sites} == {"se"}
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 4)


def test_only_the_head_is_trained():
    network, plan = build_network(Model(head="pay_attention", train="blocks"), 4, (32, 32))
    assert plan is None
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {f"pay_attention.{name}" for name, _ in network.pay_attention.named_parameters()}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, x: pay_attention(m, ["layer9"], x), "has no module 'layer9'"),
        (lambda m, x: pay_attention(m, "layer1", x), "at must be a list"),
        (lambda m, x: pay_attention(m, ["fc"], x), r"fc must return a feature map \(B, C, H, W\), got \(1, 10\)"),
        (lambda m, x: pay_attention(m, ["layer1"], x, score="cp"), "score must be one of 'pc', 'dp'"),
        (lambda m, x: pay_attention(m, ["layer1"], x, classifier="conv1"), "conv1 is not a linear layer of a vector"),
        (lambda m, x: (pay_attention(m, ["layer1"], x), pay_attention(m, ["layer1"], x)), "already; remove it first"),
        (lambda m, x: remove_pay_attention(m), "has no head pay_attention"),
        (lambda m, x: options_of_pay_attention({"name": "pay_attention", "depth": 2}), "did you mean 'depths'"),
        (lambda m, x: options_of_pay_attention({"name": "pay_attention", "depths": 0}), "depths must be a positive"),
    ],
)
def test_mistakes(call, words):
    with pytest.raises(ValueError, match=words):
        call(build("resnet20", num_classes=10), torch.zeros(1, 3, 32, 32))
