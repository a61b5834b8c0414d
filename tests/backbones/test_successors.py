"""What takes the place of hosts, against the explicit networks of `test_conversions`: shared layers, features."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations
from torchvision.models.feature_extraction import create_feature_extractor

from cv_attention.backbones import insert, remove
from tests.backbones.test_conversions import POSITIONS, Net, pair, vivid


@pytest.mark.parametrize("at", ["**.bn2", "layer1.0.bn2"])
def test_one_identity_in_place_of_all_norms(at):
    torch.manual_seed(0)
    model, image, identity = vivid(Net()), torch.randn(2, 3, 16, 16, dtype=torch.float64), nn.Identity()
    insert(model, "se", at, input_size=16)
    vivid(model)
    expected = model(image)
    for unit in (*model.layer1, *model.layer2):
        unit.conv2, unit.bn2 = fuse_conv_bn_eval(unit.conv2, unit.bn2), identity
    torch.testing.assert_close(model(image), expected)
    assert not identity._forward_hooks
    assert not identity._modules


@pytest.mark.parametrize("position", POSITIONS)
def test_features_of_units_with_blocks(position):
    model, oracle = pair(position, "cbam")
    image, units = torch.randn(2, 3, 16, 16, dtype=torch.float64), ["layer1.0", "layer1", "layer2"]
    extractor = create_feature_extractor(model, units)
    seen = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(lambda _, args, y, name=name: seen.update({name: y}))
        for name in units
    ]
    torch.testing.assert_close(model(image), oracle(image))
    for hook in hooks:
        hook.remove()
    found = extractor(image)
    for name in units:
        torch.testing.assert_close(found[name], seen[name])


def test_a_layer_that_moves_stays_the_same_object():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()).eval()
    insert(model, "se", ["1", "3"], input_size=16)
    layers = list(model)
    model.insert(0, nn.Identity())
    assert list(model)[1:] == layers


def test_the_class_of_a_parametrized_host_is_what_it_was():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval()
    insert(model, "se", "0", input_size=16)
    weight_norm(model[0])
    copied = copy.deepcopy(model)
    remove(model)
    image = torch.randn(2, 3, 16, 16)
    plain, attended = model(image), copied(image)
    assert not torch.equal(plain, attended)
    remove_parametrizations(model[0], "weight")
    assert type(model[0]) is nn.Conv2d
    torch.testing.assert_close(model(image), plain)
