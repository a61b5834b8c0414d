"""Stages and heads of networks other than plain classifiers: small ones of every kind, by hand from their code."""

import copy
from dataclasses import dataclass

import pytest
import timm
import torch
import transformers
from torch import nn
from torchvision.models import detection, segmentation
from transformers.models.segformer import modeling_segformer

from cv_attention.backbones import insert, parameter_parts, plan, remove
from cv_attention.backbones.positions.parameters import head_names
from tests.quick import quick_only


def double(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    """Two levels, a bottom, and two levels; `up` says how the resolution is raised."""

    def __init__(self, up: str = "transposed") -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = double(3, 8), double(8, 16), double(16, 32)
        self.pool = nn.MaxPool2d(2)
        raise_by = {
            "transposed": lambda i, o: nn.ConvTranspose2d(i, o, 2, 2),
            "bilinear": lambda i, o: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(i, o, 1)),
            "shuffle": lambda i, o: nn.Sequential(nn.Conv2d(i, 4 * o, 1), nn.PixelShuffle(2)),
        }[up]
        self.up2, self.join2 = raise_by(32, 16), double(32, 16)
        self.up1, self.join1 = raise_by(16, 8), double(16, 8)
        self.masks = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        fine = self.down1(x)
        middle = self.down2(self.pool(fine))
        x = self.bottom(self.pool(middle))
        x = self.join2(torch.cat([self.up2(x), middle], 1))
        x = self.join1(torch.cat([self.up1(x), fine], 1))
        return nn.functional.interpolate(self.masks(x), scale_factor=2).sigmoid()


@pytest.mark.parametrize("up", ["transposed", "bilinear", "shuffle"])
def test_levels_of_a_unet(up):
    model = UNet(up)

    def sites(at):
        return [site.name for site in plan(model, "se", at, input_size=32).sites]

    down, rising = ["down1.3", "down2.3", "bottom.3"], ["join2.3", "join1.3"]
    assert sites("stage") == down + rising
    assert sites("stage:0:") == down
    assert sites("stage:-1") == ["bottom.3"]
    assert sites("stage:decoder") == rising
    assert sites("stage:decoder:-1") == ["join1.3"]
    assert sites("replace:-1") == ["bottom.2"]
    assert sites("replace:decoder") == ["join2.2", "join1.2"]
    with pytest.raises(ValueError, match="UNet's decoder has 2 stages, 0 to 1"):
        sites("stage:decoder:2")


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x):
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + self.shortcut(x)).relu()


class ResidualUNet(nn.Module):
    """Units in the encoder, the decoder and behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1)
        self.one, self.two = Residual(8, 8), Residual(8, 16, 2)
        self.three = nn.Sequential(Residual(16, 16, 2), Residual(16, 16))
        self.up2, self.up1 = Residual(32, 16), Residual(24, 8)
        self.depth, self.normals = nn.Conv2d(8, 1, 1), nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, x):
        one = self.one(self.stem(x))
        two = self.two(one)
        x = nn.functional.interpolate(self.three(two), scale_factor=2, mode="nearest")
        x = nn.functional.interpolate(self.up2(torch.cat([x, two], 1)), scale_factor=2, mode="nearest")
        x = self.up1(torch.cat([x, one], 1))
        return {"depth": self.depth(x).relu(), "normals": nn.functional.normalize(self.normals(x))}


def test_units_of_a_decoder_belong_to_no_stage_of_the_encoder():
    model = ResidualUNet()

    def sites(at):
        return [site.name for site in plan(model, "se", at, input_size=32).sites]

    assert sites("stage") == ["one", "two", "three.1", "up2", "up1"]
    assert sites("residual:-1") == ["three.0.bn2", "three.1.bn2"]
    assert sites("residual:0") == ["one.bn2"]
    assert sites("residual:decoder") == ["up2.bn2", "up1.bn2"]
    assert sites("residual:decoder:0") == ["up2.bn2"]
    assert sites("residual") == ["one.bn2", "two.bn2", "three.0.bn2", "three.1.bn2", "up2.bn2", "up1.bn2"]
    assert plan(model, "se", input_size=32).head == ("depth", "normals")


@dataclass
class Answer:
    classes: torch.Tensor
    boxes: list


class ManyHeads(nn.Module):
    """Answers in a data class, a list and a dict; one layer feeds another head, one weight belongs to no module."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU())
        self.hidden, self.classes = nn.Linear(8, 8), nn.Linear(8, 5)
        self.boxes = nn.ModuleList([nn.Linear(8, 4), nn.Linear(8, 4)])
        self.prototypes = nn.Parameter(torch.randn(8, 6))
        self.scale = nn.Parameter(torch.ones(()))
        self.unused = nn.Linear(8, 8)

    def forward(self, x):
        x = self.hidden(self.body(x).mean((2, 3))).relu()
        similar = nn.functional.normalize(x, dim=1) @ nn.functional.normalize(self.prototypes, dim=0) * self.scale
        return Answer(self.classes(x).softmax(1), [{"box": box(x).sigmoid()} for box in self.boxes]), (similar,)


