"""What is white, how labels are numbered and which layouts are images, in arrays of every kind."""

import warnings

import numpy as np
import pytest

from cv_attention.config import Data
from cv_attention.data.libraries import arrays
from cv_attention.data.libraries.listed import numbered

LABELS = np.array([0, 1, 0, 1])


def shown(root, images, bits=None, labels=LABELS):
    """The red channel of the images that are read from an archive, and what was warned of."""
    np.savez(root / "a.npz", images=images, labels=labels)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        _, found = arrays.load(Data(name="arrays", root=str(root / "a.npz"), bits=bits))
    read = np.stack([found["train"].read(row) for row in range(len(found["train"]))])
    assert (read == read[..., :1]).all()
    return read[..., 0], [str(one.message) for one in warned]


@pytest.mark.parametrize(("most", "kind", "bits", "white"), [
    (1, np.uint8, None, 255), (255, np.uint8, None, 255), (15, np.uint8, 4, 15), (128, np.uint16, None, 255),
    (255, np.int64, None, 255), (256, np.uint16, None, 1023), (1023, np.uint16, None, 1023),
    (1024, np.uint16, None, 4095), (4096, np.uint16, None, 16383), (16383, np.int32, None, 16383),
    (16384, np.uint16, None, 65535), (65535, np.uint16, None, 65535), (300, np.uint16, 12, 4095),
    (1, np.bool_, None, 1), (1.0, np.float32, None, 1), (0.25, np.float64, None, 1), (200.0, np.float32, None, 255),
])  # fmt: skip
def test_white_follows_from_the_kind_of_numbers_and_the_largest(most, kind, bits, white, tmp_path):
    images = np.zeros((4, 3, 5), kind)
    images[1:, 0, 0] = most
    images[2, 1, 4] = most / 2
    seen, warned = shown(tmp_path, images, bits)
    np.testing.assert_array_equal(seen, np.rint(images.astype(float) * 255 / white).astype(np.uint8))
    assert warned == []


@pytest.mark.parametrize(("most", "kind"), [(16, np.float64), (127, np.int16), (1.5, np.float32)])
def test_an_unusual_largest_value_is_white_with_a_warning(most, kind, tmp_path):
    images = np.zeros((4, 3, 5), kind)
    images[0, 0, 0] = most
    seen, warned = shown(tmp_path, images)
    assert seen[0, 0, 0] == 255
    assert len(warned) == 1
    assert f"its largest value {most:g} is taken for white" in warned[0]


def test_black_images_stay_black(tmp_path):
    for kind in (np.uint8, np.int32, np.float32, np.bool_):
        seen, warned = shown(tmp_path, np.zeros((4, 3, 5), kind))
        assert not seen.any()
        assert not warned


@pytest.mark.parametrize(("wrong", "message"), [
    (-1.0, "has values from -1 to 0.5; images start at 0, not normalised"),
    (np.nan, "images start at 0"), (np.inf, "images start at 0"),
])  # fmt: skip
def test_numbers_that_no_pixel_has(wrong, message, tmp_path):
    images = np.full((4, 3, 5), 0.5)
    images[3, 2, 4] = wrong
    with pytest.raises(ValueError, match=message):
        shown(tmp_path, images)


def test_a_test_image_beyond_the_training_images_white_is_refused(tmp_path):
    train, test = np.full((4, 3, 5), 1000, np.uint16), np.full((4, 3, 5), 1024, np.uint16)
    np.savez(tmp_path / "a.npz", x_train=train, y_train=LABELS, x_test=test, y_test=LABELS)
    with pytest.raises(ValueError, match="x_test has values from 1024 to 1024; expected 0 to 1023"):
        arrays.load(Data(name="arrays", root=str(tmp_path / "a.npz")))


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 1), (4, 1, 4, 5), (4, 16), (4, 3, 5, 3), (4, 3, 4, 5)], ids=str)
def test_layouts_that_are_images(shape, tmp_path):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=values, labels=LABELS)
    _, found = arrays.load(Data(name="arrays", root=str(tmp_path / "a.npz")))
    expected = values.reshape(4, 4, 4) if len(shape) == 2 else values
    expected = expected[..., None] if expected.ndim == 3 else expected
    expected = np.moveaxis(expected, 1, 3) if expected.shape[3] not in (1, 3) else expected
    np.testing.assert_array_equal(found["train"].read(2), np.broadcast_to(expected[2], (*expected.shape[1:3], 3)))


