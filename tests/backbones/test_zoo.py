"""Stages and heads of segmenters, detectors, pose estimators and feature extractors of six libraries.

Written by hand from the libraries' sources: the hosts at the ends of the encoder's stages and of the decoder's, the
residual units of each stage of the encoder, and the heads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from cv_attention.backbones import insert, overview, remove

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),  # what the libraries' own code calls
]


@dataclass(frozen=True)
class Expected:
    make: Callable[[], nn.Module]
    stages: list[str]
    decoder: list[str] = field(default_factory=list)
    units: list[int] | None = None
    heads: list[str] = field(default_factory=list)
    size: int = 64


def smp(name: str, encoder: str = "resnet18", **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        library = pytest.importorskip("segmentation_models_pytorch", reason="needs the zoo extra")
        return getattr(library, name)(encoder, encoder_weights=None, classes=3, **options)

    return make


def monai(name: str, *args: Any, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        nets = pytest.importorskip("monai.networks.nets", reason="needs the zoo extra")
        return getattr(nets, name)(*args, **options)

    return make


def yolo(name: str, kind: str = "DetectionModel") -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        tasks = pytest.importorskip("ultralytics.nn.tasks", reason="needs the zoo extra")
        return getattr(tasks, kind)(f"{name}.yaml", verbose=False)

    return make


def torchvision(kind: str, name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        from torchvision import models

        return getattr(getattr(models, kind), name)(weights=None, weights_backbone=None, **options)

    return make


def features(name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import timm

        return timm.create_model(name, features_only=True, **options)

    return make


def hugging_face(name: str, config: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import transformers

        for key, value in options.items():
            if isinstance(value, tuple):
                options[key] = getattr(transformers, value[0])(**value[1])
        return getattr(transformers, name)(getattr(transformers, config)(**options))

    return make


def names(pattern: str, *numbers: Any) -> list[str]:
    return [pattern.format(number) for number in numbers]


def layers(prefix: str, counts: tuple[int, ...]) -> list[str]:
    """The last units of a ResNet's four layers."""
    return [f"{prefix}layer{i}.{count - 1}" for i, count in enumerate(counts, 1)]


R18, R50 = (2, 2, 2, 2), (3, 4, 6, 3)
ENCODER = layers("encoder.", R18)
MASKS = ["segmentation_head.0"]
BLOCKS = names("decoder.blocks.{}", 0, 1, 2, 3, 4)
PYRAMID = names("backbone.fpn.layer_blocks.{}.0", 2, 1, 0)
RPN = ["rpn.head.cls_logits", "rpn.head.bbox_pred"]
BOXES = ["roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"]
SMALL: dict[str, Any] = {"min_size": 64, "max_size": 64, "num_classes": 3}
FEW: dict[str, Any] = {"rpn_post_nms_top_n_test": 8, "box_detections_per_img": 2}


def detect(layer: int, branches: tuple[str, ...] = ("cv2", "cv3")) -> list[str]:
    """The last convolutions of YOLO's branches at its three levels."""
    return [f"model.{layer}.{branch}.{level}.2" for branch in branches for level in range(3)]


HF_RESNET: dict[str, Any] = {
    "embedding_size": 8, "hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 2, 1],
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}  # fmt: skip
MONAI: dict[str, Any] = {"channels": (8, 16, 32, 64), "strides": (2, 2, 2)}

