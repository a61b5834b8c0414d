"""Relevance propagation and AttnLRP against zennit and LXT, which the tests do not need.

    pip install --target oracles --no-deps zennit lxt
    PYTHONPATH=.:oracles python benchmarks/relevance_oracles.py

Prints the largest difference of the maps, over the largest value. zennit runs its composites with the canonizer of the
network, LXT its explicit functions in a plain forward pass of a vision transformer with the same weights, and its
patches of torchvision's transformer, whose attention is constant. Random weights and statistics, double precision.
"""

import math
import sys
import types

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from cv_attention.saliency import attn_lrp, lrp, relevance_rules

ZENNIT = {
    "epsilon_plus": "EpsilonPlus",
    "epsilon_plus_flat": "EpsilonPlusFlat",
    "epsilon_alpha2_beta1": "EpsilonAlpha2Beta1",
    "epsilon_alpha2_beta1_flat": "EpsilonAlpha2Beta1Flat",
    "epsilon_gamma_box": "EpsilonGammaBox",
}


def randomise(model: nn.Module) -> nn.Module:
    """Draws statistics, biases and scales; turns functions in place off, which zennit cannot have."""
    torch.manual_seed(0)
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() == 1:
                nn.init.uniform_(parameter, *((0.75, 1.25) if name == "weight" else (-0.1, 0.1)))
            elif not bool(parameter.any()):
                nn.init.normal_(parameter, 0, 0.1)
        if hasattr(module, "inplace"):
            module.inplace = False
    return model.eval().double()


def difference(ours: Tensor, theirs: Tensor) -> str:
    return f"{float((ours - theirs).abs().max() / theirs.abs().max()):.0e}"


def by_zennit() -> None:
    from zennit import composites
    from zennit.attribution import Gradient
    from zennit.torchvision import ResNetCanonizer, VGGCanonizer

    for build, canonizer in (
        (torchvision.models.resnet18, ResNetCanonizer),
        (torchvision.models.vgg11_bn, VGGCanonizer),
    ):
        model, images = randomise(build(num_classes=10)), torch.randn(2, 3, 64, 64).double()
        for name, theirs in ZENNIT.items():
            rules, bounds = name, {}
            if name == "epsilon_gamma_box":
                rules = relevance_rules.Composite(relevance_rules.Gamma(), first=relevance_rules.ZBox(-3, 3))
                bounds = {"low": torch.full((1, 3, 64, 64), -3.0), "high": torch.full((1, 3, 64, 64), 3.0)}
            composite = getattr(composites, theirs)(canonizers=[canonizer()], **bounds)
            one = nn.functional.one_hot(torch.tensor([3, 3]), 10)
            with Gradient(model, composite) as attributor:
                _, found = attributor(images.clone(), lambda z, one=one: one * z)
            largest = difference(lrp(model, images, 3, rules=rules), found.sum(1, True))
            print(f"| {build.__name__} | {name} | zennit | {largest} |")


def explicit(model: VisionTransformer, images: Tensor) -> Tensor:
    """Returns the relevance of the images by LXT's explicit functions."""
    from lxt.explicit import functional as lf

    encoder, norm = model.encoder, lambda x, of: lf.layer_norm(x, of.weight, of.bias, of.eps)
    images = images.clone().requires_grad_()
    size, dim = model.patch_size, model.hidden_dim
    patches = images.unfold(2, size, size).unfold(3, size, size).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    x = lf.linear_epsilon(patches, model.conv_proj.weight.flatten(1), model.conv_proj.bias)
    x = torch.cat([model.class_token.expand(len(x), -1, -1), x], 1)
    x = lf.add2(x, encoder.pos_embedding.expand_as(x))
    for layer in encoder.layers:
        attention, y = layer.self_attention, norm(x, layer.ln_1)
        parts = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        scales = (1 / math.sqrt(dim // attention.num_heads), 1, 1)  # of queries, within the layer: it divides nothing
        q, k, v = (
            lf.linear_epsilon(y, w * s, b * s).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
            for w, b, s in zip(*parts, scales, strict=True)
        )
        y = lf.matmul(lf.softmax(lf.matmul(q, k.mT), -1), v).transpose(1, 2).flatten(2)
        x = lf.add2(x, lf.linear_epsilon(y, attention.out_proj.weight, attention.out_proj.bias))
        y = norm(x, layer.ln_2)
        first, activation, _, second, _ = layer.mlp
        y = lf.linear_epsilon(y, first.weight, first.bias)
        y = y + (activation(y) - y).detach()  # the identity rule
        x = lf.add2(x, lf.linear_epsilon(y, second.weight, second.bias))
    x = norm(x, encoder.ln)[:, 0]
    logits = lf.linear_epsilon(x, model.heads.head.weight, model.heads.head.bias)
    torch.testing.assert_close(logits, model(images))
    logits[:, 3].backward(logits[:, 3])
    assert images.grad is not None
    return images.grad.sum(1, keepdim=True)


def constant_attention(model: VisionTransformer, images: Tensor) -> Tensor:
    """Returns the relevance of the images by LXT's patches of torchvision's modules."""
    # Its models import what recent transformers have no more.
    sys.modules["lxt.efficient.models"] = types.ModuleType("models")
    sys.modules["lxt.efficient.models"].get_default_map = lambda _: {}  # pyright: ignore[reportAttributeAccessIssue]
    from lxt.efficient import patches

    images = images.clone().requires_grad_()
    chosen = {
        nn.GELU: patches.non_linear_forward,
        nn.LayerNorm: patches.layer_norm_forward,
        nn.MultiheadAttention: patches.cp_multi_head_attention_forward,
    }
    kept = {cls: cls.forward for cls in chosen}
    try:
        for cls, forward in chosen.items():
            patches.patch_method(forward, cls, keep_original=True)
        model(images)[:, 3].sum().backward()
    finally:
        for cls, forward in kept.items():
            cls.forward = forward
            if hasattr(cls, "original_forward"):
                del cls.original_forward
    assert images.grad is not None
    return (images.grad * images.detach()).sum(1, keepdim=True)


def by_lxt() -> None:
    model = randomise(VisionTransformer(32, 8, num_layers=4, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=10))
    images = torch.randn(2, 3, 32, 32).double()
    largest = difference(attn_lrp(model, images, 3), explicit(model, images))
    print(f"| ViT, 4 layers | attn_lrp | LXT, explicit | {largest} |")
    found = constant_attention(model, images)
    print(
        f"| ViT, 4 layers | lrp, epsilon | LXT, CP-LRP | {difference(lrp(model, images, 3, rules='epsilon'), found)} |"
    )


if __name__ == "__main__":
    print("| network | method | peer | difference |\n| --- | --- | --- | ---: |")
    by_zennit()
    by_lxt()
