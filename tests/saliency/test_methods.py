"""What holds for every method in the table: shape, kind of values, and that nothing else is touched."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cv_attention.blocks.base import Gate
from cv_attention.saliency import METHODS, Difference, Several
from tests.quick import quick_only

X = torch.randn(3, 3, 24, 20, generator=torch.Generator().manual_seed(1))
QUICK = {
    "rise": {"masks": 6},
    "lime": {"samples": 12, "cells": 2},
    "extremal_perturbation": {"steps": 3},
    "smooth_grad": {"samples": 3},
    "var_grad": {"samples": 3},
    "expected_gradients": {"samples": 3},
    "integrated_gradients": {"steps": 3},
    "occlusion": {"window": 12},
    "itti_koch_niebur": {"enlarge": 64},
    "gradient_shap": {"samples": 3},
    "feature_ablation": {"cells": 2},
    "kernel_shap": {"samples": 6, "cells": 2},
    "deep_feature_factorisation": {"concepts": 3, "steps": 20},
}
MODEL_FREE = {"itti_koch_niebur", "spectral_residual", "random_map", "centre_bias"}
NO_CALLABLES = {"cam", "finer_cam"}


class Spatial(Gate):
    kind = "spatial"

    def attention(self, x):
        return x.mean(1, keepdim=True).sigmoid()


class Plain(nn.Module):
    """With a gate and self-attention over positions, which some methods need."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.gate, self.qkv = Spatial(), nn.Conv2d(6, 18, 1)
        self.body = nn.Sequential(nn.Conv2d(6, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.ReLU())
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.gate(self.stem(x))
        query, key, value = self.qkv(x).flatten(2).mT[:, None].chunk(3, -1)
        x = x + F.scaled_dot_product_attention(3 * query, key, value)[:, 0].mT.unflatten(2, x.shape[2:])
        return self.fc(self.body(x).mean((2, 3)))


def call(name, model, images, *arguments, **options):
    return METHODS[name](model, images, *arguments, **QUICK.get(name, {}), **options)


def everything(model):
    return {
        "modes": [m.training for m in model.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "tensors": [(id(t), t._version, t.tolist()) for t in [*model.parameters(), *model.buffers()]],
        "grads": [None if p.grad is None else (id(p.grad), p.grad.tolist()) for p in model.parameters()],
        "random": torch.get_rng_state().tolist(),
        "process": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


@pytest.fixture(params=quick_only(METHODS.keys() - {"attention_flow"}, METHODS))  # which takes a second each time
def name(request):
    return request.param


def test_shape_and_values(name):
    model = Plain().eval()
    heat = call(name, model, X, [0, 1, 3])
    assert heat.shape == (3, 1, 24, 20)
    assert heat.dtype == torch.float32
    assert not heat.requires_grad
    assert heat.isfinite().all()
    assert (heat.amax((1, 2, 3)) > heat.amin((1, 2, 3))).all()
    for i in range(3):  # an image's map does not depend on its neighbours
        alone = call(name, model, X[i : i + 1], [0, 1, 3][i])
        torch.testing.assert_close(alone[0], heat[i], rtol=1e-3, atol=1e-4 * float(heat[i].abs().max()))


def test_leaves_everything_as_found(name):
    model = Plain().train()
    model.stem[1].eval()
    model.fc.weight.requires_grad_(False)
    model(X).sum().backward()
    before = everything(model)
    images = X.clone().requires_grad_()
    call(name, model, images)
    assert images.grad is None
    assert everything(model) == before
    if name in MODEL_FREE:
        return
    with pytest.raises(ValueError, match=r"0\.\.4, got 9"):
        call(name, model, X, 9)
    if name not in NO_CALLABLES:
        with pytest.raises(ZeroDivisionError):
            call(name, model, X, lambda z: 1 / 0)
    model.fc.register_forward_hook(lambda *_: 1 / 0)
    before = everything(model)
    with pytest.raises(ZeroDivisionError):
        call(name, model, X)
    assert everything(model) == before


def test_callers_modes_and_frozen_models(name):
    model = Plain().train()
    expected = call(name, model, X, 1)
    model.requires_grad_(False)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            got = call(name, model, X.clone(), 1)
            assert torch.is_grad_enabled() is False
        torch.testing.assert_close(got.clone(), expected)
    with torch.inference_mode():
        targets = torch.ones(3, dtype=torch.int64)
    torch.testing.assert_close(call(name, model, X, targets), expected)
    torch.testing.assert_close(call(name, model.eval(), X, 1), expected)


def test_bf16(name):
    expected = call(name, Plain(), X, 1)
    heat = call(name, Plain().bfloat16(), X.bfloat16(), 1)
    assert heat.dtype == torch.float32
    for got, wanted in zip(heat, expected, strict=True):  # of principal directions the sign may turn
        likeness = torch.corrcoef(torch.stack([got.flatten(), wanted.flatten()]))[0, 1]
        assert (likeness.abs() if "eigen" in name or name == "kpca_cam" else likeness) > 0.95


def test_targets_are_predictions_or_callables(name):
    model = Plain().eval()
    predicted = model(X).argmax(1)
    torch.testing.assert_close(call(name, model, X), call(name, model, X, predicted))
    if name not in NO_CALLABLES:
        follows_probabilities = name in ("rise", "lime")  # a callable's scores are used as they are
        a = call(name, model, X, lambda z: (z.softmax(1) if follows_probabilities else z)[:, 2])
        torch.testing.assert_close(a, call(name, model, X, 2))


def test_several_targets_are_each_one_alone(name):
    model = Plain().eval()
    several = [[0, 1, 3], 2, "predicted"]
    if name not in NO_CALLABLES:
        several += [Difference("predicted", [1, 2, 0]), lambda z: z[:, 1] - z[:, 2]]
    got = call(name, model, X, Several(*several))
    assert got.shape == (3, len(several), 24, 20)
    for number, target in enumerate(several):
        expected = call(name, model, X, target)
        torch.testing.assert_close(
            got[:, number : number + 1], expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
        )
    table = torch.tensor([[0, 2], [1, 2], [3, 2]])
    torch.testing.assert_close(call(name, model, X, table), got[:, :2], rtol=1e-3, atol=1e-5)
    assert call(name, model, X, [[1]] * 3).shape == (3, 1, 24, 20)


def test_batches_are_cut(name):
    model, sizes = Plain().eval(), []
    model.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    targets = Several([0, 1, 3], 2) if name in NO_CALLABLES else Several([0, 1, 3], Difference([1, 2, 0], 3))
    expected = call(name, model, X, targets)
    for images in (1, 2):
        sizes.clear()
        got = call(name, model, X, targets, batch_size=images)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
        assert max(sizes, default=0) <= images
    with pytest.raises(ValueError, match="batch_size must be a whole number of images, at least 1, got 0"):
        call(name, model, X, batch_size=0)
    with pytest.raises(ValueError, match="each of the 3 images, got 2"):
        call(name, model, X, [0, 1], batch_size=2)


def test_bad_images(name):
    with pytest.raises(ValueError, match=r"images must be a batch \(B, C, H, W\)"):
        call(name, Plain(), X[0])
    with pytest.raises(ValueError, match=r"images must be a batch \(B, C, H, W\)"):
        call(name, Plain(), X[:0])
    for bad in (float("nan"), float("inf")):  # ReLU's gradient at NaN is 0: a map of nothing
        images = X.clone()
        images[2, 1, 4, 5] = bad
        for options in ({}, {"batch_size": 1}):
            with pytest.raises(ValueError, match="images must be finite; image 2 has NaN or infinite values"):
                call(name, Plain(), images, **options)


def test_bad_models_and_options(name):
    with pytest.raises(TypeError, match=rf"{name}: got an unexpected keyword argument 'stepz'; it takes model, images"):
        call(name, Plain(), X, stepz=1)
    if name not in MODEL_FREE:
        with pytest.raises(ValueError, match=r"model must be a torch\.nn\.Module, built already, got 'resnet50'"):
            call(name, "resnet50", X)


def test_logits_inside_a_hugging_face_output(name):
    class Output(NamedTuple):
        logits: torch.Tensor

    class Wrapped(Plain):
        def forward(self, x):
            return Output(super().forward(x))

    torch.testing.assert_close(call(name, Wrapped().eval(), X), call(name, Plain().eval(), X))


def test_layers_of_another_type_are_named():
    with pytest.raises(ValueError, match="layers must be names, globs or modules, got 5"):
        METHODS["grad_cam"](Plain(), X, layers=5)


def test_the_guide_has_every_method():
    rows = (Path(__file__).parents[2] / "docs/saliency.md").read_text().partition("## Methods")[2].partition("## ")[0]
    named = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows.splitlines() if row.startswith("| `")))
    assert sorted(named) == sorted(METHODS)


def test_threads_share_a_model(name):
    model = Plain().train()
    expected = [call(name, model, X * scale, 1) for scale in (1, -1)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: call(name, model, X * (1, -1)[i % 2], 1), range(8)))
    for i, result in enumerate(results):
        torch.testing.assert_close(result, expected[i % 2], rtol=1e-3, atol=1e-5)
    assert all(m.training for m in model.modules())
    assert not any(m._forward_hooks for m in model.modules())
