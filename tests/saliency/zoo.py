"""Seventeen small models of all kinds, each with the score that is explained, written out without the library."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
import transformers
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD

from cv_attention.saliency import targets as t


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        make: Makes the model.
        size: Shape of the images.
        target: What is explained.
        score: The explained score (B,) of what the model returns, written out.
        layer: The automatic layer.
        link: The quantity (B,) that perturbations follow, written out; None for the score itself.
        prefix: Tokens before the grid in the layer's output, where it has tokens.
        args: Further arguments of the model.
    """

    make: Callable[[], nn.Module]
    size: tuple[int, ...]
    target: Any
    score: Callable[[Any], Tensor]
    layer: str
    link: Callable[[Any], Tensor] | None = None
    prefix: int = 0
    grid: tuple[int, ...] = ()
    args: tuple[Any, ...] = field(default=())
    spread: float = 0.25

    def images(self) -> Tensor:
        return torch.rand(self.size, generator=torch.Generator().manual_seed(3))

    def quantity(self, output: Any) -> Tensor:
        return (self.link or self.score)(output)


def drawn(model: nn.Module, spread: float = 0.25) -> nn.Module:
    """Draws weights with which scores depend on the images, and leaves running statistics alone."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
    return model.eval()


class Net(nn.Module):
    """A CNN whose mean over positions `head` turns into what it returns."""

    def __init__(self, channels: int = 3, outputs: int = 4, head: Callable[[Tensor], Any] = lambda z: z) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU())
        self.fc, self.head = nn.Linear(6, outputs), head

    def forward(self, x: Tensor) -> Any:
        return self.head(self.fc(self.body(x).mean((2, 3))))


class Two(Net):
    """Weighs the channels by a second input."""

    def forward(self, x: Tensor, question: Tensor) -> Tensor:
        return self.fc(self.body(x).mean((2, 3)) * question)


class Segmentation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU())
        self.classifier = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(), nn.Conv2d(6, 3, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        small = self.classifier(self.encoder(x))
        return {"out": F.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False)}


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc = nn.Sequential(nn.Conv3d(1, 6, 3, 2, 1), nn.ReLU()), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).mean((2, 3, 4)))


class Video(nn.Module):
    """Tubes of 2 frames and 8 x 8 pixels behind a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.token = nn.Conv3d(3, 8, (2, 8, 8), (2, 8, 8)), nn.Parameter(torch.zeros(1, 1, 8))
        self.norm, self.attend = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.embed(x).flatten(2).mT], 1)
        y = self.norm(x)
        return self.fc((x + self.attend(y, y, y, need_weights=False)[0])[:, 0])


class Reader(nn.Module):
    """A CNN, and a GRU over its columns: logits (B, columns, characters)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU())
        self.gru, self.fc = nn.GRU(6, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.gru(self.body(x).mean(2).mT)[0])


class Backbone(nn.Sequential):
    out_channels = 6


def backbone() -> nn.Module:
    return Backbone(nn.Conv2d(3, 6, 3, 4, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU())


def faster_rcnn() -> nn.Module:
    anchors = AnchorGenerator(((16,),), ((1.0,),))
    sizes = {"rpn_pre_nms_top_n_test": 12, "rpn_post_nms_top_n_test": 6, "box_detections_per_img": 8}
    sizes |= {"min_size": 32, "max_size": 32, "box_score_thresh": 0.0}
    rois = torchvision.ops.MultiScaleRoIAlign(["0"], 3, 2)
    head = torchvision.models.detection.faster_rcnn.TwoMLPHead(6 * 9, 8)
    predictor = torchvision.models.detection.faster_rcnn.FastRCNNPredictor(8, 3)
    torch.manual_seed(0)
    return FasterRCNN(
        backbone(), rpn_anchor_generator=anchors, box_roi_pool=rois, box_head=head, box_predictor=predictor, **sizes
    )


def ssd() -> nn.Module:
    boxes = DefaultBoxGenerator([[1]], scales=[0.4, 0.6])
    body = backbone()
    body.out_channels = [6]
    return SSD(body, boxes, (32, 32), 3, score_thresh=0.0, detections_per_img=8, topk_candidates=12)


def detr() -> nn.Module:
    stem = transformers.ResNetConfig(embedding_size=6, hidden_sizes=[6, 6], depths=[1, 1], out_features=["stage2"])
    stem.layer_type = "basic"
    small = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "d_model": 8}
    small |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 4, "num_labels": 3}
    config = transformers.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=stem, **small
    )
    return transformers.DetrForObjectDetection(config)


def segformer() -> nn.Module:
    config = transformers.SegformerConfig(
        num_labels=3, hidden_sizes=[4, 8], depths=[1, 1], num_attention_heads=[1, 2], decoder_hidden_size=6,
        num_encoder_blocks=2, sr_ratios=[2, 1], patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[2, 2],
    )  # fmt: skip
    return transformers.SegformerForSemanticSegmentation(config)


class Clip(nn.Module):
    """The whole model, with three texts of as many words as the image has patches."""

    def __init__(self) -> None:
        super().__init__()
        same = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
        text = {**same, "vocab_size": 30, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 2}
        config = transformers.CLIPConfig(
            text_config={**text, "pad_token_id": 1},
            vision_config={**same, "image_size": 32, "patch_size": 8},
            projection_dim=8,
        )
        self.model = transformers.CLIPModel(config)
        self.words = torch.randint(3, 30, (3, 16), generator=torch.Generator().manual_seed(2))

    def forward(self, x: Tensor) -> Any:
        return self.model(input_ids=self.words, pixel_values=x)


MASK = torch.zeros(16, 16, dtype=torch.bool)
MASK[4:12, 2:9] = True
OTHER = torch.tensor([0.5, -1.0, 2.0, 0.3])
PLACES = torch.tensor([[2.0, 2.0, 24.0, 24.0], [6.0, 6.0, 30.0, 30.0]])


def best(found: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The highest score of boxes that overlap the place by half, written out with torchvision's overlap."""
    scores = []
    for (boxes, values), place in zip(found, PLACES, strict=True):
        near = torchvision.ops.box_iou(boxes.detach(), place[None])[:, 0] >= 0.1
        scores.append(values[near].max() if near.any() else values.sum() * 0)
    return torch.stack(scores)


