"""Signed heatmaps, percentiles, limits and regions: which colour a value gets, against the tables of the page."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cv_attention as cva
from cv_attention.drawing import COLOURS, Limits, as_pixels, framed, limits_of, normalise, overlay

PAGE = Path(cva.__file__).parent / "report/page/drawing/colours.js"
BLACK = np.zeros((16, 16, 3), np.uint8)
WHITE = 245  # the middle of the page's tables


def page_table(name: str) -> np.ndarray:
    """The page's anchors, interpolated with plain arithmetic."""
    anchors = re.search(rf'"?{name}"?:\s*((?:"[0-9a-f]+"[\s+]*)+)', PAGE.read_text())
    colours = [int(pair, 16) for pair in re.findall("[0-9a-f]{2}", "".join(re.findall('"(.*?)"', anchors[1])))]
    rows = [colours[start : start + 3] for start in range(0, len(colours), 3)]
    table = []
    for i in range(256):
        at = i / 255 * (len(rows) - 1)
        left = min(int(at), len(rows) - 2)
        table.append([a + (at - left) * (b - a) for a, b in zip(rows[left], rows[left + 1], strict=True)])
    return np.array(table)


@pytest.mark.parametrize("name", COLOURS)
def test_tables_are_those_of_the_page(name):
    assert np.abs(COLOURS[name] - page_table(name)).max() <= 0.5  # rounded


@pytest.mark.parametrize(("low", "high"), [(-1, 0.2), (-0.2, 1), (-1e-9, 3e-9), (-1e30, 1e30)])
def test_zero_is_white_in_every_signed_map(low, high):
    heat = np.array([[0, low, high, 0]], np.float32)
    drawn = overlay(BLACK[:1, :4], heat, 1)[0].astype(int)
    assert np.abs(drawn[[0, 3]] - WHITE).max() <= 2
    table, most = page_table("blue-red"), max(-low, high)
    for value, colour in ((low, drawn[1]), (high, drawn[2])):
        assert np.abs(colour - table[round((value / most + 1) * 127.5)]).max() <= 2


def test_each_value_gets_the_pages_colour():
    heat = np.linspace(-3, 5, 64, dtype=np.float32).reshape(8, 8)
    drawn = overlay(BLACK[:8, :8], heat, 1).astype(int)
    places = np.rint((heat + 5) / 10 * 255).astype(int)
    assert np.abs(drawn - page_table("blue-red")[places]).max() <= 3  # a rounding apart, a step of the table is 3
    drawn = overlay(BLACK[:8, :8], heat + 3, 1).astype(int)
    assert np.abs(drawn - page_table("inferno")[np.rint((heat + 3) / 8 * 255).astype(int)]).max() <= 7


def test_what_is_signed_can_be_told():
    heat = [[-1.0, 3.0]]
    assert limits_of(heat) == Limits(-3, 3, True)
    assert limits_of(heat, signed=False) == Limits(-1, 3, False)
    assert limits_of([[0.5, 3.0]], signed=True) == Limits(-3, 3, True)
    assert limits_of([[0.5, 3.0]], low=-1) == Limits(-1, 1, True)
    assert limits_of(heat, low=-1, high=4) == Limits(-4, 4, True)  # zero stays in the middle
    assert limits_of(heat, low=0, high=1) == Limits(0, 1, False)
    assert limits_of([[[0.0]], [[-2.0, np.nan, np.inf]]]) == Limits(-2, 2, True)  # shared by several


def test_percentiles_clip_outliers_at_the_value_that_numpy_names():
    values = np.random.default_rng(0).normal(size=(40, 50))
    values[0, 0] = -1000
    most = np.percentile(np.abs(values), 99)
    assert limits_of(values, clip=99) == Limits(-most, most, True)
    assert limits_of(np.abs(values), clip=99).high == pytest.approx(most)
    outlier, rest = normalise(values, signed=None, clip=99)[0, :2]
    assert outlier == 0
    assert rest == pytest.approx(0.5 + values[0, 1] / most / 2, abs=1e-6)


def test_what_is_no_number_leaves_the_image_and_flat_signed_maps_are_white():
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    heat = np.array([[np.nan, 1.0], [np.inf, -1.0]], np.float32)
    drawn = overlay(image, heat, 1)
    np.testing.assert_array_equal(drawn[0, 0], image[0, 0])
    assert drawn[3, 0].tolist() == COLOURS["blue-red"][255].tolist()
    assert np.abs(overlay(image, np.zeros((2, 2)), 1, signed=True).astype(int) - WHITE).max() <= 2
    assert (overlay(image, np.full((2, 2), np.nan), 1) == image).all()


def test_limits_are_told_apart_however_close_they_are():
    assert Limits(0.0047, 0.0054, False).ends() == ("0.00470", "0.00540")
    assert Limits(0.484123, 0.484129, False).ends() == ("0.48412", "0.48413")
    assert Limits(-1.5e-9, 1.5e-9, True).ends() == ("-1.50e-9", "1.50e-9")
    assert Limits(0.0, 12345678.0, False).ends() == ("0", "1.23e7")
    assert Limits(3.0, 3.0, False).ends() == ("3.00", "3.00")


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_pictures_are_stretched(dtype):
    values = (np.arange(64).reshape(8, 8) * 65).astype(dtype)  # 12 bits: 0 to 4095
    pixels = as_pixels(Image.fromarray(values))
    expected = np.rint(values / values.max() * 255)
    np.testing.assert_array_equal(pixels, np.repeat(expected[..., None], 3, 2))


def test_transparent_pixels_are_white_and_other_modes_rgb():
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert (as_pixels(clear) == 255).all()
    palette = Image.new("RGB", (2, 2), "red").convert("P")
    assert as_pixels(palette)[0, 0].tolist() == [255, 0, 0]
    assert as_pixels(np.full((2, 2), 7, np.uint8)).tolist() == [[[7] * 3] * 2] * 2


def test_a_region_is_drawn_where_the_network_looked():
    image = np.full((40, 60, 3), 100, np.uint8)
    drawn = overlay(image, [[0.0, 1.0]], 1, region=(0.25, 0.5, 0.75, 1.0))
    inside = np.zeros((40, 60), bool)
    inside[20:40, 15:45] = True
    assert (drawn[~inside] == 100).all()
    np.testing.assert_array_equal(drawn[20:40, 15:45], overlay(image[20:40, 15:45], [[0.0, 1.0]], 1))


@pytest.mark.parametrize("size", [(64, 64), (300, 200), (40, 1200)])
def test_titles_and_bars_surround_the_picture(size):
    heat = np.random.default_rng(1).normal(size=(5, 5))
    image = np.full((*size, 3), 90, np.uint8)
    factor = max(1, -(-176 // size[1]))
    alone = overlay(image.repeat(factor, 0).repeat(factor, 1), heat)
    both = overlay(image, heat, title="integrated_gradients, " * 9, bar=True)
    above = len(overlay(image, heat, title="x")) - len(alone)
    np.testing.assert_array_equal(both[above : above + len(alone)], alone)
    text = both[:above]
    assert (text < 128).any()
    assert (text[:, -4:] == 255).all()  # shortened
    bar = both[above + len(alone) + 2].astype(int)
    assert np.abs(bar - COLOURS["blue-red"][np.rint(np.linspace(0, 255, both.shape[1])).astype(int)]).max() <= 2
    assert (both[above + len(alone) + 20 :, : both.shape[1] // 3] < 128).any()  # the numbers at its ends
    assert framed(alone).shape == alone.shape