def test_all_heads_are_found_whatever_the_output():
    model = ManyHeads()
    heads = {"prototypes", "scale", "classes", "boxes.0", "boxes.1"}
    assert set(plan(model, "se", "stage", input_size=16).head) == heads
    planned = insert(model, "se", "stage", input_size=16, train="blocks+head")
    trained = {name for name, p in model.named_parameters() if p.requires_grad and "attention" not in name}
    assert trained == {"prototypes", "scale"} | {
        f"{head}.{kind}" for head in ("classes", "boxes.0", "boxes.1") for kind in ("weight", "bias")
    }
    assert planned.to_dict()["head"] == list(planned.head)
    assert str(planned).splitlines()[-1] == f"head: {', '.join(planned.head)} (trained)"
    remove(model)
    assert all(parameter.requires_grad for parameter in model.parameters())


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = timm.create_model("resnet18", num_classes=0)
        self.kind, self.age = nn.Linear(512, 5), nn.Linear(512, 1)

    def forward(self, x):
        x = self.body(x)
        return self.kind(x), self.age(x)


def test_two_linear_heads():
    model = TwoHeads()
    planned = insert(model, "se", train="blocks+head", input_size=64)
    assert planned.head == ("kind", "age")
    assert str(planned).splitlines()[-1] == "head: kind, age (trained)"
    part = parameter_parts(model)
    assert {name for name in part if part[name] == "head"} == {"kind.weight", "kind.bias", "age.weight", "age.bias"}
    assert [site.name for site in plan(model, "se", "stage", input_size=64).sites] == [
        f"body.layer{i}.1" for i in (1, 2, 3, 4)
    ]
    chosen = insert(copy.deepcopy(model), "se", train="blocks+head", head="a*", input_size=64)
    assert chosen.head == ("age",)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: timm.create_model("resnet18", features_only=True), 64),
        (lambda: timm.create_model("resnet18", num_classes=0), 64),
        pytest.param(lambda: timm.create_model("vgg11", num_classes=0), 64, marks=pytest.mark.long),
        (lambda: transformers.ResNetBackbone(hf_resnet()), 64),
        (lambda: transformers.ResNetModel(hf_resnet()), 64),
        pytest.param(lambda: without_head(), 64, marks=pytest.mark.long),
    ],
    ids=["features_only", "pooled", "vgg", "hf backbone", "hf model", "torchvision without fc"],
)
def test_a_backbone_has_no_head(make, size):
    model = make()
    planned = plan(model, "se", "stage", input_size=size)
    assert planned.head == ()
    assert str(planned).splitlines()[-1] == "head: none, the outputs are features"
    before = [p.requires_grad for p in model.parameters()]
    with pytest.raises(ValueError, match=r"train='blocks\+head', but \w+ has no head"):
        insert(model, "se", "stage", input_size=size, train="blocks+head")
    assert [p.requires_grad for p in model.parameters()] == before
    assert insert(model, "se", "stage", input_size=size, train="blocks").train == "blocks"


def without_head():
    from torchvision.models import vgg11_bn

    model = vgg11_bn()
    model.classifier[6] = nn.Identity()
    return model


def hf_resnet(**options):
    stages = ["stage1", "stage2", "stage3", "stage4"]
    return transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 2, 1], layer_type="basic", out_features=stages
    )


# Stages, decoder, residual units of each stage, and heads, by hand from the libraries' sources.
BODY = [f"backbone.body.layer{i}.1" for i in (1, 2, 3, 4)]
# Before its stages were modules, only a patch embedding returned their feature maps (B, C, H, W).
STAGES_ARE_MODULES = hasattr(modeling_segformer, "SegformerStage")
SEGFORMER_STAGE = "segformer.stages.{}" if STAGES_ARE_MODULES else "segformer.encoder.patch_embeddings.{}.proj"

