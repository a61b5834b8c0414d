"""The backbone `perceiver` reads sets: the order of inputs means nothing, their positions and `keep` do."""

import io

import pytest
import torch
from torch.testing import assert_close

import cv_attention as cva
from cv_attention.backbones import build
from cv_attention.blocks.functional import fourier_features, grid_positions
from tests.references.context import perceiver_layer
from tests.references.flops import plain_flops


def small(seed=0, **options):
    torch.manual_seed(seed)
    model = build("perceiver", num_classes=5, **{"latents": 6, "width": 16, "bands": 3, "layers": 1, **options})
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval().double()


def images(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("repeats", [1, 3])
def test_logits_are_those_of_the_equations(repeats, share):
    """The layers in loops over heads; shared from the second repetition on."""
    model, x = small(repeats=repeats, share=share), images(2, 3, 4, 5)
    assert len(model.reads) == (min(repeats, 2) if share else repeats)
    places = fourier_features(grid_positions(4, 5, dtype=torch.float64), 3, (32, 32))
    inputs = torch.cat([x.flatten(2).transpose(1, 2), places.expand(2, -1, -1)], 2)
    z = model.latents.expand(2, -1, -1)
    for step in range(repeats):
        index = min(step, 1) if share else step
        z, _ = perceiver_layer(model.reads[index], z, inputs)
        for layer in model.thinks[index]:
            z, _ = perceiver_layer(layer, z)
    mean = z.mean(1)
    centred = mean - mean.mean(1, keepdim=True)
    normed = centred / (centred.square().mean(1, keepdim=True) + model.norm.eps).sqrt() * model.norm.weight
    expected = (normed + model.norm.bias) @ model.fc.weight.T + model.fc.bias
    assert_close(model(x), expected)


def test_an_image_is_a_set_of_pixels_with_positions():
    model, x = small(), images(2, 3, 4, 5)
    values, positions = x.flatten(2).transpose(1, 2), grid_positions(4, 5, dtype=torch.float64)
    assert_close(model.forward_inputs(values, positions), model(x), rtol=0, atol=0)


def test_pixels_permuted_with_their_positions_are_the_same_image():
    model, x = small(), images(2, 3, 4, 5)
    values, positions = x.flatten(2).transpose(1, 2), grid_positions(4, 5, dtype=torch.float64)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    assert_close(model.forward_inputs(values[:, order], positions[order]), model(x))
    alone = model.forward_inputs(values[:, order], positions)
    assert (alone - model(x)).abs().max() > 1e-3
    shifted = positions[None] + torch.tensor([[[0.0, 0.0]], [[0.1, 0.0]]])  # a position for each sample
    moved = model.forward_inputs(values, shifted)
    assert_close(moved[0], model(x)[0])
    assert (moved[1] - model(x)[1]).abs().max() > 1e-3


def test_what_is_not_kept_has_no_influence():
    model, values = small(), images(2, 20, 3)
    positions = grid_positions(4, 5, dtype=torch.float64)
    keep = torch.ones(2, 20, dtype=torch.bool)
    keep[1, 12:] = False
    padded = values.clone()
    padded[1, 12:] = torch.nan
    expected = model.forward_inputs(values[1:, :12], positions[:12])
    with cva.record(model) as maps:
        y = model.forward_inputs(padded, positions, keep)
    assert_close(y[1:], expected)
    assert_close(y[:1], model.forward_inputs(values[:1], positions))
    weights = maps["reads.1.attention.map"].values
    assert weights.shape == (2, 1, 6, 1, 20)
    assert (weights[1, ..., 12:] == 0).all()
    leaf = values.clone().requires_grad_()
    model.forward_inputs(leaf, positions, keep).sum().backward()
    assert (leaf.grad[1, 12:] == 0).all()
    assert (leaf.grad[1, :12] != 0).all()


def test_videos_and_points_have_more_axes():
    model, clip = small(axes=3), images(2, 3, 2, 4, 5)
    positions = grid_positions(2, 4, 5, dtype=torch.float64)
    y = model.forward_inputs(clip.flatten(2).transpose(1, 2), positions)
    assert y.shape == (2, 5)
    still = model.forward_inputs(clip.flip(2).flatten(2).transpose(1, 2), positions)
    assert (y - still).abs().max() > 1e-4  # the order of its frames counts


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 12)])
@pytest.mark.parametrize("patch", [1, 4])
def test_takes_images_of_any_size(size, patch):
    model = small(patch=patch)
    with cva.record(model) as maps:
        assert model(images(2, 3, *size)).shape == (2, 5)
    grid = tuple(-(-side // patch) for side in size)
    for name in ("reads.0.attention.map", "reads.1.attention.map"):
        assert maps[name].values.shape == (2, 1, 6, *grid)
        assert_close(maps[name].values.sum((3, 4)), torch.ones(2, 1, 6, dtype=torch.float64))
    assert cva.maps.query_heatmaps(maps["reads.0.attention.map"]).shape == (2, 6, *grid)


def test_samples_are_independent():
    model, x = small(), images(3, 3, 4, 5)
    assert_close(model(x)[1:2], model(x[1:2]))


def test_cost_is_linear_in_the_pixels():
    model = small().float()
    costs = [plain_flops(model, torch.zeros(1, 3, side, side)) for side in (8, 16, 32, 64)]
    steps = [costs[index + 1] - costs[index] for index in range(3)]
    assert steps[1] == 4 * steps[0]
    assert steps[2] == 4 * steps[1]


def test_every_parameter_learns():
    model = small(repeats=3)
    model(images(2, 3, 4, 5)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_runs_in_bf16_and_under_autocast():
    model, x = small().float(), images(2, 3, 8, 8).float()
    expected = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert (model(x).float() - expected).norm() < 0.05 * expected.norm()
    y = model.bfloat16()(x.bfloat16())
    assert y.dtype == torch.bfloat16
    assert (y.float() - expected).norm() < 0.1 * expected.norm()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_compiles_and_exports():
    import onnxruntime

    model, x = small().float(), images(2, 3, 8, 6).float()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=False)
    assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-5)
    file = io.BytesIO()
    torch.onnx.export(model, (x,), dynamo=True, verbose=False).save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_close(torch.from_numpy(y), model(x).detach(), rtol=1e-4, atol=1e-5)


def test_saliency_by_gradients_explains_it():
    model, x = small().float(), images(2, 3, 8, 6).float()
    assert cva.saliency.input_x_gradient(model, x).shape == (2, 1, 8, 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, v, p: m.forward_inputs(v[..., :2], p), r"\(B, N, 3\), got shape \(2, 20, 2\)"),
        (lambda m, v, p: m.forward_inputs(v, p[:19]), r"\(20, 2\).*got shape \(19, 2\)"),
        (lambda m, v, p: m.forward_inputs(v, p, torch.ones(2, 20)), "float32"),
        (lambda m, v, p: m.forward_inputs(v, p, torch.tensor([[True] * 20, [False] * 20])), "sample 1"),
        (lambda m, v, p: build("perceiver", latents=0), "latents=0"),
        (lambda m, v, p: build("perceiver", heads=3), "heads=3"),
        (lambda m, v, p: build("perceiver", pach=3), "'patch'"),
    ],
)
def test_mistakes_are_said(call, message):
    with pytest.raises(ValueError, match=message):
        call(small(), images(2, 20, 3), grid_positions(4, 5, dtype=torch.float64))