MODELS = {
    "smp Unet": Expected(smp("Unet"), ENCODER, BLOCKS, [2, 2, 2, 2], MASKS),
    "smp Unet scSE": Expected(smp("Unet", decoder_attention_type="scse"), ENCODER, BLOCKS, [2, 2, 2, 2], MASKS),
    "smp Unet with classes": Expected(
        smp("Unet", aux_params={"classes": 4}), ENCODER, BLOCKS, [2, 2, 2, 2], [*MASKS, "classification_head.3"]
    ),
    "smp Unet mobilenet_v2": Expected(
        smp("Unet", "mobilenet_v2"), names("encoder.features.{}", 3, 6, 13, "18.2"), BLOCKS, [1, 2, 5, 2], MASKS
    ),
    "smp Unet efficientnet-b0": Expected(
        smp("Unet", "efficientnet-b0"), names("encoder._blocks.{}", 2, 4, 10, 15), BLOCKS, [1, 1, 4, 3], MASKS
    ),
    "smp Unet vgg11_bn": Expected(
        smp("Unet", "vgg11_bn"), names("encoder.features.{}", 6, 13, 20, 27), BLOCKS, [0, 0, 0, 0], MASKS
    ),
    "smp Unet convnext": Expected(
        smp("Unet", "tu-convnext_atto"), names("encoder.model.stages_{}", 0, 1, 2, 3), BLOCKS, [2, 2, 6, 2], MASKS
    ),
    "smp UnetPlusPlus": Expected(
        smp("UnetPlusPlus"), ENCODER, names("decoder.blocks.x_0_{}", 0, 1, 2, 3, 4), [2, 2, 2, 2], MASKS
    ),
    "smp Linknet": Expected(smp("Linknet"), ENCODER, BLOCKS, [2, 2, 2, 2], MASKS),
    "smp MAnet": Expected(smp("MAnet"), ENCODER, BLOCKS, [2, 2, 2, 2], MASKS),
    "smp FPN": Expected(smp("FPN"), ENCODER, ["decoder.p4", "decoder.p3", "decoder.merge"], [2, 2, 2, 2], MASKS),
    "smp PAN": Expected(smp("PAN"), ENCODER, ["decoder.gau2", "decoder.gau1"], [2, 2, 2, 2], MASKS, 256),
    "smp PSPNet": Expected(smp("PSPNet"), ENCODER[:2], [], [2, 2], MASKS),
    "smp DeepLabV3": Expected(smp("DeepLabV3"), ENCODER, [], [2, 2, 2, 2], MASKS),
    "smp DeepLabV3Plus": Expected(smp("DeepLabV3Plus"), ENCODER, ["decoder"], [2, 2, 2, 2], MASKS),
    "smp Segformer": Expected(smp("Segformer"), ENCODER, ["decoder"], [2, 2, 2, 2], MASKS),
    "torchvision fcn": Expected(
        torchvision("segmentation", "fcn_resnet50"), ["backbone.layer1.2", "backbone.layer4.2"], [], [3, 13],
        ["classifier.4"],
    ),
    "torchvision deeplabv3": Expected(
        torchvision("segmentation", "deeplabv3_resnet50", aux_loss=True), ["backbone.layer1.2", "backbone.layer4.2"],
        [], [3, 13], ["classifier.4", "aux_classifier.4"],
    ),
    "torchvision deeplabv3 mobilenet": Expected(
        torchvision("segmentation", "deeplabv3_mobilenet_v3_large"), names("backbone.{}", 1, 3, 6, "16.2"), [],
        [1, 1, 2, 6], ["classifier.4"],
    ),
    "torchvision lraspp": Expected(
        torchvision("segmentation", "lraspp_mobilenet_v3_large"), names("backbone.{}", 1, 3, 6, "16.2"), [],
        [1, 1, 2, 6], ["classifier.low_classifier", "classifier.high_classifier"],
    ),
    "torchvision fasterrcnn": Expected(
        torchvision("detection", "fasterrcnn_resnet50_fpn", **SMALL), layers("backbone.body.", R50), PYRAMID,
        [3, 4, 6, 3], RPN + BOXES,
    ),
    "torchvision fasterrcnn mobilenet": Expected(
        torchvision("detection", "fasterrcnn_mobilenet_v3_large_320_fpn"),
        names("backbone.body.{}", 1, 3, 6, 12, "16.2"), [], [1, 1, 2, 4, 2], RPN + BOXES,
    ),
    "torchvision maskrcnn": Expected(
        torchvision("detection", "maskrcnn_resnet50_fpn", **SMALL, **FEW), layers("backbone.body.", R50), PYRAMID,
        [3, 4, 6, 3], [*RPN, *BOXES, "roi_heads.mask_predictor.mask_fcn_logits"],
    ),
    "torchvision keypointrcnn": Expected(
        torchvision("detection", "keypointrcnn_resnet50_fpn", **(SMALL | {"num_classes": 2}), **FEW),
        layers("backbone.body.", R50), PYRAMID, [3, 4, 6, 3],
        [*RPN, *BOXES, "roi_heads.keypoint_predictor.kps_score_lowres"],
    ),
    "torchvision retinanet": Expected(
        torchvision("detection", "retinanet_resnet50_fpn", **SMALL), layers("backbone.body.", R50), PYRAMID[1:],
        [3, 4, 6, 3], ["head.classification_head.cls_logits", "head.regression_head.bbox_reg"],
    ),
    "torchvision fcos": Expected(
        torchvision("detection", "fcos_resnet50_fpn", **SMALL), layers("backbone.body.", R50), PYRAMID[1:],
        [3, 4, 6, 3],
        ["head.classification_head.cls_logits", *names("head.regression_head.{}", "bbox_reg", "bbox_ctrness")],
    ),
    "torchvision ssd": Expected(
        torchvision("detection", "ssd300_vgg16", num_classes=3),
        [*names("backbone.features.{}", 3, 8, 15, 22),
         *names("backbone.extra.{}", "0.7.4", "1.3", "2.3", "3.3", "4.3")],
        [], [0] * 9,
        [f"head.{kind}_head.module_list.{i}" for kind in ("classification", "regression") for i in range(6)],
    ),
    "torchvision ssdlite": Expected(
        torchvision("detection", "ssdlite320_mobilenet_v3_large", num_classes=3),
        [*names("backbone.features.{}", "0.1", "0.3", "0.6", "0.13.2", "1.3.2"),
         *names("backbone.extra.{}.2.2", 0, 1, 2, 3)],
        [], [1, 1, 2, 4, 2, 0, 0, 0, 0],
        [f"head.{kind}_head.module_list.{i}.1" for kind in ("classification", "regression") for i in range(6)],
    ),
    "ultralytics yolov8n": Expected(
        yolo("yolov8n"), names("model.{}", 2, 4, 6, 9), names("model.{}", 12, 15), [1, 2, 2, 1], detect(22)
    ),
    "ultralytics yolo11n": Expected(
        yolo("yolo11n"), names("model.{}", 2, 4, 6, 10), names("model.{}", 13, 16), [1, 1, 2, 4], detect(23)
    ),
    "ultralytics yolo11n-seg": Expected(
        yolo("yolo11n-seg", "SegmentationModel"), names("model.{}", 2, 4, 6, 10),
        names("model.{}", 13, 16, "23.proto.cv2"), [1, 1, 2, 4], detect(23, ("cv2", "cv3", "cv4")),
    ),
    "ultralytics yolov8n-pose": Expected(
        yolo("yolov8n-pose", "PoseModel"), names("model.{}", 2, 4, 6, 9), names("model.{}", 12, 15), [1, 2, 2, 1],
        detect(22, ("cv2", "cv3", "cv4")),
    ),
    "ultralytics yolo11n-cls": Expected(
        yolo("yolo11n-cls", "ClassificationModel"), names("model.{}", 2, 4, 6, 9), [], [1, 1, 2, 4],
        ["model.10.linear"],
    ),
    "monai UNet": Expected(
        monai("UNet", 2, 1, 3, num_res_units=2, **MONAI),
        ["model.0", "model.1.submodule.0", "model.1.submodule.1.submodule.1"],
        ["model.1.submodule.1.submodule.2.1", "model.1.submodule.2.1", "model.2.0.adn.A"], [1, 1, 2],
        ["model.2.1.conv.unit0.conv"],
    ),
    "monai BasicUNet": Expected(
        monai("BasicUNet", 2, 1, 3, (8, 8, 16, 32, 64, 8)),
        ["conv_0.conv_1.adn.A", *names("down_{}.convs.conv_1.adn.A", 1, 2, 3, 4)], names("upcat_{}", 4, 3, 2, 1),
        [0] * 5, ["final_conv"],
    ),
    "monai AttentionUnet": Expected(
        monai("AttentionUnet", 2, 1, 3, **MONAI),
        ["model.0", "model.1.submodule.0", "model.1.submodule.1.submodule.0",
         "model.1.submodule.1.submodule.1.submodule"],
        names("model.1.{}merge.adn.A", "submodule.1.submodule.1.", "submodule.1.", ""), [0] * 4, ["model.2.conv"],
    ),
    "monai SegResNet": Expected(
        monai("SegResNet", 2, 8, 1, 3), names("down_layers.{}", "0.1", "1.2", "2.2", "3.4"),
        ["up_layers.0.0", "up_layers.1.0", "act_mod"], [1, 2, 2, 4], ["conv_final.2.conv"],
    ),
    "monai DynUNet": Expected(
        monai("DynUNet", 2, 1, 3, [3] * 4, [1, 2, 2, 2], [2] * 3),
        ["input_block", "downsamples.0", "downsamples.1", "bottleneck"], names("upsamples.{}", 0, 1, 2), [0] * 4,
        ["output_block.conv.conv"],
    ),
    "monai FlexibleUNet": Expected(
        monai("FlexibleUNet", 1, 3, "efficientnet-b0", spatial_dims=2),
        names("encoder._blocks.{}", "1.2", "2.4", "4.10", "6.15"), BLOCKS, [1, 1, 4, 3], MASKS,
    ),
    "timm resnet18": Expected(features("resnet18"), layers("", R18), [], [2, 2, 2, 2]),
    "timm efficientnet_b0": Expected(
        features("efficientnet_b0"), names("blocks.{}", "1.1", "2.1", "4.2", "6.0"), [], [1, 1, 4, 3]
    ),
    "timm convnext_atto": Expected(features("convnext_atto"), names("stages_{}", 0, 1, 2, 3), [], [2, 2, 6, 2]),
    "timm regnetx_002": Expected(features("regnetx_002"), ["s1.b1", "s2.b1", "s3.b4", "s4.b7"], [], [1, 1, 4, 7]),
    "timm resnet18, two levels": Expected(
        features("resnet18", out_indices=(3, 4)), layers("", R18), [], [2, 2, 2, 2]
    ),
    "transformers ResNetBackbone": Expected(
        hugging_face("ResNetBackbone", "ResNetConfig", **HF_RESNET), names("encoder.stages.{}", 0, 1, 2, 3), [],
        [1, 1, 2, 1],
    ),
    "transformers UperNet": Expected(
        hugging_face(
            "UperNetForSemanticSegmentation", "UperNetConfig", backbone_config=("ResNetConfig", HF_RESNET),
            hidden_size=32, use_auxiliary_head=False, pool_scales=[1, 2], num_labels=5,
        ),
        names("backbone.encoder.stages.{}", 0, 1, 2, 3),
        ["decode_head.fpn_convs.1", "decode_head.fpn_convs.2", "decode_head.fpn_bottleneck"], [1, 1, 2, 1],
        ["decode_head.classifier"], 128,
    ),
    "transformers Detr": Expected(
        hugging_face(
            "DetrForObjectDetection", "DetrConfig", use_timm_backbone=False, use_pretrained_backbone=False,
            backbone=None, backbone_config=("ResNetConfig", HF_RESNET), encoder_layers=1, decoder_layers=1, d_model=32,
            encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2,
            num_queries=5, num_labels=4,
        ),
        names("model.backbone.model.encoder.stages.{}", 0, 1, 2, 3), [], [1, 1, 2, 1],
        ["class_labels_classifier", "bbox_predictor.layers.2"],
    ),
    "transformers MobileNetV2 segmentation": Expected(
        hugging_face("MobileNetV2ForSemanticSegmentation", "MobileNetV2Config"),
        names("mobilenet_v2.layer.{}", 1, 4, 11, 15), [], [1, 2, 5, 2], ["segmentation_head.classifier.convolution"],
    ),
}  # fmt: skip


