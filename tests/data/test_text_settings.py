"""Settings of images with texts: the alphabet, the size, the paths and what a line may hold."""

import os

import numpy as np
import pytest
from PIL import Image

from cv_attention.alphabet import Alphabet
from cv_attention.config import Strings, Text
from cv_attention.data.tables.entries import Entry, brief
from cv_attention.data.tables.image_paths import check_presence, image_paths
from cv_attention.data.texts import alphabets, digit_strings
from cv_attention.data.texts.fitting import Fit, clipped
from cv_attention.data.texts.label_files import captions, easyocr, huggingface, tab_separated
from cv_attention.data.texts.label_files.labels import check_text


def entries(tmp_path, *texts, line=1):
    return [Entry(f"{number}.png", text, tmp_path / "labels.txt", number + line) for number, text in enumerate(texts)]


@pytest.mark.parametrize(("settings", "units"), [
    ({}, ("a", "b", "c")), ({"min_count": 2}, ("a", "b")), ({"min_count": 3}, ("a",)), ({"longest": 3}, ("a", "b")),
    ({"alphabet": "zyx"}, ("z", "y", "x")), ({"alphabet": ["z", "ab"]}, ("z", "ab")),
    ({"unit": "word"}, ("aab", "aacb")),
])  # fmt: skip
def test_the_alphabet_is_that_of_the_training_texts(settings, units, tmp_path):
    """Units by their code points; texts that are too long do not count."""
    assert alphabets.make(Text(**settings), entries(tmp_path, "aab", "aacb", "")).units == units