@pytest.mark.parametrize(("shape", "message"), [
    ((0, 3, 5), r"holds no images: its shape is \(0, 3, 5\)"), ((4, 15), "must hold images"),
    ((4, 2, 5, 2), "must hold images"), ((4, 3, 5, 4), "must hold images|labels"), ((4,), "must hold images"),
])  # fmt: skip
def test_layouts_that_are_none(shape, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        shown(tmp_path, np.zeros((*shape[:1], 2, *shape[2:]) if shape[1:2] == (3,) and len(shape) == 4 else shape))


@pytest.mark.parametrize(("labels", "classes"), [
    (np.array([[3], [1], [3], [1]]), ["1", "3"]), (np.array([3.0, 1.0, 3.0, 1.0]), ["1", "3"]),
    (np.array(["b", "a", "b", "a"]), ["a", "b"]), (np.array([b"b", b"\xc3\xa9", b"b", b"b"]), ["b", "é"]),
    (np.array([10, 9, 10, 9]), ["9", "10"]),
], ids=str)  # fmt: skip
def test_labels_that_are_classes(labels, classes, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 3, 5)), labels=labels)
    names, found = arrays.load(Data(name="arrays", root=str(tmp_path / "a.npz")))
    assert names == classes
    assert [names[label] for label in found["train"].labels] == [
        {"b'b'": "b", "b'\\xc3\\xa9'": "é"}.get(repr(each), str(each).removesuffix(".0").strip("[]"))
        for each in labels.tolist()
    ]


@pytest.mark.parametrize(("values", "names", "expected"), [
    ({"train": [2, 0, 2], "test": [0]}, None, (["0", "2"], {"train": [1, 0, 1], "test": [0]})),
    ({"train": [2, 0, 1]}, ["a", "b", "c"], (["a", "b", "c"], {"train": [2, 0, 1]})),
    ({"train": [0], "test": [0]}, ["a", "b"], (["a", "b"], {"train": [0], "test": [0]})),
    ({"train": ["y", "x"]}, ["a", "b", "c"], (["x", "y"], {"train": [1, 0]})),
])  # fmt: skip
def test_labels_are_numbered(values, names, expected):
    classes, labels = numbered(values, names, "here")
    assert (classes, {split: own.tolist() for split, own in labels.items()}) == expected
    assert {own.dtype for own in labels.values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize(("values", "names", "message"), [
    ({"train": [0, "a"]}, None, "'here' has both numbers and texts as labels"),
    ({"train": [0, True]}, None, "labels must be whole numbers or texts, got True"),
    ({"train": [0.5]}, None, "labels must be whole numbers or texts, got 0.5"),
    ({"train": [0, 2]}, ["a", "b"], "has the label 2, but names 2 classes"),
    ({"train": [0, -1]}, ["a", "b"], "has the label -1, but names 2 classes"),
    ({"train": ["a"], "test": ["a", "b"]}, None, "the class 'b' has no training images"),
    ({"train": [0], "test": [1]}, ["a", "b"], "the class 'b' has no training images"),
    ({"train": ["a"], "val": ["d", "c"], "test": ["b", "a"]}, None, "the class 'b' has no training images"),
    ({"train": [2], "test": [3, 1, 2]}, ["a", "b", "c", "d"], "the class 'b' has no training images"),
])  # fmt: skip
def test_labels_that_cannot_be_numbered(values, names, message):
    with pytest.raises(ValueError, match=message):
        numbered(values, names, "here")
