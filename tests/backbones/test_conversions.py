"""Blocks go on working when the modules that carry them are replaced, folded, traced or copied.

The oracle is a network that calls the same blocks in its own forward, and that nobody converts.
"""

import copy
import io
import pickle
import warnings

import pytest
import timm.layers
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.ops.misc import FrozenBatchNorm2d

from cv_attention.backbones import LostBlocksWarning, insert
from tests.quick import quick_first


class Unit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.bn2(self.conv2(self.act(self.bn1(self.conv1(x))))) + x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.layer1, self.layer2 = nn.Sequential(Unit(), Unit()), nn.Sequential(Unit())
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        x = self.layer2(F.max_pool2d(self.layer1(x), 2))
        return self.fc(x.mean((2, 3)))


class Explicit(nn.Module):
    """The forward of `Net` written out, with a block called at one position of every unit that has one there."""

    def __init__(self, net, blocks, position) -> None:
        super().__init__()
        self.net, self.blocks, self.position = net, nn.ModuleDict(blocks), position

    def at(self, position, name, x):
        key = name.replace(".", "_")
        return self.blocks[key](x) if position == self.position and key in self.blocks else x

    def unit(self, name, unit, x):
        y = self.at("pre", name, x)
        y = y if self.position == "replace" else unit.conv1(y)
        y = F.relu(self.at("bn1", name, unit.bn1(self.at("replace", name, y))))
        y = self.at("residual", name, unit.bn2(self.at("conv2", name, unit.conv2(y))))
        return self.at("post", name, F.relu(y + self.at("identity", name, x)))

    def forward(self, x):
        net = self.net
        x = F.relu(net.bn(net.conv(x)))
        x = self.unit("layer1.1", net.layer1[1], self.unit("layer1.0", net.layer1[0], x))
        x = self.unit("layer2.0", net.layer2[0], F.max_pool2d(x, 2))
        return net.fc(x.mean((2, 3)))


class Norm(nn.BatchNorm2d):
    """A block that is itself what conversions look for."""


class WithNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x):
        return x * self.bn(self.conv(x)).sigmoid()


POSITIONS = {
    "residual": "residual", "pre": "pre", "post": "post", "identity": "identity", "replace": "replace:**.conv1",
    "bn1": "**.bn1", "conv2": "**.conv2",
}  # fmt: skip
BLOCKS = {"cbam": "cbam", "norm": Norm, "se": "se", "with_norm": WithNorm}


