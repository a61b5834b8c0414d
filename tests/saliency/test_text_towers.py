"""CLIP and SigLIP of transformers: small random models, whose text tower must not be taken for the image."""

import pytest
import torch
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency import targets

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
TEXT = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
IMAGE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
IMAGE |= {"image_size": 64, "patch_size": 8}


class Whole(nn.Module):
    """The whole model, with four texts of 64 words, as many as the image has patches."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.words = torch.randint(3, 60, (4, 64), generator=torch.Generator().manual_seed(2))

    def forward(self, images):
        return self.model(input_ids=self.words, pixel_values=images)


def make(kind):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    text = {**TEXT, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=IMAGE, projection_dim=16)
        return Whole(transformers.CLIPModel(config)).eval()
    return Whole(transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=IMAGE))).eval()


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_image_tower_is_explained(kind):
    model = make(kind)
    heat = s.grad_cam(model, X, lambda out: out.logits_per_image[:, 1], upsample=False)
    [(name, size)] = s.explanation(heat).layers.items()
    assert name.startswith("model.vision_model.")
    assert size == (8, 8)
    maps = s.eigen_cam(model, X, lambda out: out.logits_per_image[:, 1], upsample=False)
    assert not torch.allclose(maps[0], maps[1])
    with torch.no_grad():
        prompts = model(X).text_embeds
    by_text = s.grad_cam(model, X, targets.text(prompts, 1, scale=model.model.logit_scale.exp().item()), upsample=False)
    torch.testing.assert_close(by_text, heat, rtol=1e-3, atol=1e-4 * float(heat.max()))
