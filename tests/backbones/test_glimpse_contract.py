"""The backbone `glimpse` with images, options and numbers at their borders, compiled and exported."""

import io
import math

import pytest
import torch
from torch.testing import assert_close

import cv_attention as cva
from cv_attention.backbones import build
from cv_attention.backbones.models.retina import glimpse
from cv_attention.training import Reinforce, draws_of
from tests.backbones.test_glimpse import POLICIES, images, small


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 40)])
def test_images_smaller_than_the_patch_and_thin_ones(policy, shape):
    model = small(policy=policy, patch=6, encoder="attention", in_chans=1)
    for mode in (True, False):
        logits = model.train(mode)(images(1, 1, *shape))  # a batch of one
        logits.sum().backward()
        assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_gradients_at_the_border_are_finite_and_point_inside():
    """A bright pixel at the edge pulls a place that lies beyond its middle back."""
    image = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    image[..., 4, 6] = 1
    place = torch.tensor([[1.0, 0.125]], dtype=torch.float64, requires_grad=True)
    seen = glimpse(image, place, patch=3, scales=2)
    seen[0, 0, 0, 1, 1].backward()  # the centre of the finest patch, between the last pixel and the outside
    assert place.grad.isfinite().all()
    outside = torch.tensor([[1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    glimpse(image, outside, patch=2, scales=1).sum().backward()
    assert outside.grad.isfinite().all()


def test_record_shows_no_map_of_a_patch_as_one_of_the_image():
    """The attention within a patch has positions of the patch; it would be wrong over the image."""
    model = small(encoder="attention", patch=6)
    with cva.record(model) as maps:
        model(images(1, 3, 24, 24))
    assert list(maps) == ["places"]
    assert not model.places._forward_hooks


def test_boxes_of_places():
    model = small(patch=4, scales=2)
    with cva.record(model) as maps:
        model(images(2, 3, 32, 64))
    boxes = cva.maps.place_boxes(maps["places"], (32, 64))
    assert boxes.shape == (2, 3, 2, 4)
    assert boxes[0, 0].tolist() == [[30, 14, 34, 18], [28, 12, 36, 20]]
    assert_close(boxes[..., 2:] - boxes[..., :2], torch.tensor([4.0, 8.0])[:, None].expand(2, 3, 2, 2))
    with pytest.raises(ValueError, match="places are points"):
        cva.to_heatmap(maps["places"])
    with pytest.raises(ValueError, match="only places have boxes"):
        cva.maps.place_boxes(cva.maps.RecordedMap(torch.zeros(1, 1, 2, 2), "spatial"), (4, 4))
    with pytest.raises(ValueError, match="does not say how much was seen"):
        cva.maps.place_boxes(cva.maps.RecordedMap(torch.zeros(1, 1, 2), "places"), (4, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a positive whole number, got steps=0"),
        ({"scales": 0}, "scales must be a positive whole number, got scales=0"),
        ({"patch": -3}, "patch must be a positive whole number"),
        ({"finest": 0}, "finest must be a positive whole number"),
        ({"patch": 2.5}, "patch must be a positive whole number"),
        (
            {"scales": 40},
            "must be at most 4096, got patch=12, finest=1, scales=40",
        ),
        ({"sigma": math.nan}, "sigma must be a number from 0 to 1, got sigma=nan"),
        ({"start": math.nan}, "start must be a number from 0 to 1, got start=nan"),
        ({"policy": "reinforce", "sigma": 0}, "sigma must be above 0"),
        ({"policy": "soft"}, "policy must be one of 'reinforce', 'pathwise', 'random'"),
        ({"encoder": "atention"}, "encoder must be one of .* did you mean 'attention'"),
        ({"glimpses": 4}, "has no option 'glimpses'"),
    ],
)
def test_hostile_options(options, message):
    with pytest.raises(ValueError, match=message):
        build("glimpse", **options)


@pytest.mark.parametrize("shape", [(2, 9, 9), (2, 4, 9, 9), (1, 3, 2, 9, 9)])
def test_other_inputs_are_refused(shape):
    with pytest.raises(ValueError, match=r"images must be \(B, 3, H, W\), got shape"):
        small()(images(*shape))


@pytest.mark.parametrize("encoder", ["linear", "attention"])
def test_autocast_and_half_precision(encoder):
    model = small(encoder=encoder, policy="reinforce").float().train()
    with torch.autocast("cpu", dtype=torch.bfloat16), draws_of(model) as drawn:
        logits = model(images(2, 3, 9, 9).float())
        loss = logits.float().square().sum() + Reinforce().loss(drawn, logits, torch.tensor([0, 1]))
    loss.backward()
    assert drawn[0].log_probability.dtype == torch.float32
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert small(encoder=encoder).bfloat16()(images(2, 3, 9, 9).bfloat16()).dtype == torch.bfloat16


@pytest.mark.long
@pytest.mark.parametrize("policy", ["pathwise", "reinforce"])
def test_compiled(policy):
    """The graphs of training and evaluation are captured; what a compiler's backend makes of them is its own matter."""
    model, batch = small(policy=policy, encoder="attention").float(), images(2, 3, 9, 12).float()
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        assert_close(compiled(batch), model(batch), atol=1e-5, rtol=1e-5)
    model.train()
    with draws_of(model) as drawn:
        model.places.reseed(3)
        logits = compiled(batch)
        model.places.reseed(3)
        assert_close(model(batch), logits, atol=1e-4, rtol=1e-4)
    assert len(drawn) == 2


@pytest.mark.long
@pytest.mark.parametrize("policy", ["pathwise", "reinforce"])
def test_exported_in_evaluation(policy):
    model, batch = small(policy=policy, encoder="attention").float(), images(2, 3, 9, 12).float()
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file = io.BytesIO()
    torch.onnx.export(model, (batch,), file, dynamo=True)
    session = onnxruntime.InferenceSession(file.getvalue())
    [found] = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
    assert_close(torch.from_numpy(found), model(batch).detach(), atol=1e-4, rtol=1e-4)