def vivid(model):
    """Weights and statistics that no conversion can lose unseen."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            value.copy_(noise + 0.5 if "bn" in name or "running" in name else (noise - 0.5) / 2)
    return model.double().eval()


def pair(position, block):
    """An attended network, and the oracle with the same weights."""
    model = vivid(Net())
    net = copy.deepcopy(model)
    planned = insert(model, BLOCKS[block], POSITIONS[position], input_size=16)
    vivid(model)
    net.load_state_dict(model.state_dict(), strict=False)
    blocks = {s.name: copy.deepcopy(model.get_submodule(s.block)) for s in planned.sites}
    units = {"_".join(name.split(".")[:2]): block for name, block in blocks.items()}
    assert len(units) == 3
    return model, Explicit(net, units, position).eval()


def image(batch=2):
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def frozen(norm):
    new = FrozenBatchNorm2d(norm.num_features, norm.eps).to(norm.running_mean.dtype)
    new.load_state_dict({k: v for k, v in norm.state_dict().items() if k in new.state_dict()})
    return new


def freeze_by(assign):
    def convert(model):
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    assign(module, name, frozen(child))
        return model

    return convert


def fold(model, drop):
    """Folds every convolution with the norm behind it; `drop` takes the norm out."""
    for module in list(model.modules()):
        for conv, norm in (("conv", "bn"), ("conv1", "bn1"), ("conv2", "bn2")):
            one, two = getattr(module, conv, None), getattr(module, norm, None)
            if isinstance(one, nn.Conv2d) and isinstance(two, nn.BatchNorm2d) and isinstance(module, Net | Unit):
                setattr(module, conv, fuse_conv_bn_eval(one, two))
                drop(module, norm)
    return model


def fold_to_identity(model):
    return fold(model, lambda module, norm: setattr(module, norm, nn.Identity()))


def fold_by_items(model):
    def drop(module, norm):
        module._modules[norm] = nn.Identity()

    return fold(model, drop)


def fold_and_delete(model):
    """As ultralytics: the norm is deleted, and its module takes another forward."""

    def fused(self, x):
        return self.act(self.conv2(self.act(self.conv1(x))) + x)

    def drop(module, norm):
        delattr(module, norm)
        if norm == "bn":
            module.bn = nn.Identity()
        else:
            module.forward = fused.__get__(module)

    return fold(model, drop)


def fx_trace(model):
    return torch.fx.symbolic_trace(model)


def fx_fuse(model):
    from torch.fx.experimental.optimization import fuse

    return fuse(model)


def feature_extractor(model):
    from torchvision.models.feature_extraction import create_feature_extractor

    return Only(create_feature_extractor(model, {"fc": "out"}).eval())


class Only(nn.Module):
    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)["out"]


def jit_trace(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch deprecates it
        return torch.jit.trace(model, image())


def saved_whole(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


class Cut(Net):
    """The modules of a network under another."""

    def __init__(self, *modules) -> None:
        nn.Module.__init__(self)
        for name, module in zip(("conv", "bn", "layer1", "layer2", "fc"), modules, strict=True):
            setattr(self, name, module if isinstance(module, nn.BatchNorm2d) or name in ("conv", "fc") else module[:])


def nothing_lost(convert):
    def run(model):
        with warnings.catch_warnings():
            warnings.simplefilter("error", LostBlocksWarning)
            return convert(model)

    return run


def then(*conversions):
    def run(model):
        for convert in conversions:
            model = convert(model)
        return model

    return run


to_sync = nn.SyncBatchNorm.convert_sync_batchnorm
CONVERSIONS = {
    "sync": to_sync,
    "sync_timm": timm.layers.convert_sync_batchnorm,
    "split_timm": timm.layers.convert_splitbn_model,
    "freeze_timm": timm.layers.freeze_batch_norm_2d,
    "freeze_setattr": freeze_by(setattr),
    "freeze_add_module": freeze_by(lambda module, name, new: module.add_module(name, new)),
    "freeze_items": freeze_by(lambda module, name, new: module._modules.__setitem__(name, new)),
    "freeze_update": freeze_by(lambda module, name, new: module._modules.update({name: new})),
    "fold": fold_to_identity,
    "fold_items": fold_by_items,
    "fold_delete": fold_and_delete,
    "fx_trace": fx_trace,
    "fx_fuse": fx_fuse,
    "extractor": feature_extractor,
    "jit_trace": jit_trace,
    "copy_sync": then(copy.deepcopy, to_sync),
    "pickle_freeze": then(lambda model: pickle.loads(pickle.dumps(model)), timm.layers.freeze_batch_norm_2d),
    "save_fold": then(saved_whole, fold_to_identity),
    "sync_twice_fx_fuse": then(to_sync, to_sync, fx_fuse),
    "sync_freeze": then(to_sync, timm.layers.freeze_batch_norm_2d),
    "fx_sync": then(fx_trace, copy.deepcopy, to_sync),
    "fx_freeze": then(fx_trace, timm.layers.freeze_batch_norm_2d),
    "cut_freeze": then(
        lambda net: Cut(net.conv, net.bn, net.layer1, net.layer2, net.fc), timm.layers.freeze_batch_norm_2d
    ),
}
IN_PLACE = ("sync", "freeze", "split", "fold")


@pytest.mark.parametrize("block", quick_first(["cbam", "norm", "se", "with_norm"]))
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("conversion", CONVERSIONS)
def test_converted_networks_still_apply_their_blocks(conversion, position, block):
    if position == "conv2" and conversion in ("fold", "fold_items", "save_fold"):
        pytest.skip("folds over the block between the convolution and its norm")
    if conversion == "fold_delete" and position in ("conv2", "replace"):
        pytest.skip("has no norm to fold, or folds over the block")
    model, oracle = pair(position, block)
    x = image()
    expected = oracle(x)
    assert not torch.allclose(expected, Explicit(oracle.net, {}, "")(x))
    converted = nothing_lost(CONVERSIONS[conversion])(model).eval()
    output = converted(x)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    output.square().sum().backward()
    expected.square().sum().backward()
    for name, one in oracle.blocks.items():
        gradient = sum(p.grad.square().sum() for p in one.parameters())
        assert gradient > 0, name
    wanted = sorted(float(p.grad.square().sum()) for p in oracle.blocks.parameters())
    if conversion in ("sync", "fx_trace", "fx_fuse", "copy_sync"):
        found = [p.grad for n, p in converted.named_parameters() if ".attention." in n]
        torch.testing.assert_close(sorted(float(g.square().sum()) for g in found), wanted, rtol=1e-6, atol=1e-12)
