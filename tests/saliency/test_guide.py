"""The lines of docs/saliency.md that explain models of other libraries, on small models with random weights."""

import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn

import cv_attention as cva
from cv_attention.saliency import targets
from tests.saliency.zoo import drawn

GUIDE = (Path(__file__).parents[2] / "docs/saliency.md").read_text(encoding="utf-8")
SOURCES = re.findall(r"```python\n# (.*?)\n(.*?)```", GUIDE.partition("## Guides by library")[2], re.S)
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
MASK = torch.zeros(64, 64, dtype=torch.bool)
MASK[10:40, 20:50] = True
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def detector():
    sizes = {"min_size": 64, "max_size": 64, "box_score_thresh": 0.0, "num_classes": 3}
    make = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    model = make(weights=None, weights_backbone=None, **sizes).eval()
    found = model(IMAGES)
    return {"detector": model, "images": IMAGES, "boxes": torch.stack([one["boxes"][0].detach() for one in found])}


def segmenter():
    make = torchvision.models.segmentation.lraspp_mobilenet_v3_large
    model = make(weights=None, weights_backbone=None, num_classes=3).eval()
    with torch.no_grad():
        model.classifier.high_classifier.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    return {"segmenter": model, "images": IMAGES}


def yolo():
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    model = tasks.DetectionModel("yolo11n.yaml", nc=3, verbose=False).eval()
    x, y, w, h = model(IMAGES)[0][:, :4, 0].detach().unbind(1)
    return {"yolo": model, "images": IMAGES, "boxes": torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)}


def unet():
    smp = pytest.importorskip("segmentation_models_pytorch")
    model = smp.Unet("resnet18", encoder_weights=None, classes=3, encoder_depth=3, decoder_channels=(16, 8, 4)).eval()
    return {"unet": model, "images": IMAGES, "mask": MASK}


def vit():
    config = transformers.ViTConfig(**SMALL, image_size=64, patch_size=8, num_labels=3)
    return {"vit": drawn(transformers.ViTForImageClassification(config)), "pixel_values": IMAGES}


def detr():
    from tests.saliency.zoo import model_of

    model = model_of("DETR")
    boxes = torchvision.ops.box_convert(model(IMAGES).pred_boxes[:, 0].detach(), "cxcywh", "xyxy") * 64
    return {"detr": model, "pixel_values": IMAGES, "boxes": boxes}


def segformer():
    from tests.saliency.zoo import model_of

    return {"segformer": model_of("SegFormer"), "pixel_values": IMAGES, "mask": MASK}


def clip():
    model = transformers.CLIPModel(
        transformers.CLIPConfig(
            text_config={**SMALL, "vocab_size": 30, "max_position_embeddings": 8},
            vision_config={**SMALL, "image_size": 64, "patch_size": 8}, projection_dim=8,
        )
    )  # fmt: skip
    names = {"torch": torch}
    exec(next(source for source in re.findall(r"```python\n(class Images.*?)\n\n\n", GUIDE, re.S)), names)
    return {"clip": drawn(model), "pixel_values": IMAGES, "prompts": torch.randn(3, 8), "Images": names["Images"]}


def of_timm():
    options = {"img_size": 64, "patch_size": 16, "depth": 2, "embed_dim": 24, "num_heads": 2}
    model, features = (drawn(timm.create_model("vit_tiny_patch16_224", num_classes=n, **options)) for n in (3, 0))
    return {"classifier": model, "features": features, "images": IMAGES, "others": IMAGES.flip(0)}


MODELS = [detector, segmenter, yolo, unet, vit, detr, segformer, clip, of_timm]


def test_every_line_has_a_model():
    assert len(SOURCES) == len(MODELS)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(n, marks=[pytest.mark.long] if m in (detector, segmenter, yolo, unet) else [])
        for n, m in enumerate(MODELS)
    ],
)
def test_the_line_explains(number):
    torch.manual_seed(0)
    names = {"cva": cva, "targets": targets, "torch": torch, "nn": nn, **MODELS[number]()}
    exec(SOURCES[number][1], names)
    images = names.get("images", names.get("pixel_values"))
    assert names["heat"].shape == (2, 1, *images.shape[2:])
    layers = cva.saliency.explanation(names["heat"]).layers
    assert all(min(size) > 1 for size in layers.values())
    assert layers or "gradient_attention" in SOURCES[number][1]
    assert names["heat"].isfinite().all()
