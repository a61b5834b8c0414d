"""Readers of other people's backbones, against what their pooling takes, seen by a hook."""

import copy
import threading

import pytest
import timm
import torch
import torchvision
from torch import nn

import cv_attention as cva
from cv_attention import backbones, record

SIZE = (64, 96)


def own(name):
    return lambda: backbones.build(name)


class Headless(nn.Module):
    """Pools by a function, behind a convolution without a norm."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, 4, 1)
        self.classify = nn.Linear(8, 5)

    def forward(self, x):
        return self.classify(nn.functional.adaptive_avg_pool2d(self.body(x).relu(), 1).flatten(1))


MODELS = {
    "ours": (own("resnet20"), None),
    "ours, wide": (own("wrn16_4"), None),
    "ours, plain": (own("convnet"), None),
    "timm resnet": (lambda: timm.create_model("resnet18"), "global_pool"),
    "timm efficientnet": (lambda: timm.create_model("efficientnet_lite0"), "global_pool"),
    "timm mobilenetv3": (lambda: timm.create_model("mobilenetv3_small_050"), "global_pool"),
    "timm convnext": (lambda: timm.create_model("convnext_atto"), "head.global_pool"),
    "torchvision resnet": (torchvision.models.resnet18, "avgpool"),
    "torchvision mobilenet": (torchvision.models.mobilenet_v3_small, "avgpool"),
    "torchvision efficientnet": (torchvision.models.efficientnet_b0, "avgpool"),
    "someone's own": (Headless, None),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_memory_is_what_the_pooling_takes(name):
    make, pooling = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    images, seen = torch.randn(2, 3, *SIZE), []
    if pooling is not None:
        model.get_submodule(pooling).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        model(images)
        reader = backbones.reader(copy.deepcopy(model), input_size=SIZE).eval()
        memory = reader(images)
    rows, columns = memory.grid
    assert reader.grid == (rows, columns)
    assert memory.values.shape == (2, rows * columns, reader.channels)
    assert rows * SIZE[1] == columns * SIZE[0]
    if seen:
        torch.testing.assert_close(memory.values, seen[0].flatten(2).transpose(1, 2))
    if name == "someone's own":
        before = model.body(images)
        expected = before.flatten(2).transpose(1, 2)
        assert any(torch.allclose(memory.values, each) for each in (expected, expected.relu()))


def test_densenets_map_is_the_one_before_their_last_relu_or_behind_it():
    model = torchvision.models.densenet121().eval()
    images = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        expected = model.features(images).flatten(2).transpose(1, 2)
        memory = backbones.reader(model, input_size=SIZE)(images)
    assert any(torch.allclose(memory.values, each, atol=1e-5) for each in (expected, expected.relu()))


@pytest.mark.parametrize(("name", "prefix"), [("vit_tiny_patch16_224", 1), ("vit_base_patch16_siglip_224", 0)])
def test_vision_transformers_leave_their_positions(name, prefix):
    options = {"depth": 2, "embed_dim": 48, "num_heads": 2, "img_size": SIZE}
    model = timm.create_model(name, **options).eval()
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        expected = model.forward_features(images)[:, prefix:]
        memory = backbones.reader(model, input_size=SIZE)(images)
    assert memory.grid == (4, 6)
    torch.testing.assert_close(memory.values, expected)


def test_windows_have_their_channels_last():
    model = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1), embed_dim=24, num_heads=(2, 2)).eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = model.forward_features(images)  # (B, H, W, C)
        memory = backbones.reader(model)(images)
    assert memory.grid == tuple(expected.shape[1:3])
    torch.testing.assert_close(memory.values, expected.flatten(1, 2))


def test_heads_are_gone_and_weights_stay():
    model = timm.create_model("resnet18", num_classes=7)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reader = backbones.reader(model)
    kept = {name.removeprefix("model."): value for name, value in reader.state_dict().items()}
    assert set(before) - set(kept) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, before[name]) for name, value in kept.items())


@pytest.mark.parametrize("name", ["timm resnet", "torchvision resnet", "torchvision efficientnet"])
def test_every_parameter_learns(name):
    reader = backbones.reader(MODELS[name][0](), input_size=SIZE)
    reader(torch.randn(2, 3, *SIZE)).values.square().sum().backward()
    assert [each for each, p in reader.named_parameters() if p.requires_grad and p.grad is None] == []


def test_inserted_blocks_are_read_through():
    model = backbones.build("resnet20", width=4).eval()
    cva.insert(model, "cbam", at="residual")
    reader = backbones.reader(model, input_size=32).eval()
    with record(reader) as maps:
        reader(torch.randn(2, 3, 32, 32))
    assert len(maps) == 18
    assert all(name.startswith("model.") for name in maps)


def test_columns_of_padding_are_told():
    reader = backbones.reader(backbones.build("convnet"), input_size=(48, 128))
    keep = reader(torch.randn(4, 3, 48, 128), torch.tensor([128, 64, 9, 1])).keep.unflatten(1, (6, 16))
    assert keep[:, 0].sum(1).tolist() == [16, 8, 2, 1]  # a column that holds a part of the image is kept
    assert all(torch.equal(keep[:, row], keep[:, 0]) for row in range(6))


def test_threads_read_apart():
    """A model whose feature map is seen by a hook gives every thread its own."""
    reader = backbones.reader(torchvision.models.resnet18().eval(), input_size=64).eval()
    images = torch.randn(8, 1, 3, 64, 64)
    with torch.no_grad():
        expected = [reader(each).values for each in images]
    found = [None] * 8

    def read(index):
        with torch.no_grad():
            for _ in range(5):
                found[index] = reader(images[index]).values

    threads = [threading.Thread(target=read, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert not any(module._forward_hooks for module in reader.modules())


@pytest.mark.parametrize(("model", "why"), [
    pytest.param(
        lambda: torchvision.models.vgg11(), "has no feature map that a head could read: ", marks=pytest.mark.long
    ),
    (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 2)), "maximum"),
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2)), "no feature map"),
])  # fmt: skip
def test_what_has_no_feature_map_is_refused(model, why):
    with pytest.raises(ValueError, match=why):
        backbones.reader(model(), input_size=32)
