"""The picture of a text with one heatmap for each character, part by part."""

import numpy as np
import pytest
from PIL import Image

from cv_attention.drawing import overlay
from cv_attention.strips import alignment_strip, shown


def test_shows_the_image_and_below_it_each_character():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (30, 50, 3), dtype=np.uint8)
    heats = generator.random((3, 4, 6))
    strip = alignment_strip(image, "abc", 0.5, "abc", (0.9, 0.8, 0.7), heats)
    large = np.asarray(Image.fromarray(image).resize((150, 90), Image.Resampling.BICUBIC))  # three times: about 96 high
    assert strip.shape == (26 + 4 * 94 - 2, 72 + 150 + 4, 3)
    for row, expected in enumerate([large, *(overlay(large, heat) for heat in heats)]):
        assert np.array_equal(strip[26 + 94 * row :][:90, 72:222], expected)
    for row in range(3):
        assert strip[26 + 94 * (row + 1) :][:90, :72].min() < 100  # its label
    assert strip[26:116, :72].min() == 255
    cut = alignment_strip(image, "abc", 0.5, "abc", (0.9, 0.8, 0.7), heats, columns=20)
    assert np.array_equal(cut[26:, :132], strip[26:, :132])
    assert cut.shape == (strip.shape[0], 72 + 60 + 4, 3)


def test_an_empty_text_is_the_image_alone():
    strip = alignment_strip(np.zeros((96, 10, 3), np.uint8), "", 0.5, (), (), np.zeros((0, 2, 2)))
    assert strip.shape == (26 + 100 - 2, 86, 3)


def test_white_space_and_control_characters_can_be_seen():
    assert [shown(text) for text in (" ", "", "a\nb", "a b", "‮")] == ["' '", "''", "a?b", "a b", "?"]


def test_every_unit_needs_a_heatmap():
    with pytest.raises(ValueError, match=r"for each of 2 units, got heats of shape \(1, 4, 4\)"):
        alignment_strip(np.zeros((8, 8, 3), np.uint8), "ab", 1.0, "ab", (1.0, 1.0), np.zeros((1, 4, 4)))
