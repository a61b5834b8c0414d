"""Models that take anything but one image: insertion finds what it finds in the plain network on a plain image."""

import copy
import random
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cv_attention.backbones import insert, measure, plan, remove
from cv_attention.backbones.models.cifar_resnet import CifarResNet
from cv_attention.backbones.tracing.inputs import Inputs
from tests.quick import quick_first
from tests.references.flops import plain_flops

POSITIONS = ("residual", "identity", "stage", "replace", "residual:-1")


def network(channels=3):
    torch.manual_seed(0)
    return CifarResNet((1, 1, 1), num_classes=8, width=8, in_chans=channels).eval()


def images(batch=2, channels=3):
    return torch.randn(batch, channels, 32, 32, generator=torch.Generator().manual_seed(channels))


class Holds(nn.Module):
    """A model around the plain network."""

    channels = 3

    def __init__(self):
        super().__init__()
        self.encoder = network(self.channels)
        self.mlp = nn.Linear(5, 8)
        self.fc = nn.Linear(16, 3)


class Siamese(Holds):
    def forward(self, left, right):
        return self.fc(torch.cat([self.encoder(left), self.encoder(right)], 1))


class Stacked(Holds):
    def forward(self, left, right):
        return self.fc(torch.cat(self.encoder(torch.cat([left, right])).chunk(2), 1))


class WithVector(Holds):
    def forward(self, image, vector):
        return self.fc(torch.cat([self.encoder(image), self.mlp(vector)], 1))


class VectorFirst(WithVector):
    def forward(self, vector, image):
        return super().forward(image, vector)


class Masked(Holds):
    channels = 4

    def forward(self, image, mask=None):
        image.mul_(2)  # changes what it is given
        return self.encoder(torch.cat([image, mask], 1))


class OneDict(Masked):
    def forward(self, batch):
        return {"logits": super().forward(batch.pop("image"), batch.pop("mask"))}


class Stereo(Holds):
    channels = 6

    def forward(self, left, right):
        return self.encoder(torch.cat([left, right], 1))


@dataclass
class Content:
    image: Tensor


@dataclass
class Sample:
    content: Content
    factor: float


class OfSamples(Holds):
    def forward(self, sample):
        return self.encoder(sample.content.image * sample.factor)


Named = namedtuple("Named", ["image", "flag"])


class OfNamed(Holds):
    def forward(self, named):
        return self.encoder(named.image)


class Holder:
    def __init__(self, image):
        self.image = image


class Bytes(Holds):
    def forward(self, x):
        return self.encoder(x.float().div_(255))


class FoldedVideo(Holds):
    def forward(self, video):
        frames = video.transpose(1, 2).flatten(0, 1)
        return self.encoder(frames).unflatten(0, (video.shape[0], -1)).mean(1)


class FrameByFrame(Holds):
    def forward(self, video):
        return torch.stack([self.encoder(video[:, :, t]) for t in range(video.shape[2])]).mean(0)


class Volume(Holds):
    """A first layer of three axes, a 2-D network behind it."""

    channels = 7

    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(3, 7, 3, padding=1)

    def forward(self, volume):
        return self.encoder(self.first(volume).relu().mean(2))


VIDEO = torch.randn(2, 3, 4, 32, 32)
BYTES = torch.randint(0, 256, (2, 3, 32, 32))
CASES = {
    "tensor": (network, images(), 2),
    "tuple": (network, (images(),), 2),
    "two images": (Siamese, (images(), images()), 2),
    "two images in one batch": (Stacked, (images(), images()), 2),
    "image and vector": (WithVector, (images(), torch.randn(2, 5)), 2),
    "vector and image": (VectorFirst, (torch.randn(2, 5), images()), 2),
    "keywords": (Masked, {"mask": images(2, 1), "image": images()}, 2),
    "both": (Masked, ((images(),), {"mask": images(2, 1)}), 2),
    "one dict": (OneDict, ({"image": images(), "mask": images(2, 1)},), 2),
    "stereo": (Stereo, (images(3), images(3)), 3),
    "data class": (OfSamples, Sample(Content(images()), 2.0), 2),
    "named tuple": (OfNamed, Named(images(), True), 2),
    "any object": (OfNamed, Holder(images()), 2),
    "bytes": (Bytes, BYTES.to(torch.uint8), 2),
    "whole numbers": (Bytes, BYTES, 2),
    "frames as a batch": (FoldedVideo, VIDEO, 8),
    "frame by frame": (FrameByFrame, VIDEO, 2),
    "volume": (Volume, VIDEO, 2),
    "half": (lambda: network().half(), images().half(), 2),
    "bf16": (lambda: network().bfloat16(), images().bfloat16(), 2),
    "double": (lambda: network().double(), images().double(), 2),
    "meta": (lambda: network().to("meta"), images().to("meta"), 2),
}
every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def plain_sites():
    return {at: [s.name for s in plan(network(), block_at(at), at, input_size=32).sites] for at in POSITIONS}