def test_a_video_is_a_set_of_pixels_with_three_positions():
    model, clip = small(axes=3), images(2, 3, 4, 5, 6)
    values, positions = clip.flatten(2).transpose(1, 2), grid_positions(4, 5, 6, dtype=torch.float64)
    with cva.record(model, only="reads.0.**") as maps:
        logits = model(clip)
    assert_close(model.forward_inputs(values, positions), logits)
    assert maps["reads.0.attention.map"].values.shape == (2, 1, 6, 4 * 5, 6)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    assert_close(model.forward_inputs(values[:, order], positions[order]), logits)
    assert not torch.allclose(model(clip.flip(2)), logits)  # backwards


def test_patches_of_a_video_are_those_of_its_frames():
    model, clip = small(axes=3, patch=2), images(1, 3, 2, 5, 6)
    padded = torch.nn.functional.pad(clip, (0, 0, 0, 1))
    values = [
        padded[0, :, t, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten()
        for t in range(2) for row in range(3) for column in range(3)
    ]  # fmt: skip
    expected = model.forward_inputs(torch.stack(values)[None], grid_positions(2, 3, 3, dtype=torch.float64))
    assert_close(model(clip), expected)


def test_points_in_space_with_padding():
    """A cloud of points: their order means nothing, and padding to the largest cloud of the batch changes nothing."""
    model, values, positions = small(axes=3, in_chans=2), images(2, 9, 2), images(2, 9, 3, seed=3).tanh()
    keep = torch.ones(2, 9, dtype=torch.bool)
    keep[1, 6:] = False
    logits = model.forward_inputs(values, positions, keep)
    assert_close(model.forward_inputs(values[1:, :6], positions[1:, :6]), logits[1:])
    order = torch.tensor([4, 2, 0, 1, 3, 5, 6, 8, 7])
    assert_close(model.forward_inputs(values[:, order], positions[:, order], keep[:, order]), logits)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (2, 3, 4, 5, 6), r"must be \(B, 3, H, W\) for axes=2, got shape \(2, 3, 4, 5, 6\)"),
        ({"axes": 3}, (2, 3, 5, 6), r"must be \(B, 3, T, H, W\) for axes=3"),
        ({}, (2, 1, 5, 6), r"must be \(B, 3, H, W\)"),
        ({"axes": 1}, (2, 3, 5), "axes=1 are neither images nor videos"),
    ],
)
def test_inputs_with_other_axes_are_refused(options, shape, message):
    with pytest.raises(ValueError, match=message):
        small(**options)(images(*shape))
