"""A block in the place of a convolution: what runs, what is kept, and how it comes back."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention.backbones import build, insert, plan, remove
from tests.references.flops import plain_flops


class Scale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x):
        return x * self.factor


def small():
    torch.manual_seed(0)
    return build("resnet20", num_classes=4, width=8).eval()


def test_runs_instead_of_the_convolution():
    model = small()
    conv = model.layer2[1].conv1
    insert(model, Scale, "replace:layer2.1.conv1")
    x, seen = torch.randn(2, 16, 8, 8), {}
    model.layer2[1].bn1.register_forward_pre_hook(lambda module, args: seen.update(x=args[0]))
    model.layer2[1](x)
    torch.testing.assert_close(seen["x"], x * model.layer2[1].conv1.attention.factor)
    assert conv not in set(model.modules())
    assert "layer2.1.conv1.weight" not in model.state_dict()


def test_pools_where_the_convolution_had_a_stride():
    model = build("timm/resnet50", num_classes=3).eval()
    planned = insert(model, "vit", "replace:-1", input_size=64)
    assert [site.name for site in planned.sites] == [f"layer4.{i}.conv2" for i in range(3)]
    assert (planned.sites[0].height, planned.sites[1].height) == (4, 2)
    x = torch.randn(2, 512, 5, 4)
    first = model.layer4[0].conv2
    with torch.no_grad():
        attended = first.attention(x)
        corner = attended[:, :, 4:, 2:].mean((2, 3))  # odd sides: the last window holds what is left
        y = first(x)
        assert y.shape == (2, 512, 3, 2)
        torch.testing.assert_close(y[:, :, 0, 0], attended[:, :, :2, :2].mean((2, 3)))
        torch.testing.assert_close(y[:, :, 2, 1], corner)
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 3)


def test_costs_are_those_of_the_exchange():
    model, image = small(), torch.zeros(1, 3, 32, 32)

    def cost():
        return plain_flops(model, image), sum(p.numel() for p in model.parameters())

    plain = cost()
    planned = insert(model, {"name": "mhsa", "heads": 2}, "replace:1:")
    assert plain == (planned.flops, planned.parameters)
    assert cost() == (planned.flops + planned.added_flops, planned.parameters + planned.added_parameters)
    assert planned.added_parameters < 0
    again = plan(model, "se")
    assert cost() == (again.flops, again.parameters)


def test_removal_brings_back_the_identical_convolution():
    model, image = small(), torch.randn(2, 3, 32, 32)
    names = [(name, id(module)) for name, module in model.named_modules()]
    keys, plain = list(model.state_dict()), model(image)
    for _ in range(3):
        insert(model, Scale, "replace")
        assert not torch.equal(model(image), plain)
        remove(model)
    assert [(name, id(module)) for name, module in model.named_modules()] == names
    assert list(model.state_dict()) == keys
    assert torch.equal(model(image), plain)
    assert not any(vars(m)["_load_state_dict_pre_hooks"] for m in model.modules())


def test_follows_the_model_to_another_type_and_flag():
    model = small().train()
    insert(model, "simam", "replace:layer3.1.conv1")  # a block without parameters of its own
    model.to(torch.bfloat16).eval()
    remove(model)
    conv = model.layer3[1].conv1
    assert (conv.weight.dtype, conv.training) == (torch.bfloat16, False)
    model(torch.zeros(1, 3, 32, 32, dtype=torch.bfloat16))


def test_vanilla_weights_go_to_the_convolution():
    model, other, image = small(), small(), torch.randn(2, 3, 32, 32)
    for parameter in other.parameters():
        nn.init.normal_(parameter, std=0.1)
    insert(model, Scale, "replace:-1")
    factor = model.layer3[1].conv1.attention.factor.clone()
    assert model.load_state_dict(other.state_dict(), strict=True).unexpected_keys == []
    assert torch.equal(model.layer3[1].conv1.attention.factor, factor)
    attended = {k: v.clone() for k, v in model.state_dict().items()}
    fresh = small()
    insert(fresh, Scale, "replace:-1", seed=1)
    fresh.load_state_dict(attended, strict=True)
    assert torch.equal(fresh(image), model(image))
    remove(model)
    assert torch.equal(model(image), other(image))


def test_composes_with_other_insertions():
    model, image = small(), torch.randn(2, 3, 32, 32)
    plain = model(image)
    insert(model, "se", "layer3.1.conv1")
    with_se = model(image)
    insert(model, Scale, "replace:layer3.1.conv1")
    insert(model, "eca", "layer3.1.conv1")
    assert list(dict(model.layer3[1].conv1.named_children())) == ["attention_2", "attention", "attention_3"]
    with pytest.raises(ValueError, match="a block is in its place already"):
        insert(model, Scale, "replace:layer3.1.conv1")
    assert remove(model, "attention_2") == ["layer3.1.conv1.attention_2"]
    assert not torch.equal(model(image), with_se)
    remove(model, "attention_3")
    assert torch.equal(model(image), with_se)
    remove(model)
    assert torch.equal(model(image), plain)


def test_copies_and_pickles():
    model, image = small(), torch.randn(1, 3, 32, 32)
    plain = model(image)
    insert(model, Scale, "replace:0")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(image), model(image))
        remove(other)
        assert torch.equal(other(image), plain)
    assert not torch.equal(model(image), plain)


def test_trains():
    model = small().train()
    planned = insert(model, "vit", "replace:-1")
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    for site in planned.sites:
        assert all(p.grad is not None for p in model.get_submodule(site.block).parameters())


def test_cannot_start_as_the_identity():
    with pytest.raises(ValueError, match=r"'layer1\.0\.conv1'.*cannot start as the identity"):
        insert(small(), Scale, "replace", init="identity")


def test_pools_like_torch():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 5, (3, 2), 2), nn.ReLU())
    x = torch.randn(1, 8, 10, 9)
    insert(model, Scale, "replace:1", input_size=12)
    expected = F.avg_pool2d(x * model[1].attention.factor, (3, 2), ceil_mode=True)
    torch.testing.assert_close(model[1](x), expected)