def test_the_table_is_long_enough():
    assert len(MODELS) >= 25
    libraries = {"smp", "torchvision", "ultralytics", "monai", "timm", "transformers"}
    assert {name.split()[0] for name in MODELS} == libraries


@pytest.mark.parametrize("name", MODELS)
def test_stages_and_heads(name, monkeypatch, tmp_path):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    expected = MODELS[name]
    torch.manual_seed(0)
    model = expected.make().eval()
    seen = overview(model, input_size=expected.size)
    assert [name for name, _ in seen.stages] == expected.stages
    assert [name for name, _ in seen.decoder] == expected.decoder
    assert sorted(seen.head) == sorted(expected.heads)
    if expected.units is not None:
        assert seen.positions.get("residual", (0, [0] * len(expected.stages), []))[1] == expected.units
    before = [parameter.requires_grad for parameter in model.parameters()]
    if not expected.heads:
        with pytest.raises(ValueError, match="has no head"):
            insert(model, "se", "stage", input_size=expected.size, train="blocks+head")
        return
    planned = insert(model, "se", "stage", input_size=expected.size, train="blocks+head")
    assert [site.name for site in planned.sites] == expected.stages + expected.decoder
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    heads = {name for name in trained if ".attention." not in name}
    assert {name.rpartition(".")[0] for name in heads} == set(expected.heads)
    remove(model)
    assert [parameter.requires_grad for parameter in model.parameters()] == before
