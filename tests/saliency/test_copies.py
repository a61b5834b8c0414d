"""How many copies of an image share a forward pass: no more than are fast, and the map does not depend on it."""

import pytest
import torch
from torch import nn

from cv_attention import saliency as s
from cv_attention.saliency.core import scores
from cv_attention.saliency.core.scores import scorer


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.seen = nn.Sequential(nn.Conv2d(3, 4, 3, 4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)), []

    def forward(self, x):
        self.seen.append(len(x))
        return self.body(x)


@pytest.mark.parametrize(
    ("batch", "side", "most", "copies"),
    [(1, 224, 64, 4), (1, 224, 3, 3), (1, 224, 1, 1), (2, 224, 64, 2), (4, 224, 64, 1), (16, 224, 64, 1),
     (1, 32, 64, 64), (4, 32, 64, 16), (1, 112, 64, 16), (1, 448, 64, 1), (1, 1200, 64, 1)],
)  # fmt: skip
def test_copies_on_a_processor(batch, side, most, copies):
    images = torch.zeros(1, 3, side, side).expand(batch, -1, -1, -1)
    with scorer(Counting().eval(), images, 1, chunk=most) as scoring:
        assert scoring.copies(batch) == copies


@pytest.mark.parametrize(
    ("method", "options"),
    [("occlusion", {"window": 32, "stride": 16}), ("rise", {"masks": 20}), ("kernel_shap", {"samples": 20, "cells": 3}),
     ("lime", {"samples": 20, "cells": 3}), ("feature_ablation", {"cells": 3}), ("score_cam", {})],
)  # fmt: skip
def test_maps_do_not_depend_on_how_many(method, options, monkeypatch):
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    model = Counting().eval()
    monkeypatch.setattr(scores, "_IN_CACHE", 3 * 64 * 64)
    few = s.METHODS[method](model, images, 1, **options)
    assert max(model.seen) == 3
    model.seen.clear()
    monkeypatch.setattr(scores, "_IN_CACHE", 10**9)
    many = s.METHODS[method](model, images, 1, **options)
    assert max(model.seen) > 3
    torch.testing.assert_close(few, many, rtol=1e-4, atol=1e-5)
