"""Maps of networks that keep channels last or work on tokens: no reshaping by the user."""

import pytest
import timm
import torch
import torchvision

from cv_attention import saliency as s
from cv_attention.saliency.layouts import grid_of, to_grid

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("shape", "image", "grid"),
    [
        ((2, 5, 7, 7), (224, 224), (2, 5, 7, 7)),
        ((2, 7, 7, 96), (224, 224), (2, 96, 7, 7)),
        ((2, 7, 10, 96), (224, 320), (2, 96, 7, 10)),
        ((2, 16, 16, 8), (32, 32), (2, 16, 16, 8)),
        ((2, 1, 1, 96), (32, 32), (2, 96, 1, 1)),
        ((2, 96, 1, 1), (32, 32), (2, 96, 1, 1)),
        ((2, 197, 12), (224, 224), (2, 12, 14, 14)),
        ((2, 201, 12), (224, 224), (2, 12, 14, 14)),
        ((2, 36, 12), (48, 192), (2, 12, 3, 12)),
        ((2, 37, 12), (192, 48), (2, 12, 12, 3)),
        ((2, 12), (32, 32), None),
        ((8, 49, 12), (32, 32), None),
    ],
)
def test_grids(shape, image, grid):
    got = to_grid(torch.zeros(shape), torch.zeros(2, 3, *image))
    assert (got if got is None else tuple(got.shape)) == grid


def test_tokens_keep_their_order():
    tokens = torch.arange(13.0).view(1, 13, 1)
    got = to_grid(tokens, torch.zeros(1, 3, 30, 40))
    assert got.tolist() == [[[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]]]
    assert grid_of(350, 1.0) is None


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
    with pytest.raises(ValueError, match=r"Ablation-CAM needs a feature map \(B, C, h, w\), got \(\d+, 17, 192\)"):
        s.ablation_cam(model, X, 1, layers="blocks.1")
