"""Models with two inputs: every method and measure gives each image its own further arguments, in any batch."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cv_attention import saliency as s
from tests.quick import quick_only

X = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
QUESTION = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
FREE = {"itti_koch_niebur", "spectral_residual", "random_map", "centre_bias"}
ATTENTION = {"block_maps", "attention_rollout", "attention_flow", "gradient_attention", "le_grad"}
FAST = {
    "rise": {"masks": 4},
    "lime": {"samples": 20, "cells": 2},
    "smooth_grad": {"samples": 2},
    "occlusion": {"window": 16},
}
FAST |= {"var_grad": {"samples": 2}, "integrated_gradients": {"steps": 2}, "expected_gradients": {"samples": 2}}
FAST |= {"extremal_perturbation": {"steps": 2, "areas": (0.3,)}, "smooth_grad_cam_plus_plus": {"samples": 2}}
METHODS = sorted(s.METHODS.keys() - FREE - ATTENTION - {"cam"})  # whose head is not a linear layer


class Asked(nn.Module):
    """Weighs the channels of a CNN by a question, and adds a bias given by name."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.words = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), nn.Embedding(10, 8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x, question, options=None):
        channels = self.body(x).mean((2, 3)) * self.words(question).mean(1)
        return self.fc(channels) + (0 if options is None else options["bias"])


class Alone(nn.Module):
    """The same for one image, whose question is part of the model."""

    def __init__(self, model, question):
        super().__init__()
        self.model, self.question = model, question

    def forward(self, x):
        return self.model(x, self.question.expand(len(x), -1), {"bias": torch.tensor(0.5)})


@pytest.mark.parametrize("name", quick_only([n for n in METHODS if n != "kernel_shap"], METHODS))
def test_each_image_has_its_own_question(name):
    model, method, options = Asked().eval(), s.METHODS[name], FAST.get(name, {})
    given = {"forward_args": (QUESTION,), "forward_kwargs": {"options": {"bias": torch.tensor(0.5)}}}
    heat = method(model, X, 1, **given, **options)
    one = torch.cat([method(Alone(model, q[None]), x[None], 1, **options) for x, q in zip(X, QUESTION, strict=True)])
    torch.testing.assert_close(heat, one, rtol=1e-3, atol=1e-4 * float(one.abs().max()))
    cut = method(model, X, 1, **given, **options, batch_size=2)
    torch.testing.assert_close(cut, heat, rtol=1e-3, atol=1e-4 * float(one.abs().max()))


@pytest.mark.parametrize("name", ["deletion_auc", "insertion_auc", "road", "confidence_change", "infidelity"])
def test_measures(name):
    model, measure, heat = Asked().eval(), getattr(s.metrics, name), torch.rand(3, 1, 32, 32)

    def first(found):
        return found if isinstance(found, torch.Tensor) else found[0]

    got = first(measure(model, X, heat, 1, forward_args=[QUESTION], forward_kwargs={"options": {"bias": 0.5}}, chunk=4))
    one = [
        first(measure(Alone(model, q[None]), x[None], h[None], 1)) for x, q, h in zip(X, QUESTION, heat, strict=True)
    ]
    torch.testing.assert_close(got, torch.cat(one), rtol=1e-3, atol=1e-5)


def test_measures_of_a_method():
    given = {"forward_args": (QUESTION,)}
    worst = s.metrics.max_sensitivity(s.grad_cam, Asked().eval(), X, samples=1, **given)
    assert worst.shape == (3,)
    [found, *_] = s.metrics.cascading_randomisation(s.grad_cam, Asked().eval(), X, **given)
    assert found.part == "fc"


def test_mistakes():
    model = Asked().eval()
    with pytest.raises(ValueError, match=r"forward_args must be a tuple or list, such as \(question,\), got Tensor"):
        s.grad_cam(model, X, 1, forward_args=QUESTION)
    with pytest.raises(ValueError, match="forward_kwargs must be a dict from names to values, got list"):
        s.grad_cam(model, X, 1, forward_kwargs=[QUESTION])


@pytest.mark.parametrize(("images", "hint"), [
    ({"pixel_values": torch.zeros(1, 3, 8, 8)}, r"got dict; take one of its values, such as images\['pixel_values'\]"),
    (torch.zeros(3, 8, 8), r"got \(3, 8, 8\); images\[None\] is a batch of one"),
    (np.zeros((1, 3, 8, 8)), "got ndarray; torch.from_numpy makes a tensor of it"),
    ([Image.new("RGB", (8, 8))], "got list; make a float tensor of it by the model's own transform"),
])  # fmt: skip
def test_what_is_no_batch_says_how_to_make_one(images, hint):
    with pytest.raises(ValueError, match=hint):
        s.grad_cam(nn.Conv2d(3, 4, 3), images)