MODELS = {
    "deeplabv3 with aux": (
        lambda: segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, aux_loss=True),
        ["backbone.1", "backbone.3", "backbone.6", "backbone.16.2"],
        [],
        [1, 1, 2, 6],
        ["classifier.4", "aux_classifier.4"],
    ),
    "lraspp": (
        lambda: segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None),
        ["backbone.1", "backbone.3", "backbone.6", "backbone.16.2"],
        [],
        [1, 1, 2, 6],
        ["classifier.low_classifier", "classifier.high_classifier"],
    ),
    "fasterrcnn": (
        lambda: detector(),
        BODY,
        [f"backbone.fpn.layer_blocks.{i}.0" for i in (2, 1, 0)],
        [2, 2, 2, 2],
        [
            "rpn.head.cls_logits",
            "rpn.head.bbox_pred",
            "roi_heads.box_predictor.cls_score",
            "roi_heads.box_predictor.bbox_pred",
        ],
    ),
    "timm features_only": (
        lambda: timm.create_model("resnet18", features_only=True),
        ["layer1.1", "layer2.1", "layer3.1", "layer4.1"],
        [],
        [2, 2, 2, 2],
        [],
    ),
    "timm features_only, dilated": (
        lambda: timm.create_model("resnet18", features_only=True, output_stride=8),
        ["layer1.1", "layer2.1", "layer3.1", "layer4.1"],
        [],
        [2, 2, 2, 2],
        [],
    ),
    "timm features_only, several resolutions at once": (
        lambda: timm.create_model("hrnet_w18_small", features_only=True),
        [f"incre_modules.{i}.0" for i in range(4)],
        [],
        None,
        [],
    ),
    "hf backbone": (
        lambda: transformers.ResNetBackbone(hf_resnet()),
        [f"encoder.stages.{i}" for i in range(4)],
        [],
        [1, 1, 2, 1],
        [],
    ),
    "hf backbone with norms in parallel": (
        lambda: transformers.ConvNextBackbone(
            transformers.ConvNextConfig(
                hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 2, 1], out_features=["stage1", "stage2", "stage3", "stage4"]
            )
        ),
        [f"encoder.stages.{i}" for i in range(4)],
        [],
        [1, 1, 2, 1],
        [],
    ),
    "hf segformer": (
        lambda: transformers.SegformerForSemanticSegmentation(
            transformers.SegformerConfig(
                hidden_sizes=[8, 16, 16, 32],
                depths=[1, 1, 1, 1],
                num_attention_heads=[1, 1, 2, 2],
                decoder_hidden_size=16,
                num_labels=3,
            )
        ),
        [SEGFORMER_STAGE.format(i) for i in range(4)],
        ["decode_head.activation"],
        None,
        ["decode_head.classifier"],
    ),
    "hf mobilenet v2": (
        lambda: transformers.MobileNetV2ForImageClassification(transformers.MobileNetV2Config(num_labels=3)),
        [f"mobilenet_v2.layer.{i}" for i in (1, 4, 11, 15)],
        [],
        [1, 2, 5, 2],
        ["classifier"],
    ),
}


def detector():
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    return detection.FasterRCNN(body, num_classes=3, min_size=64, max_size=64)


@pytest.mark.parametrize(
    "name", quick_only(MODELS.keys() - {"fasterrcnn", "hf mobilenet v2", "deeplabv3 with aux"}, MODELS)
)
def test_stages_units_and_heads(name):
    make, stages, decoder, units, heads = MODELS[name]
    torch.manual_seed(0)
    model = make()
    planned = plan(model, "se", "stage", input_size=64)
    assert [site.name for site in planned.sites] == stages + decoder
    assert [site.name for site in plan(model, "se", "stage:0:", input_size=64).sites] == stages
    assert sorted(planned.head) == sorted(heads)
    if units is not None:
        assert [count(model, f"residual:{i}") for i in range(len(stages))] == units


def count(model, at):
    try:
        return len(plan(model, "se", at, input_size=64).sites)
    except ValueError:
        return 0


def test_a_detector_keeps_its_answers():
    torch.manual_seed(0)
    model = detector().eval()
    image = [torch.rand(3, 64, 64), torch.rand(3, 48, 64)]
    with torch.no_grad():
        plain = model(image)
        insert(model, "se", "stage", init="identity", input_size=64)
        attended = model(image)
    assert all(torch.equal(one[key], two[key]) for one, two in zip(plain, attended, strict=True) for key in one)


class Denoiser(nn.Module):
    """Adds what it makes to the image: the sum is the answer, and no place for a block."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.noise = nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, x):
        return x + self.noise(self.body(x))


@pytest.mark.parametrize("at", ["stage", "residual", "post", "replace", "pre", "identity"])
@pytest.mark.parametrize("make", [Denoiser, UNet, ResidualUNet])
def test_no_position_takes_what_makes_the_output(make, at):
    model = make()
    heads = plan(model, "se", "**.0", input_size=32).head if make is not ResidualUNet else ("depth", "normals")
    try:
        sites = plan(model, "se" if at != "replace" else "mhsa", at, input_size=32).sites
    except ValueError:  # there is no such position
        return
    assert not [s for s in sites if any(f"{s.name}.".startswith(f"{head}.") for head in heads) and s.place != "before"]


def test_heads_without_an_insertion():
    assert head_names(TwoHeads()) == ["kind", "age"]  # by a forward
    assert head_names(timm.create_model("resnet18")) == ["fc"]  # by what timm says
    with pytest.raises(ValueError, match="the head of Linear is not known"):
        head_names(nn.Linear(2, 2))
    with pytest.raises(
        ValueError, match=r"head='hed' fits no module with parameters of TwoHeads; (did you mean|expected one of) "
    ):
        parameter_parts(TwoHeads(), head="hed")


def test_timm_is_believed_only_where_the_forward_agrees():
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = timm.create_model("resnet18", num_classes=0)
            self.old, self.new = nn.Linear(512, 3), nn.Linear(512, 4)

        def get_classifier(self):
            return self.old

        def forward(self, x):
            return self.new(self.body(x))

    assert plan(Wrapped(), "se", input_size=64).head == ("new",)
