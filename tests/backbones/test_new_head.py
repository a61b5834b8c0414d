"""New heads of pretrained networks start at zero, whatever the library and the kind of head."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from cv_attention import backbones
from cv_attention.backbones.models.new_head import has_head_at_zero, start_head_at_zero
from tests.quick import quick_only

# One of each kind of head in timm: a linear layer, a convolution, hidden layers before it, norms in it, two heads.
HEADS = """
test_resnet test_vit test_efficientnet convnext_atto vgg11 dla34 levit_128s deit_tiny_distilled_patch16_224
crossvit_tiny_240 repvit_m0_9 volo_d1_224 mambaout_femto tf_efficientnet_lite0 mobilenetv3_small_050 convnext_nano_ols
"""


def stack(outputs):
    return outputs if isinstance(outputs, torch.Tensor) else torch.cat(list(outputs))


@pytest.mark.parametrize("name", [name for name in HEADS.split() if name not in ("vgg11", "volo_d1_224")])
def test_the_first_loss_is_that_of_guessing(name):
    import timm

    model = timm.create_model(name, num_classes=5).eval()
    assert not has_head_at_zero(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    layers = start_head_at_zero(model)
    with torch.no_grad():
        logits = stack(model(torch.randn(2, *model.pretrained_cfg["input_size"])))
    assert not logits.any()
    assert cross_entropy(logits, torch.zeros(len(logits), dtype=int)).item() == pytest.approx(math.log(5))
    assert has_head_at_zero(model)
    for key, value in model.state_dict().items():
        assert key.rpartition(".")[0] in layers or torch.equal(value, before[key]), key


@pytest.mark.long
@pytest.mark.parametrize("name", ["vgg11", "volo_d1_224"])
def test_the_first_loss_is_that_of_guessing_in_large_networks(name):
    test_the_first_loss_is_that_of_guessing(name)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "levit_128s"])
def test_a_head_at_zero_learns_in_its_first_step_and_the_backbone_in_its_second(name):
    import timm

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3)
    start_head_at_zero(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images, labels = torch.randn(6, *model.pretrained_cfg["input_size"]), torch.arange(6) % 3
    first = next(model.parameters())
    for moved in (False, True):
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        assert bool(first.grad.any()) == moved
        optimizer.step()
    assert not has_head_at_zero(model)


class WithHiddenLayers(torch.nn.Module):
    """Declares its head as timm's networks do: a perceptron, or several side by side."""

    def __init__(self, kind):
        super().__init__()
        nn = torch.nn
        self.stem = nn.Conv2d(3, 8, 3, stride=4)
        heads = [nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.LayerNorm(6), nn.Linear(6, 5)) for _ in range(2)]
        self.head = heads[0] if kind == "perceptron" else nn.ModuleList(heads)

    def get_classifier(self):
        return self.head

    def forward(self, x):
        pooled = self.stem(x).mean((2, 3))
        heads = self.head if isinstance(self.head, torch.nn.ModuleList) else [self.head]
        return sum(head(pooled) for head in heads)


@pytest.mark.parametrize("kind", ["perceptron", "several"])
def test_only_the_last_layer_of_a_head_with_hidden_layers_is_zero(kind):
    model = WithHiddenLayers(kind).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = ["head.3"] if kind == "perceptron" else ["head.0.3", "head.1.3"]
    assert start_head_at_zero(model) == expected
    assert not model(torch.randn(2, 3, 32, 32)).any()
    changed = {
        key.rpartition(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed == set(expected)


def hugging_face(kind):
    import transformers

    small = {"num_labels": 3, "image_size": 32}
    if kind == "resnet":
        config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3)
        return transformers.ResNetForImageClassification(config)
    vit = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, **small}
    if kind == "vit":
        return transformers.ViTForImageClassification(transformers.ViTConfig(patch_size=8, **vit))
    return transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(patch_size=8, **vit))


@pytest.mark.parametrize("kind", ["resnet", "vit", "distilled"])
def test_hugging_faces_heads_start_at_zero_too(kind):
    model = hugging_face(kind).eval()
    start_head_at_zero(model)
    with torch.no_grad():
        assert not model(torch.randn(2, 3, 32, 32)).logits.any()


@pytest.fixture
def timm_file(tmp_path):
    """Weights of a tiny network of timm as its library stores them."""
    import timm

    torch.manual_seed(1)
    source = timm.create_model("test_resnet")
    torch.save(source.state_dict(), tmp_path / "source.pth")
    return source.eval(), {"pretrained_cfg_overlay": {"file": str(tmp_path / "source.pth")}}


def test_timms_pretrained_weights_get_a_head_at_zero(timm_file):
    source, options = timm_file
    model = backbones.build("timm/test_resnet", num_classes=4, pretrained=True, **options).eval()
    images = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        assert not model(images).any()
        torch.testing.assert_close(model.forward_features(images), source.forward_features(images))


def test_the_same_number_of_classes_keeps_the_head(timm_file):
    source, options = timm_file
    model = backbones.build("timm/test_resnet", pretrained=True, **options).eval()
    images = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(model(images), source(images))


def test_training_from_scratch_draws_its_head_as_before():
    import timm

    torch.manual_seed(3)
    head = backbones.build("timm/test_resnet", num_classes=4).fc.weight
    torch.manual_seed(3)
    assert torch.equal(head, timm.create_model("test_resnet", num_classes=4).fc.weight)
    assert not has_head_at_zero(backbones.build("resnet20", num_classes=4))


@pytest.mark.parametrize(
    "name",
    quick_only(
        ["squeezenet1_1", "mobilenet_v3_small"], ["squeezenet1_1", "mobilenet_v3_small", "googlenet", "resnet18"]
    ),
)
def test_torchvisions_pretrained_weights_get_a_head_at_zero(name, monkeypatch):
    from torchvision import models

    torch.manual_seed(1)
    extra = {"init_weights": True} if name == "googlenet" else {}
    state = models.get_model(name, **extra).state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: state)
    model = backbones.build(f"torchvision/{name}", num_classes=4, pretrained=True).eval()
    with torch.no_grad():
        assert not model(torch.randn(1, 3, 224, 224)).any()
    for key, value in model.state_dict().items():
        if value.shape == state[key].shape:
            assert torch.equal(value, state[key]), key
