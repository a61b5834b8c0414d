"""The backbone `spatial_transformer` against torch's affine_grid and grid_sample, written out by hand."""

import io

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import cv_attention as cva
from cv_attention.backbones import build


def small(seed=0, **options):
    torch.manual_seed(seed)
    model = build("spatial_transformer", num_classes=3, **{"patch": 5, "thumbnail": 6, "width": 4, **options})
    for parameter in model.localise[-1].parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval().double()


def images(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("transform", ["attention", "affine"])
def test_logits_are_those_of_torchs_grid(transform):
    model, batch = small(transform=transform), images(2, 3, 9, 12)
    whole = torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=torch.float64).expand(2, 2, 3)
    thumbnail = F.grid_sample(batch, F.affine_grid(whole, [2, 3, 6, 6], align_corners=False), align_corners=False)
    numbers = model.localise(thumbnail)
    if transform == "attention":
        theta = torch.stack([torch.tensor([[s, 0, x], [0, s, y]]).double() for s, x, y in numbers.tolist()])
    else:
        theta = numbers.view(2, 2, 3)
    part = F.grid_sample(batch, F.affine_grid(theta, [2, 3, 5, 5], align_corners=False), align_corners=False)
    expected = model.fc(model.body(part).mean((2, 3)))
    with cva.record(model) as maps:
        found = model(batch)
    assert_close(found, expected, atol=1e-6, rtol=1e-6)
    assert_close(maps["places"].values[:, 0], theta[:, :, 2], atol=1e-6, rtol=1e-6)
    corners = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]], dtype=torch.float64)
    around = torch.einsum("bij,cj->bci", theta[:, :, :2], corners).abs().amax(1)
    assert_close(maps["places"].extents[:, 0, 0], around, atol=1e-6, rtol=1e-6)


def test_it_starts_with_the_whole_image_and_learns_where_to_look():
    torch.manual_seed(0)
    model = build("spatial_transformer", num_classes=3)
    x = images(2, 3, 48, 64).float()
    assert torch.equal(model.theta(x)[0], torch.eye(2, 3))
    model(x).square().sum().backward()
    assert model.localise[-1].weight.grad.any()
    assert model.localise[-1].bias.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 2, 40)])
def test_images_smaller_than_the_part(shape):
    assert small()(images(*shape)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": "rigid"}, "transform must be one of 'attention', 'affine'"),
        ({"patch": 0}, "patch must be a positive whole number"),
        ({"thumbnail": 2.0}, "thumbnail must be a positive whole number"),
    ],
)
def test_hostile_options(options, message):
    with pytest.raises(ValueError, match=message):
        build("spatial_transformer", **options)


def test_other_inputs_are_refused():
    with pytest.raises(ValueError, match=r"images must be \(B, 3, H, W\)"):
        small()(images(2, 1, 9, 9))


def test_half_precision():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert small().float()(images(2, 3, 9, 9).float()).isfinite().all()
    assert small().bfloat16()(images(2, 3, 9, 9).bfloat16()).dtype == torch.bfloat16


@pytest.mark.long
def test_exported():
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, batch, file = small(transform="affine").float(), images(2, 3, 9, 12).float(), io.BytesIO()
    torch.onnx.export(model, (batch,), file, dynamo=True)
    session = onnxruntime.InferenceSession(file.getvalue())
    [found] = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
    assert_close(torch.from_numpy(found), model(batch).detach(), atol=1e-4, rtol=1e-4)
