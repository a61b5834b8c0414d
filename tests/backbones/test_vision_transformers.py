"""Blocks in plain vision transformers: on the patches in their grid, with all other tokens left alone."""

import copy
import pickle
import warnings

import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn

import cv_attention as cva
from cv_attention.backbones import insert, overview, parameter_parts, plan, remove
from tests.saliency.zoo import drawn

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def of_timm(name="vit_tiny_patch16_224", size=(64, 96), **options):
    options = {"depth": 2, "num_classes": 3, "img_size": size, "embed_dim": 24, "num_heads": 2, **options}
    return lambda: timm.create_model(name, **options)


def of_transformers(model, config, size=(64, 96), **options):
    options = {**SMALL, "image_size": size, "patch_size": 16, "num_labels": 3, **options}
    return lambda: getattr(transformers, model)(getattr(transformers, config)(**options))


def of_torchvision():
    return torchvision.models.VisionTransformer(64, 16, 2, 2, 16, 32, num_classes=3)


# How to make it, the image, tokens before and behind the patches.
MODELS = {
    "timm ViT": (of_timm(), (64, 96), 1, 0),
    "timm DINOv2 with registers": (of_timm("vit_small_patch14_reg4_dinov2", (56, 84)), (56, 84), 5, 0),
    "timm DeiT, distilled": (of_timm("deit_tiny_distilled_patch16_224"), (64, 96), 2, 0),
    "timm EVA, rotary positions": (of_timm("eva02_tiny_patch14_224", (56, 84)), (56, 84), 1, 0),
    "timm SigLIP": (of_timm("vit_base_patch16_siglip_224"), (64, 96), 0, 0),
    "timm CaiT": (of_timm("cait_xxs24_224"), (64, 96), 0, 0),
    "torchvision ViT": (of_torchvision, (64, 64), 1, 0),
    "transformers ViT": (of_transformers("ViTForImageClassification", "ViTConfig"), (64, 96), 1, 0),
    "transformers ViT, eager": (
        of_transformers("ViTForImageClassification", "ViTConfig", attn_implementation="eager"), (64, 96), 1, 0,
    ),
    "transformers DeiT": (of_transformers("DeiTForImageClassification", "DeiTConfig"), (64, 96), 2, 0),
    "transformers BEiT": (of_transformers("BeitForImageClassification", "BeitConfig"), (64, 96), 1, 0),
    "transformers DINOv2": (of_transformers("Dinov2ForImageClassification", "Dinov2Config", 64), (64, 64), 1, 0),
    "transformers CLIP": (of_transformers("CLIPVisionModel", "CLIPVisionConfig", 64), (64, 64), 1, 0),
    "transformers YOLOS": (
        of_transformers(
            "YolosForObjectDetection", "YolosConfig", [64, 96],
            num_detection_tokens=5, use_mid_position_embeddings=False,
        ),
        (64, 96), 1, 5,
    ),
}  # fmt: skip


