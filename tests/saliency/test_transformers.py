"""Attention-based maps against the same products by hand, from attention that the libraries compute unfused."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from cv_attention import blocks
from cv_attention import saliency as s
from cv_attention.blocks.base import Gate
from cv_attention.maps import record, rollout, to_heatmap

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
CLASSES = [1, 3]


def vit(**options):
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=3, num_classes=5, **options)
    for parameter in model.parameters():  # far from the start, where attention is nearly uniform
        nn.init.normal_(parameter, 0, 0.15)
    return model.eval()


def unfused(model):
    """Attention of every block, in the graph, as timm computes it when it is told not to fuse."""
    seen = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda m, args, out: seen.append(out))
    return seen


def last(products, tokens, extra):
    rows = products[:, 0, extra:] if extra else products.mean(1)
    side = round((tokens - extra) ** 0.5)
    return rows.reshape(2, 1, side, side)


OPTIONS = {"class token": {}, "registers": {"reg_tokens": 4}, "none": {"class_token": False, "global_pool": "avg"}}


@pytest.mark.parametrize("kind", OPTIONS)
def test_timm_by_hand(kind):
    model = vit(**OPTIONS[kind])
    got = s.gradient_attention(model, X, CLASSES, upsample=False)
    rolled = s.attention_rollout(model, X, upsample=False)
    assert all(block.attn.fused_attn for block in model.blocks)
    assert got.shape == (2, 1, 4, 4)
    seen = unfused(model)
    logits = model(X)
    tokens, extra = seen[0].shape[-1], seen[0].shape[-1] - 16
    product, rollout = torch.eye(tokens).expand(2, -1, -1), torch.eye(tokens).expand(2, -1, -1)
    for a, g in zip(seen, torch.autograd.grad(logits[[0, 1], CLASSES].sum(), seen), strict=True):
        share = torch.stack([(g[:, h] * a[:, h]).clamp(min=0) for h in range(a.shape[1])]).mean(0)
        product = product + share @ product
        mixed = (a.mean(1) + torch.eye(tokens)) / 2
        rollout = mixed / mixed.sum(-1, keepdim=True) @ rollout
    expected = last(product - torch.eye(tokens), tokens, extra).detach()
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))
    torch.testing.assert_close(rolled, last(rollout, tokens, extra).detach(), rtol=1e-4, atol=1e-6)
    assert expected.std() > 0


@pytest.mark.parametrize("heads", ["mean", "max", "min"])
def test_rollout_is_that_of_recorded_maps(heads):
    model = vit(reg_tokens=2)
    with torch.no_grad(), record(model) as maps:
        model(X)
    expected = to_heatmap(rollout(maps, heads=heads), reduce="class")
    got = s.attention_rollout(model, X, heads=heads, upsample=False)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def test_torchvision_and_torch_encoders():
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=5).train()
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    expected = s.gradient_attention(model, X, 1)
    assert expected.shape == (2, 1, 32, 32)
    assert expected.std() > 0
    model.requires_grad_(False)
    with torch.inference_mode():
        torch.testing.assert_close(s.gradient_attention(model, X, 1).clone(), expected)
    rolled = s.attention_rollout(model, X, upsample=False)
    assert rolled.min() >= 0
    assert rolled.sum((1, 2, 3)).max() < 1

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(3, 16, 8, 8)
            self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
            self.fc = nn.Linear(16, 5)

        def forward(self, x):
            return self.fc(self.layers(self.embed(x).flatten(2).mT).mean(1))

    heat = s.gradient_attention(Encoder().requires_grad_(False), X, 1)  # whose fast path would hide everything
    assert heat.std() > 0


class Attended(nn.Module):
    """A small CNN with attention over positions after its first convolution, and gates of two sizes."""

    def __init__(self, names):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, 4, 1)
        self.blocks = nn.Sequential(*(blocks.create(name, 8) for name in names))
        self.down = nn.Conv2d(8, 8, 3, 2, 1)
        self.late = blocks.create(names[-1], 8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.late(self.down(self.blocks(self.stem(x)))).mean((2, 3)))


class Gated(Gate):
    kind = "spatial"

    def attention(self, x):
        return x.mean(1, keepdim=True).sigmoid()


def test_gates_of_several_stages_are_combined():
    model = Attended(["se"]).eval()
    with pytest.raises(ValueError, match="no attention maps over positions, only of kind channel"):
        s.block_maps(model, X)
    model.blocks, model.late = Gated(), Gated()
    a = model.stem(X)
    first = a.mean(1, keepdim=True).sigmoid()
    second = model.down(a * first).mean(1, keepdim=True).sigmoid()
    maps = [first.detach(), second.detach()]
    for got, expected in zip(heatmaps(model), maps, strict=True):
        torch.testing.assert_close(got, expected)
    scaled = [(h - h.amin((2, 3), True)) / (h.amax((2, 3), True) - h.amin((2, 3), True)) for h in maps]
    up = nn.Upsample((32, 32), mode="bilinear")
    torch.testing.assert_close(s.block_maps(model, X), (up(scaled[0]) + up(scaled[1])) / 2, rtol=1e-4, atol=1e-5)
    product = s.block_maps(model, X, combine="product")
    torch.testing.assert_close(product, up(scaled[0]) * up(scaled[1]), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="combine must be 'mean' or 'product', got 'sum'"):
        s.block_maps(model, X, combine="sum")
    torch.testing.assert_close(s.block_maps(model, X, only="late.**", upsample=False), maps[1])


def heatmaps(model):
    from cv_attention.saliency.methods.attention.block_maps import block_heatmaps

    return block_heatmaps(model, X).values()


def test_what_cannot_be_multiplied_is_refused():
    with pytest.raises(ValueError, match="ResNet runs no scaled dot-product self-attention"):
        s.gradient_attention(timm.create_model("resnet10t", num_classes=5), X, 1)
    model = vit()
    with pytest.raises(ValueError, match="heads must be one of mean, max, min, got 'sum'"):
        s.attention_rollout(model, X, heads="sum")
    with pytest.raises(ValueError, match=r"0\.\.4, got 5"):
        s.attention_rollout(model, X, 5)
