"""Maps of networks that keep channels last or work on tokens: no reshaping by the user."""

import pytest
import timm
import torch
import torchvision

from cv_attention import saliency as s

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def spread(model):
    """Weights far from the start, where all positions look alike."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    return model.eval()


def by_hand(model, module, reshape):
    kept = {}
    handle = module.register_forward_hook(lambda m, _, out: kept.update(a=out))
    score = model(X)[:, 1].sum()
    handle.remove()
    g = reshape(torch.autograd.grad(score, kept["a"])[0])
    return (g.mean((2, 3), keepdim=True) * reshape(kept["a"])).sum(1, keepdim=True).relu().detach()


def test_swin_without_naming_a_layer():
    model = spread(timm.create_model("swin_tiny_patch4_window7_224", img_size=64, num_classes=5, depths=(1, 1, 1, 1)))
    expected = by_hand(model, model.norm, lambda x: x.permute(0, 3, 1, 2))
    torch.testing.assert_close(s.grad_cam(model, X, 1, upsample=False), expected)
    assert expected.std() > 0
    model = spread(torchvision.models.SwinTransformer([4, 4], 24, [1, 1], [2, 2], [4, 4], num_classes=5))
    heat = s.hires_cam(model, X, 1, upsample=False)
    torch.testing.assert_close(
        heat, s.hires_cam(model, X, 1, layers="norm", upsample=False)  # before it is permuted
    )  # fmt: skip
    assert heat.shape == (2, 1, 8, 8)


def test_a_block_of_a_vit():
    model = spread(timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=5, depth=3))
    expected = by_hand(model, model.blocks[1], lambda x: x[:, 1:].mT.reshape(2, 192, 4, 4))
    torch.testing.assert_close(s.grad_cam(model, X, 1, layers="blocks.1", upsample=False), expected)
    assert expected.std() > 0
    for name in ("eigen_cam", "score_cam", "layer_cam", "shapley_cam"):
        assert s.METHODS[name](model, X, 1, layers="blocks.1").std() > 0


def vit(**options):
    return timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=5, depth=3, embed_dim=48, **options)


class Pooled(torch.nn.Module):
    """A home-made transformer without a class token, of torch's own layers."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Conv2d(3, 24, 16, 16)
        layer = torch.nn.TransformerEncoderLayer(24, 2, 32, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 2)
        self.fc = torch.nn.Linear(24, 5)

    def forward(self, x):
        return self.fc(self.encoder(self.embed(x).flatten(2).mT).mean(1))


TOKENS = {
    "class token": (vit, "blocks.2.norm1"),
    "registers": (lambda: vit(reg_tokens=4), "blocks.2.norm1"),
    "pooled": (lambda: vit(class_token=False, global_pool="avg"), "norm"),
    "torchvision": (
        lambda: torchvision.models.VisionTransformer(64, 16, 3, 2, 24, 48, num_classes=5),
        "encoder.layers.encoder_layer_2.ln_1",
    ),
    "distilled": (
        lambda: timm.create_model("deit_tiny_distilled_patch16_224", img_size=64, num_classes=5, depth=2),
        "blocks.1.norm1",
    ),
    "cait": (
        lambda: timm.create_model("cait_xxs24_224", img_size=64, num_classes=5, depth=1, embed_dim=48),
        "blocks_token_only.1.norm1",
    ),
    "home-made": (Pooled, "encoder"),
}


@pytest.mark.parametrize("kind", TOKENS)
def test_the_layer_of_a_transformer_is_found(kind):
    make, layer = TOKENS[kind]
    model = spread(make()).requires_grad_(False)
    with torch.inference_mode():
        heat = s.grad_cam(model, X, 1)
        [(name, small)] = s.grad_cam_layers(model, X, 1).items()
    assert name == layer
    assert small.shape == (2, 1, 4, 4)
    assert heat.shape == (2, 1, 64, 64)
    assert heat.std() > 0
    assert not any(module._forward_hooks for module in model.modules())


def test_ablation_of_tokens_by_hand():
    model = spread(vit())
    got = s.ablation_cam(model, X, 1, layers="blocks.1", upsample=False, batch_size=20)
    expected = torch.zeros(2, 1, 4, 4)
    with torch.no_grad():
        clean = model(X)[:, 1]
        kept = {}
        handle = model.blocks[1].register_forward_hook(lambda m, _, out: kept.update(a=out))
        model(X)
        handle.remove()
        for channel in range(48):
            keep = torch.ones(48)
            keep[channel] = 0
            handle = model.blocks[1].register_forward_hook(lambda m, _, out, keep=keep: out * keep)
            weight = (clean - model(X)[:, 1]) / clean
            handle.remove()
            expected += (weight[:, None] * kept["a"][:, 1:, channel]).reshape(2, 1, 4, 4)
    torch.testing.assert_close(got, expected.relu(), rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    assert got.std() > 0
