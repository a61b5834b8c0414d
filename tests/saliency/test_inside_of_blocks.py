"""The automatic layer is never inside an attention block, whatever the block computes with."""

import pytest
import timm
import torch
from torch import nn

import cv_attention as cva
from cv_attention import saliency as s
from cv_attention.blocks import CATALOGUE
from cv_attention.maps.wrappers import bare_modules
from cv_attention.saliency.core.places.choice import inside_attention
from cv_attention.saliency.core.places.probing import Places, run_with_gradients

X = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
CNN = ("residual", "pre", "post", "identity", "stage", "replace", "pool")
POSITIONS = {"resnet": CNN, "convnext": CNN, "vit": ("residual", "post", "pre"), "vit without a class token": ("post",)}


class Dense(nn.Module):
    """A segmentation network, whose coarsest map is explained."""

    def __init__(self, block=None):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 4, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 4, 1), nn.ReLU())
        self.block = nn.Identity() if block is None else block(16)
        self.classifier = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        return nn.functional.interpolate(self.classifier(self.block(self.body(x))), x.shape[2:], mode="bilinear")


def spread(model):
    """Draws weights far from the start, where gates hardly move and the last layers of blocks are zero."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() < 2:
            nn.init.normal_(parameter, 0.3, 0.3)
        else:
            nn.init.normal_(parameter, 0, 1.5 / parameter[0].numel() ** 0.5)
    return model.eval()


def network(kind):
    torch.manual_seed(0)
    vit = {"img_size": 96, "depth": 3, "embed_dim": 48, "num_classes": 5}
    match kind:
        case "resnet":
            return timm.create_model("resnet10t", num_classes=5)
        case "convnext":
            return timm.create_model("convnext_atto", num_classes=5, depths=(1, 1, 2, 1))
        case "vit":
            return timm.create_model("vit_tiny_patch16_224", **vit)
    return timm.create_model("vit_tiny_patch16_224", class_token=False, global_pool="avg", **vit)


def rows_and_columns(output):
    return output[:, 2, 10:60, 20:70].mean((1, 2))


@pytest.mark.parametrize("at", ["body.3", "body.2"])
def test_rows_and_columns_of_an_inserted_block(at):
    """`coordinate` computes with (B, hidden, H + W, 1): of 6 x 6 positions 12 x 1, the coarsest map there is."""
    model = Dense()
    cva.insert(model, "coordinate", at=at, input_size=(3, 96, 96))
    spread(model)
    [(name, heat)] = s.grad_cam_layers(model, X, rows_and_columns).items()
    assert "attention" not in name
    assert tuple(heat.shape[2:]) == (6, 6)


def test_rows_and_columns_of_a_block_of_the_model():
    [(name, heat)] = s.grad_cam_layers(spread(Dense(cva.blocks.CoordinateAttention)), X, rows_and_columns).items()
    assert name in ("body", "block")
    assert tuple(heat.shape[2:]) == (6, 6)


class Foreign(nn.Module):
    """Coordinate attention as somebody else wrote it: no base class says that it is a block."""

    def __init__(self, channels):
        super().__init__()
        self.own = cva.blocks.CoordinateAttention(channels)
        self.reduce, self.norm, self.conv_h, self.conv_w = self.own._modules.pop("reduce"), *(
            self.own._modules.pop(name) for name in ("norm", "conv_h", "conv_w")
        )  # fmt: skip
        del self.own

    def forward(self, x):
        strips = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).mT], 2)
        hidden = nn.functional.hardswish(self.norm(self.reduce(strips)))
        rows, columns = hidden.split([x.shape[2], x.shape[3]], 2)
        return x * self.conv_h(rows).sigmoid() * self.conv_w(columns).sigmoid().mT


@pytest.mark.parametrize("seed", range(4))
def test_rows_and_columns_of_anybody(seed):
    model = spread(Dense(Foreign))
    images = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(seed))
    places = Places().all(run_with_gradients(model, bare_modules(model), images))
    assert places["block.norm"].shape == (1, 8, 12, 1)
    assert places["block.norm"].grid is None
    [(name, _)] = s.grad_cam_layers(model, images, rows_and_columns).items()
    assert name in ("body", "block")


def test_the_refusal_lists_no_inside_of_a_block():
    model = nn.Sequential(nn.Conv2d(3, 16, 96), nn.Flatten(), nn.Linear(16, 2))
    cva.insert(model, "coordinate", at="0", input_size=(3, 96, 96))
    with pytest.raises(ValueError, match="no module of Sequential gives a map") as error:
        s.grad_cam(spread(model), X, 1)
    assert "0.attention (1, 16, 1, 1): it has a single position" in str(error.value)
    assert ".norm" not in str(error.value)


class DecoderAttention(nn.Module):
    """Reads a grid of tokens with one query, through values of its own."""

    def __init__(self):
        super().__init__()
        self.query, self.values = nn.Parameter(torch.randn(1, 1, 16)), nn.Linear(16, 16)

    def forward(self, tokens):
        return nn.functional.scaled_dot_product_attention(
            self.query.expand(len(tokens), -1, -1), tokens, self.values(tokens)
        )


class WithDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.read, self.head = Dense().body, DecoderAttention(), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.read(self.body(x).flatten(2).mT)[:, 0])


def test_values_without_their_keys_are_no_map():
    [name] = s.grad_cam_layers(spread(WithDecoder()), X, 1)
    assert name == "body"


def test_a_network_may_be_called_attention():
    class CNNWithAttention(WithDecoder):
        pass

    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = CNNWithAttention()

        def forward(self, x):
            return self.network(x)

    [name] = s.grad_cam_layers(spread(Wrapper()), X, 1)
    assert name in ("network.body", "network.read.values")  # which is the last, once such names say nothing


@pytest.mark.long
@pytest.mark.parametrize("block", CATALOGUE)
@pytest.mark.parametrize("kind", POSITIONS)
def test_all_blocks_at_all_positions(kind, block):
    """The layer is none of a block's own modules, and has the grid of one of the network's own stages."""
    sides = {"resnet": (3, 6, 12, 24), "convnext": (3, 6, 12, 24)}.get(kind, (6,))
    for at in POSITIONS[kind]:
        model = network(kind)
        try:
            cva.insert(model, block, at=at, input_size=(3, 96, 96))
        except ValueError:
            continue  # the block or the network does not have this position
        spread(model)
        [(name, heat)] = s.grad_cam_layers(model, X, 1).items()
        assert name not in inside_attention(bare_modules(model), foreign=True), at
        assert heat.shape[2] == heat.shape[3] in sides, (at, name)