def block_at(at):
    return "mhsa" if at == "replace" else "se"


def run(model, example):
    args, kwargs = Inputs(example).arguments()
    with torch.no_grad():
        y = model(*args, **kwargs)
    args, kwargs = Inputs(example).arguments()  # the forward may have changed them
    return y["logits"] if isinstance(y, dict) else y, plain_flops(model, *args, **kwargs)


@every_case
def test_sites_are_those_of_the_plain_network(name, plain_sites):
    make, example, batch = CASES[name]
    model = make().eval()
    for at in POSITIONS:
        planned = plan(model, block_at(at), at, example_inputs=example)
        assert [site.name.removeprefix("encoder.") for site in planned.sites] == plain_sites[at]
        assert planned.batch == batch


@every_case
def test_output_stays_and_operations_are_counted_for_one_image(name):
    make, example, batch = CASES[name]
    model = make().eval()
    before, flops = run(model, example)
    planned = insert(model, "se", init="identity", example_inputs=example)
    after, attended = run(model, example)
    assert before.is_meta or torch.equal(before, after)
    assert planned.flops == round(flops / batch)
    assert planned.flops + planned.added_flops == round(attended / batch)
    second = plan(model, "se", example_inputs=example)
    assert second.flops == planned.flops + planned.added_flops
    remove(model)
    assert before.is_meta or torch.equal(run(model, example)[0], before)


def test_an_encoder_that_the_model_runs_twice_learns_from_both_images():
    model = Siamese()
    insert(model, "se", example_inputs=(images(), images()))
    calls = []
    block = model.encoder.layer1[0].bn2.attention
    block.register_forward_hook(lambda *_: calls.append(1))
    model(images(), images()).sum().backward()
    assert len(calls) == 2
    assert block.expand.weight.grad.abs().max() > 0


def test_a_layer_that_runs_on_its_own_result_is_still_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(self.conv(x))

    with pytest.raises(ValueError, match="called 2 times in a forward"):
        plan(Twice(), "se", "conv", input_size=8)


def test_towers_that_share_no_layer_beside_a_shared_one_are_all_seen():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.one, self.two = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, x, y):
            return self.one(self.stem(x)) + self.two(self.stem(y))

    planned = plan(Heads(), "se", ["one", "two"], example_inputs=(images(), images()))
    assert [site.name for site in planned.sites] == ["one", "two"]
    with pytest.raises(ValueError, match=r"'stem'.* 2 times"):
        plan(Heads(), "se", "stem", example_inputs=(images(), images()))


@pytest.mark.parametrize("function", [plan, insert])
def test_model_inputs_and_random_states_are_left_alone(function):
    class Draws(OneDict):
        def forward(self, batch):
            noise = torch.rand(1).item() + random.random() + np.random.rand()
            return super().forward({"image": batch["image"] * noise, "mask": batch.pop("mask")})

    model = Draws().train()
    model.encoder.layer1[0].eval()
    flags = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    linked = images().requires_grad_() * 1  # no leaf
    batch = {"image": linked, "mask": images(2, 1)}
    kept, states = dict(batch), (torch.get_rng_state(), random.getstate(), np.random.get_state()[1])
    values = {key: value.clone() for key, value in batch.items()}
    function(model, "se", example_inputs=(batch,))
    remove(model)
    assert list(batch) == list(kept)
    assert all(batch[key] is kept[key] and torch.equal(batch[key], values[key]) for key in batch)
    assert linked.grad_fn is not None
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])