class Ramp(nn.Module):
    """Adds 10 for each row and 1 for each column, so that a wrong order of patches shows."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        assert x.shape[1] == self.channels
        rows, columns = torch.arange(x.shape[2]), torch.arange(x.shape[3])
        return x + 10 * rows[:, None] + columns


def first(output):
    return output if torch.is_tensor(output) else output[0]


def made(name):
    torch.manual_seed(0)
    make, size, before, behind = MODELS[name]
    return make().eval(), torch.randn(2, 3, *size), before, behind


def returned_by(model, name, x):
    """What a module returns."""
    seen = []
    handle = model.get_submodule(name).register_forward_hook(lambda _, args, output: seen.append(output))
    with torch.no_grad():
        model(x)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_block_gets_the_grid_of_patches(name):
    model, x, before, behind = made(name)
    with torch.no_grad():
        plain = first(model(x))
    planned = plan(model, Ramp, "residual", input_size=tuple(x.shape[2:]))
    assert len(planned.sites) == 4  # behind attention and MLP of two layers
    patch = next(m.kernel_size[0] for m in model.modules() if isinstance(m, nn.Conv2d))
    rows, columns = x.shape[2] // patch, x.shape[3] // patch
    assert {(site.height, site.width) for site in planned.sites} == {(rows, columns)}

    site = planned.sites[0].name  # the first: what it gets is not changed by another block
    without = returned_by(model, site, x)
    insert(model, Ramp, "residual", input_size=tuple(x.shape[2:]))
    ramp = torch.tensor([10.0 * row + column for row in range(rows) for column in range(columns)])
    expected = without.clone()
    expected[:, before : before + rows * columns] += ramp[:, None]
    assert expected.shape[1] == before + rows * columns + behind
    torch.testing.assert_close(returned_by(model, site, x), expected)
    remove(model)
    with torch.no_grad():
        assert torch.equal(first(model(x)), plain)


@pytest.mark.parametrize("at", ["residual", "pre", "post", "identity", "**.mlp"])
@pytest.mark.parametrize("name", ["timm ViT", "torchvision ViT", "transformers ViT"])
def test_every_position_starts_as_the_identity_and_learns(name, at):
    model, x, _, _ = made(name)
    if at == "**.mlp" and not any(module.endswith(".mlp") for module, _ in model.named_modules()):
        pytest.skip("the layers of this version have no module for the whole MLP")
    keys = list(model.state_dict())
    drawn(model)  # torchvision's head starts at zero
    with torch.no_grad():
        plain = first(model(x))
    planned = insert(model, "se", at, init="identity", input_size=tuple(x.shape[2:]))
    with torch.no_grad():
        assert torch.equal(first(model(x)), plain)
    first(model.train()(x)).square().sum().backward()
    for site in planned.sites[: len(planned.sites) // 2]:  # only the class token leaves the second of two layers
        grads = [p.grad for p in model.get_submodule(site.block).parameters()]
        assert any(grad is not None and grad.abs().max() > 0 for grad in grads), site.name
    remove(model)
    assert list(model.state_dict()) == keys
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_after_attention_alone_and_where_a_module_returns_two_things():
    model = made("timm ViT")[0]
    planned = insert(model, "cbam", "blocks.*.attn", init="identity", input_size=(64, 96))
    assert [site.name for site in planned.sites] == ["blocks.0.attn", "blocks.1.attn"]
    with pytest.raises(ValueError, match=r"returns a tuple.*name 'encoder.layers.encoder_layer_0.dropout'"):
        insert(made("torchvision ViT")[0], "cbam", "**.self_attention", input_size=64)


def test_images_of_other_sizes():
    model = of_timm(size=64, dynamic_img_size=True)().eval()
    insert(model, Ramp, "blocks.0", input_size=64)
    for height, width in ((64, 64), (128, 128), (32, 32)):
        model(torch.randn(1, 3, height, width))
    for height, width in ((64, 96), (32, 128)):  # 2 x 8 patches are as many as 4 x 4
        with pytest.raises(ValueError, match=r"inserted for images of 4×4.*input_size="):
            model(torch.randn(1, 3, height, width))
    remove(model)
    model(torch.randn(1, 3, 32, 128))


def test_maps_usage_costs_and_parts():
    model, x, _, _ = made("timm ViT")
    images = x
    planned = insert(model, "cbam", "post", init="identity", input_size=(64, 96), train="blocks+head")
    assert planned.head == ("head",)
    with cva.record(model) as maps:
        model(images)
    shapes = {tuple(value.values.shape) for name, value in maps.items() if ".attention." in name}
    assert shapes == {(2, 1, 4, 6), (2, 24, 1, 1)}
    assert cva.usage(model, images).blocks[0].change == 0
    parts = parameter_parts(model)
    assert {part for name, part in parts.items() if ".attention." in name} == {"blocks"}
    again = plan(model, "se", "post", input_size=(64, 96))
    assert again.flops == planned.flops + planned.added_flops
    assert overview(model, input_size=(64, 96)).positions["residual"][0] == 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_and_checkpoints(copied):
    model, x, _, _ = made("timm ViT")
    before = copy.deepcopy(model.state_dict())
    insert(model, "se", "residual", input_size=(64, 96))
    expected = model(x)
    other = copied(model)
    torch.testing.assert_close(other(x), expected)
    remove(other)
    other.load_state_dict(before)
    torch.testing.assert_close(model(x), expected)  # the original keeps its blocks
    model.load_state_dict(before)  # from before the insertion, strictly


@pytest.mark.long
def test_a_network_with_residual_blocks_of_feature_maps_keeps_to_these():
    model = timm.create_model("mobilevit_xxs", num_classes=3).eval()
    assert all(site.height * site.width > 0 for site in plan(model, "se", "residual", input_size=64).sites)
    assert not any("transformer" in site.name for site in plan(model, "se", "residual", input_size=64).sites)


@pytest.mark.long
def test_compiled_exported_and_traced():
    model, x, _, _ = made("timm ViT")
    insert(model, "cbam", "residual", input_size=(64, 96))
    expected = model(x)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), expected)
    torch._dynamo.reset()
    for strict in (True, False):
        torch.testing.assert_close(torch.export.export(model, (x,), strict=strict).module()(x), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated
        torch.testing.assert_close(torch.jit.trace(model, x)(x), expected)
