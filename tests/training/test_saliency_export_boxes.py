"""The true boxes of an export, in pixels of what the network saw."""

from functools import partial

import numpy as np

from cv_attention.exporting.batches import preparation, resized
from cv_attention.exporting.sources import Item

BOX = np.array([2.0, 1.0, 10.0, 5.0], np.float32)


def item() -> Item:
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[1:5, 2:10] = 255
    return Item("photograph", "photograph", lambda: pixels, box=BOX)


def test_an_image_of_another_shape_is_resized_and_its_box_with_it():
    sample = preparation([], partial(resized, size=(30, 40)))(0, item())
    assert sample.pixels.shape == (30, 40, 3)
    assert (sample.width, sample.height) == (20, 10)
    assert sample.box == [4, 3, 20, 15]
    assert sample.pixels[4:14, 5:19].min() == 255  # the object is in the box
    assert sample.pixels[16:].max() == 0
    assert sample.pixels[:, 21:].max() == 0


def test_transforms_come_first():
    sample = preparation([{"HorizontalFlip": {"p": 1.0}}], partial(resized, size=(20, 20)))(0, item())
    assert sample.box == [10, 2, 18, 10]
    assert sample.pixels[4:8, 12:16].min() == 255
