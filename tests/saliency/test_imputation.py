"""Imputed pixels: conjugate gradients and the direct solution agree, and both fulfil the equations."""

import pytest
import torch
import torch.nn.functional as F

from cv_attention.saliency.metrics import _imputation
from cv_attention.saliency.metrics._imputation import impute


def case(side=(40, 56), share=0.7):
    """Three images, with a wide hole, with a hole at the edge, and with single pixels removed."""
    generator = torch.Generator().manual_seed(0)
    images = F.interpolate(torch.randn(3, 2, 5, 7, generator=generator), size=side, mode="bicubic")
    y, x = torch.meshgrid(torch.linspace(-1, 1, side[0]), torch.linspace(-1, 1, side[1]), indexing="ij")
    keep = torch.stack([y**2 + x**2 > share, x > -0.2, torch.rand(side, generator=generator) > 0.3])
    return images, keep[:, None]


def steps_alone(monkeypatch):
    monkeypatch.setattr(_imputation, "find_spec", lambda name: None)


def test_both_ways_agree(monkeypatch):
    images, keep = case()
    directly = impute(images, keep)
    called = []
    monkeypatch.setattr(_imputation, "_FEW", 5)
    solve = _imputation._at_once
    monkeypatch.setattr(_imputation, "_at_once", lambda *given: called.append(1) or solve(*given))
    sooner = impute(images, keep)
    assert len(called) == 3
    steps_alone(monkeypatch)
    steps = impute(images, keep)
    assert len(called) == 3
    torch.testing.assert_close(directly, steps, rtol=0, atol=2e-4)
    torch.testing.assert_close(sooner, steps, rtol=0, atol=2e-4)


def test_steps_are_left_out_where_they_would_not_do(monkeypatch):
    images, keep = case()
    stepped = []
    steps = _imputation._by_steps
    monkeypatch.setattr(_imputation, "_by_steps", lambda *given: stepped.append(len(given[0])) or steps(*given))
    found = impute(images, keep)
    assert stepped == [1]  # single pixels; holes of which a pixel is seven from the next kept one are solved directly
    monkeypatch.setattr(_imputation, "_FAR", 40)
    torch.testing.assert_close(impute(images, keep), found, rtol=0, atol=2e-4)
    assert stepped == [1, 3]
    for far, few in ((6, 1), (7, 0)):
        stepped.clear()
        monkeypatch.setattr(_imputation, "_FAR", 6)
        keep = torch.ones(1, 1, 30, 30, dtype=torch.bool)
        keep[..., 10 - far + 1 : 10 + far, 10 - far + 1 : 10 + far] = False
        impute(torch.rand(1, 3, 30, 30), keep)
        assert len(stepped) == few


@pytest.mark.parametrize("few", [0, 40])
def test_the_equations_hold(few, monkeypatch):
    monkeypatch.setattr(_imputation, "_FEW", few)
    images, keep = case(side=(18, 23))
    found = impute(images, keep)
    assert torch.equal(found[keep.expand_as(found)], images[keep.expand_as(images)])
    for image, kept in zip(found, keep[:, 0], strict=True):
        for y, x in (~kept).nonzero().tolist():
            total, weights = torch.zeros(2), 0.0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    there = 0 <= y + down < 18 and 0 <= x + right < 23 and (down or right)
                    share = 1 / 6 if 0 in (down, right) else 1 / 12
                    if there:
                        total, weights = total + share * image[:, y + down, x + right], weights + share
            torch.testing.assert_close(image[:, y, x], total / weights, rtol=0, atol=2e-4)


@pytest.mark.parametrize("few", [0, 40])
def test_nothing_kept_and_nothing_removed(few, monkeypatch):
    monkeypatch.setattr(_imputation, "_FEW", few)
    images, keep = case()
    none, whole = torch.zeros_like(keep), torch.ones_like(keep)
    assert impute(images, none).abs().max() == 0
    assert torch.equal(impute(images, whole), images)
    mixed = torch.cat([none[:1], keep[1:]])
    torch.testing.assert_close(impute(images, mixed)[1:], impute(images[1:], keep[1:]), rtol=0, atol=2e-4)