def test_an_alphabet_of_nothing_says_why(tmp_path):
    for settings, texts, message in [
        ({"min_count": 4}, ("aab", "b"), "no character occurs in the training texts at least data.text.min_count=4"),
        ({}, ("", ""), "line 1: all training texts are empty"),
        ({"longest": 2}, ("", "abc"), "line 2: the text has 3 characters; data.text.longest allows 2"),
        ({"alphabet": "aa"}, ("a",), "data.text.alphabet: units must be different"),
        ({"alphabet": ""}, ("a",), "data.text.alphabet: an alphabet must have at least one unit"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            alphabets.make(Text(**settings), entries(tmp_path, *texts))


def test_why_a_text_cannot_be_learned(tmp_path):
    letters = Alphabet("abc")
    fault = [alphabets.fault(entry, letters, 3) for entry in entries(tmp_path, "abc", "", "abca", "abd", line=5)]
    assert fault[:2] == [None, None]
    assert "line 7: the text has 4 characters; data.text.longest allows 3" in fault[2]
    assert "line 8: character 3 of 'abd' is 'd' (U+0064)" in fault[3]
    assert (alphabets.longest(Text()), alphabets.longest(Text(longest=7))) == (1000, 7)


@pytest.mark.parametrize("size", [(16, 64), (32, 64), (20, 41), (64, 16), (32, 65), (1, 1), (5, 200), (200, 5)])
def test_an_image_keeps_its_aspect_and_is_padded_with_black(size):
    """By Pillow's own resizing of the image to the size that fits into 32 x 64."""
    pixels = np.random.default_rng(0).integers(1, 256, (*size, 3), np.uint8)
    scale = min(32 / size[0], 64 / size[1])
    high, wide = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    expected = np.zeros((32, 64, 3), np.uint8)
    top = (32 - high) // 2
    shown = Image.fromarray(pixels).resize((wide, high), Image.Resampling.BICUBIC)
    expected[top : top + high, :wide] = np.asarray(shown)
    boxes = np.array([[0, 0, size[1], size[0]], [-3, 0, 0, 1], [np.nan] * 4], np.float32)
    image, moved, columns = Fit(32, 64)(pixels, boxes)
    np.testing.assert_array_equal(image, expected)
    assert columns == wide
    np.testing.assert_allclose(moved[0], [0, top, wide, top + high], rtol=1e-6)
    assert np.isnan(moved[1:]).all()
    assert Fit(32, 64)(pixels, None)[1] is None


def test_boxes_are_cut_at_the_border():
    boxes = np.array([[-1, -2, 3, 4], [9, 9, 12, 12], [10, 0, 12, 2], [0, 5, 4, 5], [2, 1, 4, 3]], np.float32)
    nan = [np.nan] * 4
    np.testing.assert_array_equal(clipped(boxes, 10, 11), [[0, 0, 3, 4], [9, 9, 10, 11], nan, nan, [2, 1, 4, 3]])


@pytest.mark.parametrize(("text", "wrong"), [
    ("plain", None), ("a\tb\nc", None), ("é שלום 😀 \u200d", None), ("a\x00b", 2), ("\x1b[2J", 1), ("ab\r", 3),
    ("a\ufffd", 2), ("\ud800", 1), ("\x7f", 1),
])  # fmt: skip
def test_texts_that_no_image_shows(text, wrong, tmp_path):
    [entry] = entries(tmp_path, text)
    if wrong is None:
        check_text(entry)
    else:
        with pytest.raises(ValueError, match=rf"line 1: character {wrong} of the text is U\+[0-9A-F]{{4}}, which"):
            check_text(entry)


def test_names_in_messages_are_short_and_safe(tmp_path):
    assert brief("a" * 200) == "a" * 200
    assert brief("a" * 201) == "a" * 200 + "..."
    assert "\x1b" not in brief("\x1b[2J")
    assert Entry("x.png", "a", tmp_path / "l").place == f"'{tmp_path / 'l'}', x.png"
    assert Entry("x.png", "a", tmp_path / "l", 3).place == f"'{tmp_path / 'l'}', line 3"


@pytest.fixture
def folders(tmp_path):
    """Images next to the label file, in two folders below it, and above it."""
    for place in ("set/labels/a.png", "set/labels/images/b.png", "set/labels/train/b.png", "set/c.png", "out.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    return tmp_path / "set"


@pytest.mark.parametrize(("image", "found"), [
    ("a.png", "labels/a.png"), ("./a.png", "labels/a.png"), ("b.png", "labels/images/b.png"), ("c.png", "c.png"),
    ("train/b.png", "labels/train/b.png"), ("labels/a.png", "labels/a.png"), ("images/../a.png", "labels/a.png"),
])  # fmt: skip
def test_paths_start_from_the_first_folder_in_which_images_lie(image, found, folders):
    label = folders / "labels/labels.csv"
    paths = image_paths([Entry(image, "", label, 1)], label.parent, folders, ("images", "train"))
    assert paths == [os.path.abspath(folders / found)]


def test_no_path_leads_out_of_the_data_set(folders):
    label = folders / "labels/labels.csv"
    for image, message in [("../../out.png", "leads out of the data set's folder"), ("", "is not the name of an image"),
                           ("a\0.png", "is not the name of an image"), ("/etc/passwd", "leads out of")]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            image_paths([Entry(image, "", label, 1)], label.parent, folders, ())
    with pytest.raises(FileNotFoundError, match=r"line 4: image not found: 'x\\y.png' in "):
        image_paths([Entry("x\\y.png", "", label, 4)], label.parent, folders, ())
    with pytest.raises(FileNotFoundError, match=r"line 4: image not found: 'x\.png' in "):
        image_paths([Entry("x.png", "", label, 4)], label.parent, folders, ())


def test_images_that_are_missing_are_counted(folders):
    label = folders / "labels/labels.csv"
    names = ["a.png", "gone.png", "lost.png"]
    listed = [Entry(name, "", label, line) for line, name in enumerate(names, 1)]
    paths = [str(folders / "labels" / name) for name in names]
    assert check_presence(listed[:1], paths[:1]) == {str(folders / "labels"): 1}
    with pytest.raises(FileNotFoundError, match=r"line 2: image not found: '.*gone.png'$"):
        check_presence(listed[:2], paths[:2])
    with pytest.raises(FileNotFoundError, match=r"line 2: image not found: '.*gone.png' \(and 1 more\)$"):
        check_presence(listed, paths)


@pytest.mark.parametrize(("settings", "message"), [
    ({"smallest": 20, "largest": 19}, "largest must be at least smallest=20, got 19"),
    ({"largest": 30, "height": 29}, "height must be at least 30 for largest=30, got 29"),
    ({"longest": 5, "largest": 23, "width": 119}, "width must be at least 120 for longest=5 and largest=23, got 119"),
    ({"train": 10**6, "height": 100, "width": 200}, r"20,060,000,000 pixels on all images are too many"),
])  # fmt: skip
def test_strings_of_digits_fit_into_their_images(settings, message):
    for right in ({"smallest": 20, "largest": 20}, {"largest": 30, "height": 30, "width": 155}, {"width": 120}):
        digit_strings.check(Strings(**right))
    with pytest.raises(ValueError, match=message):
        digit_strings.check(Strings(**settings))


LABELLED = {  # two texts, of which the second begins in the given line
    "EasyOCR": (easyocr, "labels.csv", "filename,words\na.png,12\n\nb.png,3,4\n", 4),
    "PaddleOCR": (tab_separated, "gt.txt", "a.png\t12\nb.png\t3,4\n", 2),
    "TRDG": (tab_separated, "labels.txt", "a.png 12\n\n\nb.png 3,4\n", 4),
    "metadata": (huggingface, "metadata.csv", 'file_name,text\n"a.png",12\nb.png,"3,4"\n', 3),
    "lines": (
        huggingface,
        "metadata.jsonl",
        '{"file_name": "a.png", "text": "12"}\n{"file_name": "b.png", "text": "3,4"}',
        2,
    ),
    "captions": (captions, "captions.txt", 'image,caption\na.png,12\nb.png,"3,4"\n', 3),
}


@pytest.mark.parametrize(("form", "name", "content", "line"), LABELLED.values(), ids=LABELLED)
def test_texts_are_named_by_their_line(form, name, content, line, tmp_path):
    (tmp_path / name).write_text(content)
    one, two = form.read(tmp_path / name)
    assert [(one.image, one.text), (two.image, two.text)] == [("a.png", "12"), ("b.png", "3,4")]
    assert two.place == f"'{tmp_path / name}', line {line}"
