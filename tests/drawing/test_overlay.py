"""Rendering: what raw values become, and the pixels of an overlay against their formula."""

import numpy as np
import pytest
from PIL import Image

from cv_attention.drawing import COLOURS, DIVERGING, colourise, normalise, overlay

RNG = np.random.default_rng(0)
NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("heat", "expected"),
    [
        ([[0.0, 1.0, 0.5]], [[0, 1, 0.5]]),
        ([[-4.0, -2.0, -3.0]], [[0, 1, 0.5]]),  # all negative: only the order and distances count
        ([[-1.0, 3.0, 0.0]], [[0, 1, 0.25]]),
        ([[0.5, 0.5, 0.5]], [[0, 0, 0]]),
        ([[0.5, 0.5 + 6e-8, 0.5]], [[0, 0, 0]]),  # one rounding step is not structure
        ([[1e-9, 3e-9, 2e-9]], [[0, 1, 0.5]]),  # but a small map is
        ([[0.0, 0.0, 0.0]], [[0, 0, 0]]),
        ([[NAN, 1.0, 3.0]], [[0, 0, 1]]),
        ([[INF, 1.0, 3.0, -INF]], [[1, 0, 1, 0]]),
        ([[NAN, NAN]], [[0, 0]]),
        ([[7.0]], [[0]]),
    ],
)
def test_normalise(heat, expected):
    np.testing.assert_allclose(normalise(heat), np.array(expected, np.float32), atol=1e-6)


def test_normalise_takes_each_map_by_itself_or_a_shared_range():
    heat = RNG.normal(size=(3, 1, 4, 5))
    alone = np.stack([normalise(h) for h in heat])
    np.testing.assert_array_equal(normalise(heat), alone)
    np.testing.assert_allclose(normalise([[0.0, 1.0, 2.0, 9.0]], low=1, high=3), [[0, 0, 0.5, 1]])
    assert normalise(heat.astype(np.float16)).dtype == np.float32


def test_tables_are_matplotlibs_and_rise_in_lightness():
    assert COLOURS["viridis"][0].tolist() == [68, 1, 84]
    assert COLOURS["viridis"][255].tolist() == [253, 231, 37]
    assert COLOURS["inferno"][255].tolist() == [252, 255, 164]
    for name in COLOURS.keys() - set(DIVERGING):
        table = COLOURS[name]
        assert table.shape == (256, 3)
        luminance = (table / 255.0) ** 2.2 @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(luminance) > -1e-3).all()
        assert luminance[0] < 0.03
        assert luminance[-1] > 0.7


def test_colourise_looks_up_the_nearest_of_256():
    heat = RNG.random((9, 5), dtype=np.float32)
    heat[0, :2] = 0, 1
    expected = COLOURS["viridis"][np.floor(heat * 255 + 0.5).astype(int)]
    np.testing.assert_array_equal(colourise(heat, "viridis"), expected)


@pytest.mark.parametrize("opacity", [0, 0.3, 1])
def test_overlay_is_the_blend_of_image_and_colours(opacity):
    image = RNG.integers(0, 256, (6, 9, 3), np.uint8)
    heat = RNG.random(size=(6, 9)).astype(np.float32)
    before = image.copy()
    got = overlay(image, heat, opacity)
    expected = (1 - opacity) * image + opacity * colourise(normalise(heat))
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got, expected, atol=1)
    np.testing.assert_array_equal(image, before)


def test_overlay_resizes_bilinearly_as_torch_does():
    import torch

    heat = RNG.random((7, 5), dtype=np.float32)
    image = np.zeros((33, 64, 3), np.uint8)
    scaled = torch.from_numpy(normalise(heat))[None, None]
    big = torch.nn.functional.interpolate(scaled, (33, 64), mode="bilinear", align_corners=False)[0, 0]
    difference = overlay(image, heat, 1).astype(int) - colourise(big.numpy())
    assert np.abs(difference).max() <= 6  # one step in the table, which is at most 6 of 255 in a channel


def test_overlay_of_a_recorded_map_says_what_makes_a_heatmap():
    import torch

    import cv_attention as cva

    block = cva.blocks.create("cbam", 8)
    with cva.record(block) as maps:
        block(torch.rand(1, 8, 4, 4))
    recorded = next(map for map in maps.values() if map.kind == "spatial")
    with pytest.raises(ValueError, match=r"got a RecordedMap; cv_attention.to_heatmap\(map\)\[:1\] is one"):
        overlay(np.zeros((4, 4, 3), np.uint8), recorded)
    assert overlay(np.zeros((4, 4, 3), np.uint8), cva.to_heatmap(recorded)[:1]).shape == (4, 4, 3)


def test_overlay_takes_pictures_and_tensors():
    import torch

    image, heat = RNG.integers(0, 256, (6, 9, 3), np.uint8), RNG.random((2, 3), dtype=np.float32)
    expected = overlay(image, heat)
    np.testing.assert_array_equal(overlay(Image.fromarray(image), torch.tensor(heat)[None, None]), expected)
    grey = image[..., 0]
    np.testing.assert_array_equal(overlay(Image.fromarray(grey), heat), overlay(np.stack([grey] * 3, 2), heat))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((4, 4, 3), np.float32)}, "uint8"),
        ({"image": np.zeros((3, 4, 4), np.uint8)}, r"\(3, 4, 4\)"),
        ({"image": np.zeros((4, 4, 4), np.uint8)}, r"\(4, 4, 4\)"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, r"\(0, 4, 3\)"),
        ({"image": np.zeros((4, 0, 3), np.uint8)}, r"\(4, 0, 3\)"),
        ({"image": np.zeros((0, 4), np.uint8)}, r"\(0, 4\)"),
        ({"image": [[0]]}, "got a list"),
        ({"heat": np.zeros((3, 1, 2, 2))}, r"one image's, got shape \(3, 1, 2, 2\)"),
        ({"heat": np.zeros((0, 2))}, r"\(0, 2\)"),
        ({"heat": {"layer": 1}}, "heat must be numbers, an array or a tensor, got a dict"),
        ({"heat": "grad_cam"}, "got a str"),
        ({"opacity": 1.5}, "1.5"),
        ({"clip": 0}, r"percentage in \(0, 100\], got 0"),
        ({"low": 2, "high": 1}, "low must not be above high, got 2 and 1"),
        ({"high": INF}, "high must be finite, got inf"),
        ({"region": (0.5, 0, 0.2, 1)}, "region must be"),
        ({"colours": "jet"}, "inferno, viridis, .* got 'jet'"),
    ],
)
def test_overlay_rejects(change, message):
    with pytest.raises(ValueError, match=message):
        overlay(**{"image": np.zeros((4, 4, 3), np.uint8), "heat": np.zeros((2, 2)), **change})
