"""Rollout and gradient attention, whatever computes the attention: eager, fused, with weights, pooled, checkpointed."""

import pytest
import timm
import torch
import transformers
from torch import nn

from cv_attention import record
from cv_attention import saliency as s

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
NAMES = ["attention_rollout", "gradient_attention"]


def vit(kind="eager", head=True):
    torch.manual_seed(0)
    config = transformers.ViTConfig(**SMALL, image_size=64, patch_size=8, num_labels=4, attn_implementation=kind)
    model = transformers.ViTForImageClassification(config) if head else transformers.ViTModel(config)
    torch.manual_seed(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    return model.eval()


def written_out(maps):
    """Rollout of maps (B, heads, tokens, tokens), the class token's row."""
    product = torch.eye(maps[0].shape[-1])
    for a in maps:
        product = (a.mean(1) + torch.eye(a.shape[-1])) / 2 @ product
    return product


@pytest.mark.parametrize("name", NAMES)
def test_eager_is_as_fused(name):
    target = 1 if name == "gradient_attention" else None
    eager, fused = (s.METHODS[name](vit(kind), X, target, upsample=False) for kind in ("eager", "sdpa"))
    torch.testing.assert_close(eager, fused, rtol=1e-3, atol=1e-4 * float(fused.max()))
    assert eager.std() > 0


def test_rollout_of_what_the_model_returns():
    model = vit()
    with torch.no_grad():
        maps = model(X, output_attentions=True).attentions
    expected = written_out(maps)[:, 0, 1:].unflatten(1, (8, 8))[:, None]
    torch.testing.assert_close(s.attention_rollout(model, X, upsample=False), expected, rtol=1e-4, atol=1e-6)


def test_a_backbone_without_a_head():
    model = vit(head=False)
    with torch.no_grad():
        expected = written_out(model(X, output_attentions=True).attentions)[:, 0, 1:].unflatten(1, (8, 8))[:, None]
    torch.testing.assert_close(s.attention_rollout(model, X, upsample=False), expected, rtol=1e-4, atol=1e-6)
    heat = s.attention_flow(model, X, upsample=False)
    assert heat.shape == (2, 1, 8, 8)
    grad = s.gradient_attention(model, X, lambda out: out.last_hidden_state[:, 0, 1], upsample=False)
    assert grad.std() > 0


class Weighing(nn.Module):
    """A layer of torch's attention, which returns its weights or not, and pools the tokens or not."""

    def __init__(self, need_weights, pools=False):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.attend = nn.Conv2d(3, 16, 8, 8), nn.MultiheadAttention(16, 2, batch_first=True)
        self.pool, self.query = nn.MultiheadAttention(16, 2, batch_first=True), nn.Parameter(torch.randn(1, 1, 16))
        self.fc, self.need_weights, self.pools = nn.Linear(16, 4), need_weights, pools

    def forward(self, x):
        x = 3 * self.embed(x).flatten(2).mT
        x = x + self.attend(x, x, x, need_weights=self.need_weights)[0]
        if self.pools:
            return self.fc(self.pool(self.query.expand(len(x), -1, -1), x, x, need_weights=self.need_weights)[0][:, 0])
        return self.fc(x.mean(1).square())


@pytest.mark.parametrize("pools", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_attention_that_returns_its_weights(name, pools):
    target = 1 if name == "gradient_attention" else None
    with_weights, without = (s.METHODS[name](Weighing(w, pools), X, target, upsample=False) for w in (True, False))
    torch.testing.assert_close(with_weights, without, rtol=1e-3, atol=1e-4 * float(without.max()))
    assert without.std() > 0


def test_attention_pooling_is_the_last_step():
    model = Weighing(True, pools=True).eval()
    kept = {}
    model.attend.register_forward_hook(lambda m, args, out: kept.update(x=args[0]))
    model.pool.register_forward_hook(lambda m, args, out: kept.update(pool=out[1], key=args[1]))
    with torch.no_grad():
        model(X)
        weights = model.attend(kept["x"], kept["x"], kept["x"], average_attn_weights=False)[1]
        expected = (kept["pool"] @ written_out([weights])).unflatten(2, (8, 8))
    torch.testing.assert_close(s.attention_rollout(model, X, upsample=False), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="pools its tokens by attention, which attention_flow does not follow"):
        s.attention_flow(model, X)


def test_other_queries_are_refused():
    class Queries(Weighing):
        def forward(self, x):
            x = self.embed(x).flatten(2).mT
            x = x + self.attend(x, x, x)[0]
            return self.fc(self.pool(self.query.expand(len(x), 3, -1), x, x)[0].mean(1))

    with pytest.raises(ValueError, match=r"attends from other queries to the image's tokens \(3 to 64\)"):
        s.attention_rollout(Queries(True), X)


def test_a_pyramid_of_transformers_is_refused():
    options = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_attention_heads": [1, 2], "num_encoder_blocks": 2}
    options |= {"sr_ratios": [2, 1], "patch_sizes": [7, 3], "strides": [4, 2], "mlp_ratios": [2, 2], "num_labels": 4}
    model = transformers.SegformerForImageClassification(transformers.SegformerConfig(**options)).eval()
    for name in NAMES:
        with pytest.raises(ValueError, match="attends over grids of several sizes"):
            s.METHODS[name](model, X)


@pytest.mark.parametrize("name", [*NAMES, "grad_cam", "gradient", "layer_cam", "shapley_cam"])
def test_checkpointed_models(name):
    torch.manual_seed(0)
    options = {"img_size": 64, "patch_size": 8, "num_classes": 4, "depth": 2, "embed_dim": 24, "num_heads": 2}
    model = timm.create_model("vit_tiny_patch16_224", **options).eval()
    plain = s.METHODS[name](model, X, 1)
    model.set_grad_checkpointing(True)
    torch.testing.assert_close(s.METHODS[name](model, X, 1), plain)
    assert model.grad_checkpointing


def test_record_sees_what_rollout_sees():
    model = vit()
    with torch.no_grad(), record(model) as maps:
        model(X)
    expected = written_out([m.tokens if m.tokens is not None else m.values.flatten(3) for m in maps.values()])
    got = s.attention_rollout(model, X, upsample=False)
    torch.testing.assert_close(got, expected[:, 0, 1:].unflatten(1, (8, 8))[:, None], rtol=1e-4, atol=1e-6)