def of_torchvision(output: Any) -> Tensor:
    return best([(one["boxes"][one["labels"] == 1], one["scores"][one["labels"] == 1]) for one in output])


def of_detr(output: Any) -> Tensor:
    boxes = torchvision.ops.box_convert(output.pred_boxes, "cxcywh", "xyxy") * 32
    return best(list(zip(boxes, output.logits.softmax(2)[..., 1], strict=True)))


def segment(logits: Tensor) -> Tensor:
    mask = F.interpolate(MASK[None, None].float(), logits.shape[2:], mode="area")[0, 0]
    return (logits[:, 1] * mask).sum((1, 2)) / mask.sum()


CLASSES = {"score": lambda z: z[:, 1], "link": lambda z: z.softmax(1)[:, 1], "layer": "body"}
BOX = t.box(1, PLACES, 0.1)
QUESTION = torch.tensor([[1.0, 2, 0, -1, 1, 3], [2.0, 1, -1, 0, 3, 1]])
KINDS = {
    "one label": Kind(Net, (2, 3, 16, 16), 1, **CLASSES),
    "many labels": Kind(Net, (2, 3, 16, 16), t.multi_label(1), lambda z: z[:, 1], "body", lambda z: z[:, 1].sigmoid()),
    "one output": Kind(
        lambda: Net(outputs=1), (2, 3, 16, 16), 0, lambda z: z[:, 0], "body", lambda z: z[:, 0].sigmoid()
    ),
    "one channel": Kind(lambda: Net(channels=1), (2, 1, 16, 16), 1, **CLASSES),
    "not square": Kind(Net, (2, 3, 16, 24), 1, **CLASSES),
    "dict": Kind(
        lambda: Net(head=lambda z: {"kind": z, "other": -z}), (2, 3, 16, 16), t.class_score(1, key="kind"),
        lambda out: out["kind"][:, 1], "body", lambda out: out["kind"].softmax(1)[:, 1],
    ),
    "segmentation": Kind(
        Segmentation, (2, 3, 16, 16), t.segment(1, MASK), lambda out: segment(out["out"]), "encoder",
        lambda out: segment(out["out"].softmax(1)),
    ),
    "Faster R-CNN": Kind(faster_rcnn, (2, 3, 32, 32), BOX, of_torchvision, "backbone"),
    "SSD": Kind(ssd, (2, 3, 32, 32), BOX, of_torchvision, "backbone"),
    "DETR": Kind(
        detr, (2, 3, 32, 32), t.box(1, PLACES, 0.1, size=(32, 32)), of_detr, "model.encoder.layers.0",
        grid=(4, 4), spread=0.15,
    ),
    "SegFormer": Kind(
        segformer, (2, 3, 32, 32), t.segment(1, MASK), lambda out: segment(out.logits), "segformer.stages.1",
        lambda out: segment(out.logits.softmax(1)), 
    ),
    "video": Kind(Video, (2, 3, 4, 16, 24), 1, **{**CLASSES, "layer": "norm"}, prefix=1, grid=(2, 2, 3)),
    "volume": Kind(Volume, (2, 1, 6, 8, 10), 1, **CLASSES),
    "CLIP": Kind(
        Clip, (2, 3, 32, 32), lambda out: out.logits_per_image[:, 1], lambda out: out.logits_per_image[:, 1],
        "model.vision_model.encoder.layers.1.layer_norm1", prefix=1, grid=(4, 4),
    ),
    "embedding": Kind(Net, (2, 3, 16, 16), t.similarity(OTHER), lambda z: F.cosine_similarity(z, OTHER), "body"),
    "CNN with GRU": Kind(
        Reader, (2, 3, 16, 24), t.character(2, 1), lambda z: z[:, 2, 1], "body", lambda z: z[:, 2].softmax(1)[:, 1]
    ),
    "two inputs": Kind(Two, (2, 3, 16, 16), 1, **CLASSES, args=(QUESTION,)),
}  # fmt: skip


@cache
def model_of(kind: str) -> nn.Module:
    """The model of a kind, the same for every method."""
    torch.manual_seed(0)
    return drawn(KINDS[kind].make(), KINDS[kind].spread)
