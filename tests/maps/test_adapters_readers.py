"""Cross-attention of Hugging Face's readers over the image, against the attentions that these return themselves."""

import copy

import pytest
import torch
import transformers
from torch import nn
from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

from cv_attention.maps import query_heatmaps, record

ENCODER = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
    "image_size": (16, 48), "patch_size": 8,
}  # fmt: skip
TEXT = {"vocab_size": 20, "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
DECODERS = {
    "TrOCR": {
        "d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32,
        "cross_attention_hidden_size": 16,
    },
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "add_cross_attention": True, "n_positions": 32},
    "Bert": {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "is_decoder": True, "add_cross_attention": True,
    },
    "Roberta": {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "is_decoder": True, "add_cross_attention": True,
    },
    "MBart": {"d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32},
    "Bart": {"d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32},
}  # fmt: skip


def spread(model):
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    return model.eval()


def reader(kind: str, implementation: str) -> VisionEncoderDecoderModel:
    text = {name: value for name, value in TEXT.items() if not (kind == "GPT2" and name.startswith("max_"))}
    decoder = getattr(transformers, f"{kind}Config")(**text, **DECODERS[kind])
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**ENCODER), decoder)
    config._attn_implementation = implementation
    config.decoder_start_token_id, config.pad_token_id = 1, 0
    return spread(VisionEncoderDecoderModel(config))


def eager(model):
    config = copy.deepcopy(model.config)
    config._attn_implementation = "eager"
    built = type(model)(config).eval()
    built.load_state_dict(model.state_dict())
    return built


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", DECODERS)
def test_vision_encoder_decoders(kind, implementation):
    try:
        model = reader(kind, implementation)
    except ValueError as error:
        if "does not support an attention implementation" not in str(error):
            raise
        pytest.skip(f"{kind} has no {implementation} in transformers {transformers.__version__}")
    images, tokens = torch.randn(2, 3, 16, 48), torch.tensor([[1, 5, 6, 7, 3], [1, 9, 2, 0, 0]])
    with torch.no_grad():
        plain = model(images, decoder_input_ids=tokens).logits
        with record(model) as maps:
            looked = model(images, decoder_input_ids=tokens).logits
        expected = eager(model)(images, decoder_input_ids=tokens, output_attentions=True).cross_attentions
    torch.testing.assert_close(looked, plain)
    found = [each for each in maps.values() if each.kind == "pairwise" and each.values.shape[2] == 5]
    assert len(found) == len(expected) == 2
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.values.shape == (2, 2, 5, 2, 6)  # behind the class token
        torch.testing.assert_close(ours.values.flatten(3), theirs[..., 1:], atol=1e-5, rtol=1e-4)
        heat = query_heatmaps(ours, (16, 48))
        assert heat.shape[-2:] == (16, 48)
    own = [each for each in maps.values() if each.kind == "alignment"]
    assert len(own) == 2  # to the text written so far
    assert all(each.values.shape[2:] == (5, 5) for each in own)


def test_generation_records_its_last_step():
    model = reader("TrOCR", "eager")
    images = torch.randn(1, 3, 16, 48)
    with torch.no_grad(), record(model) as maps:
        tokens = model.generate(images, max_new_tokens=4, do_sample=False)
    cross = [each for each in maps.values() if each.kind == "pairwise" and each.values.shape[2] == 1]
    assert len(cross) == 2
    with torch.no_grad(), record(model) as all_steps:
        model(images, decoder_input_ids=tokens[:, :-1])
    last = [each for each in all_steps.values() if each.kind == "pairwise"][-1]
    torch.testing.assert_close(cross[-1].values[:, :, 0], last.values[:, :, -1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_blip_describes_images(implementation):
    vision = {name: value for name, value in ENCODER.items() if name != "image_size"} | {"image_size": 32}
    text = {
        "vocab_size": 20, "hidden_size": 16, "encoder_hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32, "is_decoder": True,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 2,
    }  # fmt: skip
    config = transformers.BlipConfig(text_config=text, vision_config=vision)
    config._attn_implementation = implementation
    try:
        model = spread(transformers.BlipForConditionalGeneration(config))
    except ValueError as error:
        if "does not support an attention implementation" not in str(error):
            raise
        pytest.skip(f"BLIP has no {implementation} in transformers {transformers.__version__}")
    images, tokens = torch.randn(2, 3, 32, 32), torch.tensor([[1, 5, 6], [1, 9, 2]])
    with torch.no_grad(), record(model) as maps:
        model(pixel_values=images, input_ids=tokens)
    cross = [each for name, each in maps.items() if "crossattention" in name]
    assert len(cross) == 2
    for each in cross:
        assert each.kind == "pairwise"
        assert each.values.shape == (2, 2, 3, 4, 4)
        sums = each.values.sum((3, 4))
        assert (sums < 1).all()  # the class token has the rest
        assert (sums > 0.5).all()
