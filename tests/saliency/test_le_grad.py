"""LeGrad and deep feature factorisation against their equations written plainly, and scikit-learn's factorisation."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.methods.cam.factorisation import _start, factorise

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def vit(layers=3):
    transformer = pytest.importorskip("torchvision.models.vision_transformer")
    torch.manual_seed(0)
    model = transformer.VisionTransformer(
        32, 8, num_layers=layers, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=5
    )
    nn.init.normal_(model.heads.head.weight)
    return model.eval()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_le_grad_is_its_equation(layers):
    """Each layer's own score, from its own output, and the derivative with respect to its own attention."""
    model = vit(layers)
    x = torch.cat([model.class_token.expand(2, -1, -1), model.conv_proj(X).flatten(2).mT], 1)
    x = x + model.encoder.pos_embedding
    maps = 0
    for layer in model.encoder.layers:
        mha, y = layer.self_attention, layer.ln_1(x)
        q, k, v = (
            part.unflatten(2, (2, 12)).transpose(1, 2)
            for part in F.linear(y, mha.in_proj_weight, mha.in_proj_bias).chunk(3, -1)
        )
        attention = (q @ k.mT / 12**0.5).softmax(-1)
        z = x + mha.out_proj((attention @ v).transpose(1, 2).flatten(2))
        x = z + layer.mlp(layer.ln_2(z))
        score = model.heads(model.encoder.ln(x)[:, 0])[:, 3].sum()
        [g] = torch.autograd.grad(score, attention, retain_graph=True)
        maps = maps + g.clamp(min=0).mean((1, 2))[:, 1:].unflatten(1, (4, 4)) / layers
    got = s.le_grad(model, X, s.Several(1, 3), upsample=False)
    torch.testing.assert_close(got[:, 1], maps, rtol=1e-3, atol=1e-7)
    assert not torch.allclose(got[:, 0], got[:, 1])


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
def test_le_grad_finds_the_blocks_of_timm(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, img_size=32, depth=3).eval()
    s.le_grad(model, X, 3)  # the first call finds out how tokens lie over the image
    calls = []
    model.norm.register_forward_hook(lambda m, args, out: calls.append(len(out)))
    assert s.le_grad(model, X, 3).shape == (2, 1, 32, 32)
    assert calls == [6], "the end of the model runs once, on the outputs of three blocks"
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.blocks)


def test_a_hugging_face_transformer():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48, image_size=32, patch_size=8,
        num_labels=5, attn_implementation="sdpa",
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config).eval()
    assert s.le_grad(model, X, 3, upsample=False).shape == (2, 1, 4, 4)
    found = s.relevance(model.double(), X.double(), 3, rules="epsilon", softmax="tangent")
    assert found.error.max() < 1e-4


def test_the_factors_are_scikit_learns():
    decomposition = pytest.importorskip("sklearn.decomposition")
    v = torch.rand(1, 7, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    maps, directions = factorise(v, 3, 50)
    start = [part[0].numpy().copy() for part in _start(v.flatten(2).mT, 3)]
    rows = v[0].flatten(1).T.numpy()
    w, h, _ = decomposition.non_negative_factorization(
        rows, W=start[0], H=start[1], n_components=3, init="custom", solver="mu", max_iter=50, tol=0
    )
    torch.testing.assert_close(maps[0].flatten(1).T.double(), torch.from_numpy(w), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(directions[0].double(), torch.from_numpy(h), rtol=1e-4, atol=1e-6)


def test_concepts_of_disjoint_features_are_found_and_weighted():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.fc = nn.Identity(), nn.Linear(4, 2, bias=False)
            self.fc.weight.data = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, -1.0, -2.0]])

        def forward(self, x):
            return self.fc(self.features(x).mean((2, 3)))

    x = torch.zeros(1, 4, 6, 6)
    x[:, :2, :3], x[:, 2:, 3:] = torch.rand(1, 1, 3, 6) + 0.5, torch.rand(1, 1, 3, 6) + 0.5
    maps, directions = s.concept_maps(Net(), x, layers="features", concepts=2)
    torch.testing.assert_close(torch.einsum("bkhw,bkc->bchw", maps, directions), x, rtol=1e-3, atol=1e-3)
    first, second = (s.deep_feature_factorisation(Net(), x, target, layers="features", concepts=2) for target in (0, 1))
    assert first[..., :3, :].min() > 1e-3 > first[..., 3:, :].abs().max()
    assert second[..., 3:, :].max() < -1e-3 < second[..., :3, :].min() < 1e-3