@pytest.mark.parametrize(
    "name", quick_first(["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"])
)
def test_detectors_take_a_list_of_images(name):
    from torchvision.models import detection

    sizes = {"min_size": 64, "max_size": 96} if "rcnn" in name else {}
    model = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=3, **sizes).eval()
    photographs = [torch.rand(3, 64, 64), torch.rand(3, 56, 80)]
    before, _ = run_list(model, photographs)
    single = plan(model, "se", example_inputs=torch.rand(1, 3, 64, 64))
    planned = insert(model, "se", init="identity", example_inputs=(photographs,))
    assert [s.name for s in planned.sites] == [s.name for s in single.sites]
    assert planned.batch == 2
    after, flops = run_list(model, photographs)
    assert all(torch.equal(one[key], two[key]) for one, two in zip(before, after, strict=True) for key in one)
    assert planned.flops + planned.added_flops == pytest.approx(flops / 2, abs=1)
    again = plan(model, "se", example_inputs=photographs)  # a list is one argument
    assert [s.name for s in again.sites] == [s.name for s in single.sites]


def run_list(model, photographs):
    with torch.no_grad():
        y = model([image.clone() for image in photographs])
    return y, plain_flops(model, [image.clone() for image in photographs])


def test_hugging_faces_batches():
    from transformers import BatchFeature, CLIPConfig, CLIPModel, ResNetConfig, ResNetModel

    model = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")).eval()
    batch = BatchFeature({"pixel_values": images()})
    by_size = plan(model, "se", input_size=32)
    assert [s.name for s in plan(model, "se", example_inputs=batch).sites] == [s.name for s in by_size.sites]
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": 99, "max_position_embeddings": 12, "eos_token_id": 98, "bos_token_id": 1}
    config = CLIPConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=8)
    model = CLIPModel(config).eval()
    batch = {"input_ids": torch.randint(2, 90, (3, 7)), "pixel_values": images()}
    with torch.no_grad():
        before = model(**batch).logits_per_image
        planned = insert(model, "se", "**.patch_embedding", init="identity", example_inputs=batch)
        assert torch.equal(model(**batch).logits_per_image, before)
    assert planned.batch == 2
    assert "'input_ids'] 3×7 int64" in str(planned)


def test_spectrograms():
    model = network(1)
    spectrogram = torch.randn(1, 1, 80, 120)
    by_size = plan(model, "se", input_size=(1, 80, 120))
    by_example = plan(model, "se", example_inputs=spectrogram)
    assert by_size.sites == by_example.sites
    assert by_size.sites[0].height == 80


def test_the_table_says_what_was_given_and_what_one_image_is():
    table = str(plan(Siamese(), "se", example_inputs=(images(4), images(4))))
    assert "inputs [0] 4×3×32×32 float32, [1] 4×3×32×32 float32" in table.splitlines()[0]
    assert "the forward's divided by its batch of 4" in table
    assert "divided" not in str(plan(network(), "se"))


def test_measure_divides_by_the_batch():
    left, right = images(4), images(4)
    plain = Siamese()
    attended = copy.deepcopy(plain)
    planned = insert(attended, "se", example_inputs=(left, right))
    many, one = (measure(plain, attended, (left[:n], right[:n]), rounds=0) for n in (4, 1))
    assert (many.batch, one.batch) == (4, 1)
    assert many.plain == one.plain
    assert many.plain.flops == planned.flops
    assert many.attended.flops == planned.flops + planned.added_flops
    assert many.attended.activation_bytes == pytest.approx(one.attended.activation_bytes)
    assert "4 images, FLOPs and memory divided by that" in str(many)
    assert measure(network(), network(), rounds=0) == measure(network(), network(), images(1), rounds=0)
    with pytest.raises(ValueError, match="give one"):
        measure(plain, attended, (left, right), input_size=32)
