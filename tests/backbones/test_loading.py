"""Checkpoints of plain models in attended ones: of parts of them, under several names, and of models on meta."""

import copy

import pytest
import torch
from torch import nn

from cv_attention.backbones import build, insert, remove


class Listed(nn.Module):
    """Its layers have two names each; the forward uses the second."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.norm = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8)
        self.layers, self.fc = nn.ModuleList([self.conv, self.norm]), nn.Linear(8, 4)

    def forward(self, x):
        y = x = self.stem(x)
        for layer in self.layers:
            y = layer(y)
        return self.fc((x + y).relu().mean((2, 3)))


def listed():
    torch.manual_seed(0)
    return Listed().eval()


def small():
    torch.manual_seed(0)
    return build("resnet20", num_classes=4, width=8).eval()


def drawn_again(model):
    """Another model of the same kind with other weights."""
    model = copy.deepcopy(model)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model


def image():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("at", ["residual", "norm", "layers.1", "replace:conv", "replace:layers.0"])
def test_modules_with_several_names(at):
    model, image = listed(), torch.randn(2, 3, 16, 16)
    plain, other, keys = model(image), drawn_again(model), list(model.state_dict())
    insert(model, "se", at, input_size=16)
    assert not torch.equal(model(image), plain)
    attended = drawn_again(model)
    model.load_state_dict(attended.state_dict())
    assert torch.equal(model(image), attended(image))
    model.load_state_dict(other.state_dict())
    for one in (model, copy.deepcopy(model)):
        remove(one)
        assert list(one.state_dict()) == keys
        assert torch.equal(one(image), other(image))


@pytest.mark.parametrize("part", ["layer2", "layer2.1", "layer2.1.bn2"])
@pytest.mark.parametrize("at", ["residual", "replace:layer2.1.conv1"])
def test_plain_checkpoints_of_a_part(part, at):
    model, other = small(), drawn_again(small())
    insert(model, "se", at)
    model.get_submodule(part).load_state_dict(other.get_submodule(part).state_dict())
    remove(model)
    for key, value in other.get_submodule(part).state_dict().items():
        assert torch.equal(model.get_submodule(part).state_dict()[key], value)
    assert not any(module._load_state_dict_pre_hooks for module in model.modules())


def test_half_attended_checkpoints_are_refused_though_every_part_would_be_plain():
    model = small()
    insert(model, "se")
    state = {key: value for key, value in model.state_dict().items() if not key.startswith("layer2.1.bn2.attention")}
    with pytest.raises(RuntimeError, match=r"layer2\.1\.bn2\.attention"):
        model.load_state_dict(state)
    missing = nn.Sequential(model).load_state_dict({f"0.{key}": value for key, value in state.items()}, strict=False)
    assert {key.partition("attention")[0] for key in missing.missing_keys} == {"0.layer2.1.bn2."}
    other = insert(model, "eca", "stage")
    model.layer1.load_state_dict(small().layer1.state_dict())
    remove(model, other)
    model.layer1.load_state_dict(small().layer1.state_dict())


def test_blocks_on_meta_stay_missing():
    with torch.device("meta"):
        model = small()
    insert(model, "se")
    with pytest.raises(RuntimeError, match=r"Missing key.*layer1\.0\.bn2\.attention"):
        model.load_state_dict(small().state_dict(), assign=True)


def test_replaced_convolutions_of_meta_models_get_their_weights():
    with torch.device("meta"):
        model = small()
    insert(model, "se", "replace:-1")
    model.load_state_dict(small().state_dict(), strict=False, assign=True)
    remove(model)
    assert torch.equal(model(image()), small()(image()))


def test_replaced_convolutions_need_not_get_all_their_weights():
    model, other = listed(), drawn_again(listed())
    insert(model, "se", "replace:conv", input_size=16)
    state = {key: value for key, value in other.state_dict().items() if key not in ("conv.bias", "layers.0.bias")}
    model.load_state_dict(state, strict=False)
    remove(model)
    assert torch.equal(model.conv.weight, other.conv.weight)
    assert torch.equal(model.conv.bias, listed().conv.bias)
