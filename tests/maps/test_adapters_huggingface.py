"""Maps of Hugging Face's vision models, against the attentions that these return themselves."""

import copy

import pytest
import torch
import transformers
from torch import nn

from cv_attention.maps import record, to_heatmap

torch.manual_seed(0)
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
IMAGES = {"image_size": 32, "patch_size": 8}
SWIN = {"image_size": 48, "patch_size": 4, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}


def make(kind, implementation, **options):
    config = getattr(transformers, f"{kind}Config")(**options, attn_implementation=implementation)
    cls = getattr(transformers, f"{kind}Model")
    if implementation == "sdpa" and not cls._supports_sdpa:
        pytest.skip(f"{kind} has no sdpa in transformers {transformers.__version__}")
    model = cls(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    return model


def attentions(model, images):
    """What a model with the same weights returns where it attends in plain steps."""
    config = copy.deepcopy(model.config)
    config._attn_implementation = "eager"
    eager = type(model)(config).eval()
    eager.load_state_dict(model.state_dict())
    return eager(images, output_attentions=True).attentions


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("kind", "options", "prefix"),
    [
        ("ViT", {}, 1),
        ("DeiT", {}, 2),
        ("Dinov2", {}, 1),
        ("Dinov2WithRegisters", {"num_register_tokens": 4}, 5),
        ("DINOv3ViT", {"num_register_tokens": 4}, 5),
        ("CLIPVision", {}, 1),
        ("SiglipVision", {}, 0),
        ("Beit", {"use_relative_position_bias": True}, 1),
    ],
)
def test_vision_transformers(kind, options, prefix, implementation):
    model = make(kind, implementation, **SMALL, **IMAGES, **options)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        plain = model(images).last_hidden_state
        with record(model) as maps:
            looked = model(images).last_hidden_state
        expected = attentions(model, images)
    torch.testing.assert_close(looked, plain, rtol=0, atol=0)
    layers = [found for name, found in maps.items() if "head" not in name]  # SigLIP pools by attention, too
    assert len(layers) == 2
    for found, attention in zip(layers, expected, strict=True):
        assert (found.kind, found.prefix, found.values.shape) == ("pairwise", prefix, (2, 2, 16, 4, 4))
        torch.testing.assert_close(found.tokens if prefix else found.values.flatten(3), attention)
    assert to_heatmap(layers[0], 32).shape == (2, 1, 32, 32)


@pytest.mark.parametrize(("kind", "implementation"), [("Swin", "sdpa"), ("Swin", "eager"), ("Swinv2", "eager")])
def test_swin(kind, implementation):
    model = make(kind, implementation, **SWIN)
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        with record(model) as maps:
            model(images)
        expected = attentions(model, images)
    assert len(maps) == 4
    shifted = list(maps.values())[1]  # the model returns the last block of each stage
    assert shifted.values.shape == (2, 2, 144, 4, 4)
    # rolled by 2, the first window holds the rows 2..5 of the columns 2..5
    rows = [12 * row + column for row in range(2, 6) for column in range(2, 6)]
    torch.testing.assert_close(shifted.values[:, :, rows].flatten(3), expected[0].unflatten(0, (2, 9))[:, 0])
    assert [tuple(to_heatmap(found).shape[2:]) for found in maps.values()] == [(12, 12)] * 2 + [(6, 6)] * 2
    for found in list(maps.values())[:2]:
        torch.testing.assert_close(found.dense().values.sum((-2, -1)), torch.ones(2, 2, 144))


def test_words_are_no_grid():
    text = {**SMALL, "vocab_size": 50, "max_position_embeddings": 20}
    config = transformers.CLIPConfig(text_config=text, vision_config={**SMALL, **IMAGES}, projection_dim=8)
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad(), record(model) as maps:
        model(input_ids=torch.randint(50, (2, 17)), pixel_values=torch.randn(2, 3, 32, 32))
    kinds = {name.split(".")[0]: found.kind for name, found in maps.items()}
    assert kinds == {"vision_model": "pairwise", "text_model": "alignment"}


def test_attention_that_no_table_knows_is_watched_by_its_name():
    model = make("ViTMSN", "sdpa", **SMALL, **IMAGES)
    with torch.no_grad(), record(model) as maps:
        model(torch.randn(2, 3, 32, 32))
    assert {(found.kind, found.prefix) for found in maps.values()} == {("pairwise", 1)}
