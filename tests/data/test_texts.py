"""Texts of a folder: their units, what cannot be learned, how images are fitted; and hostile label files."""

import json
import os
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cv_attention import data
from cv_attention.alphabet import divide
from cv_attention.config import Data, Subset, Text
from cv_attention.data.selection import folds
from cv_attention.data.texts.fitting import Fit


def picture(path, size=(20, 10), colour=(200, 100, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def write(folder, texts, file="gt.txt"):
    """Writes images 0.png, 1.png, ... with their texts."""
    for i in range(len(texts)):
        picture(folder / f"{i}.png")
    (folder / file).write_text("".join(f"{i}.png\t{text}\n" for i, text in enumerate(texts)), encoding="utf-8")


def opened(root, settings=(), **more):
    module = data.create(Data(name="text", root=str(root), **{"batch_size": 4} | more, text=Text(**dict(settings))))
    module.setup()
    return module


def make(tmp_path, train, test=("a",), val=None):
    for split, texts in {"train": train, "val": val, "test": test}.items():
        if texts is not None:
            write(tmp_path / split, texts)
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "units"),
    [
        ({}, [" ", "A", "a", "b", "e", "é", "\u0301"]),
        ({"lower": True}, [" ", "a", "b", "e", "é", "\u0301"]),
        ({"unit": "grapheme"}, [" ", "A", "a", "b", "e\u0301", "é"]),
        ({"unit": "word"}, ["A", "a", "be\u0301", "é"]),
        ({"min_count": 2, "unknown": "drop"}, ["a"]),
        ({"min_count": 2, "unknown": "drop", "unit": "word"}, ["a"]),
        ({"alphabet": " aAbeé\u0301Z"}, [*" aAbeé\u0301Z"]),
        ({"alphabet": "é a A be\u0301", "unit": "word"}, ["é", "a", "A", "be\u0301"]),
        ({"alphabet": ["b", "e\u0301", "é", " ", "a", "A"], "unit": "grapheme"}, ["b", "e\u0301", "é", " ", "a", "A"]),
    ],
)
def test_units(tmp_path, settings, units):
    make(tmp_path, ["a A", "be\u0301", "é", "a"], val=["a", "a"])
    if settings.get("unit") == "grapheme":
        pytest.importorskip("regex")
    module = opened(tmp_path, settings)
    assert list(module.alphabet.units) == (units if "alphabet" in settings else sorted(units))


def test_a_unit_that_no_training_text_has_is_an_error(tmp_path):
    make(tmp_path, ["ab", "b"], val=["a"], test=["aa", "ax7", "x"])
    with pytest.raises(ValueError) as error:
        opened(tmp_path)
    assert str(error.value) == (
        f"'{tmp_path}/test/gt.txt', line 2: character 2 of 'ax7' is 'x' (U+0078), which no unit stands for; 1 more "
        "test texts are like this. Correct data.text.alphabet or longest, or leave such images out by "
        "data.text.unknown drop"
    )
    module = opened(tmp_path, {"unknown": "drop"})
    assert list(module.texts("test")) == ["aa"]
    assert "data.text.unknown drop: 2 test texts are left out, the first: " in module.describe()
    assert "line 2: character 2 of 'ax7'" in module.describe()


def test_validation_images_held_out_have_no_unknown_units(tmp_path):
    """The alphabet is made before they are held out, whatever the seed."""
    make(tmp_path, [*"abcdefghij"])
    alphabets = [opened(tmp_path, val_fraction=0.5, seed=seed).alphabet for seed in range(3)]
    assert {"".join(alphabet.units) for alphabet in alphabets} == {"abcdefghij"}


def test_too_long_texts(tmp_path):
    make(tmp_path, ["abc", "ab", "a" * 1001], val=["a"])
    with pytest.raises(ValueError, match=r"line 3: the text has 1,001 characters; data.text.longest allows 1,000"):
        opened(tmp_path)
    assert opened(tmp_path, {"longest": 2000}).longest == 2000
    module = opened(tmp_path, {"longest": 2, "unknown": "drop"})
    assert list(module.texts("train")) == ["ab"]
    assert module.alphabet.units == ("a", "b")  # of the texts that are learned
    assert module.longest == 2


def test_nothing_remains(tmp_path):
    make(tmp_path, ["a", "b"], val=["a"], test=["x"])
    with pytest.raises(ValueError, match=r"data.text.unknown drop leaves no test images: .*gt.txt', line 1"):
        opened(tmp_path, {"unknown": "drop"})
    with pytest.raises(ValueError, match=r"no character occurs in the training texts at least data.text.min_count=5"):
        opened(tmp_path, {"unknown": "drop", "min_count": 5})


@pytest.mark.parametrize(
    ("alphabet", "message"),
    [("aba", "'a' is there twice"), ("", "at least one unit"), (["a", ""], "empty")],
)
def test_a_wrong_alphabet(tmp_path, alphabet, message):
    make(tmp_path, ["a"])
    with pytest.raises(ValueError, match=f"data.text.alphabet: .*{message}"):
        opened(tmp_path, {"alphabet": alphabet})


def test_any_text_survives(tmp_path):
    """Random texts of every script: what is written is what is read, encoded and decoded."""
    generator = random.Random(0)
    ranges = [(0x20, 0x7E), (0xA1, 0x24F), (0x300, 0x36F), (0x5D0, 0x5EA), (0x627, 0x64A), (0x4E00, 0x4EFF)]
    ranges += [(0x1F600, 0x1F64F), (0xAC00, 0xAC80), (0x2028, 0x2029), (0x200B, 0x200F), (0x1100, 0x1112)]

    def text():
        letters = (chr(generator.randint(*generator.choice(ranges))) for _ in range(generator.randint(0, 12)))
        return "".join(letters)

    texts = {f"{i}.png": text() for i in range(300)}
    for split in ("train", "val", "test"):
        for name in texts:
            picture(tmp_path / split / name)
    for file in ("gt.txt", "labels.json", "metadata.jsonl"):
        for split in ("train", "val", "test"):
            for old in ("gt.txt", "labels.json", "metadata.jsonl"):
                (tmp_path / split / old).unlink(missing_ok=True)
            pairs = [f"{name}\t{word}" for name, word in texts.items()]
            rows = [json.dumps({"file_name": name, "text": word}) for name, word in texts.items()]
            content = {"gt.txt": "\n".join(pairs), "metadata.jsonl": "\n".join(rows), "labels.json": json.dumps(texts)}
            (tmp_path / split / file).write_text(content[file], encoding="utf-8")
        for unit in ("character", "grapheme", "word"):
            module = opened(tmp_path, {"unit": unit}, batch_size=300)
            assert list(module.texts("test")) == list(texts.values())
            [batch] = module.test_dataloader()
            for word, tokens, length in zip(texts.values(), batch["tokens"], batch["length"], strict=True):
                assert module.alphabet.parts(tokens.tolist()) == list(divide(word, unit))
                assert length == len(divide(word, unit))
                assert (tokens[length + 1 :] == module.alphabet.padding).all()


def test_right_to_left_texts_keep_their_order(tmp_path):
    make(tmp_path, ["שלום", "سلام"], val=["ש"], test=["שלום"])
    module = opened(tmp_path)
    numbers = module.splits["test"].batch([(0, 0)])["tokens"][0].tolist()
    assert [module.alphabet.units[number - 1] for number in numbers[:-1]] == ["ש", "ל", "ו", "ם"]  # as in memory


@pytest.mark.parametrize(
    ("size", "width", "content"),
    [((64, 32), 64, (0, 32)), ((20, 10), 64, (0, 32)), ((400, 100), 128, (0, 32)), ((1000, 100), 128, (9, 22))],
)
def test_images_keep_their_aspect(size, width, content):
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    boxes = np.array([[0, 0, size[0], size[1]], [np.nan] * 4], np.float32)
    fitted, moved, found = Fit(32, 128)(image, boxes)
    top, bottom = content
    assert (fitted.shape, found) == ((32, 128, 3), width)
    assert (fitted[top:bottom, :width] == 200).all()
    assert fitted.astype(int).sum() == 200 * 3 * (bottom - top) * width
    assert moved[0].tolist() == [0, top, width, bottom]
    assert np.isnan(moved[1]).all()


def test_a_fitted_image_is_that_of_pillow():
    image = np.random.default_rng(0).integers(0, 256, (50, 120, 3), np.uint8)
    fitted, _, width = Fit(32, 128)(image, None)
    expected = Image.fromarray(image).resize((77, 32), Image.Resampling.BICUBIC)
    assert width == 77
    np.testing.assert_array_equal(fitted[:, :77], expected)


def test_images_of_any_size_in_a_batch(tmp_path):
    sizes = [(20, 10), (300, 20), (7, 90), (1, 1)]
    for split in ("train", "test"):
        write(tmp_path / split, ["a"] * 4)
        for i, size in enumerate(sizes):
            picture(tmp_path / split / f"{i}.png", size)
    module = opened(tmp_path, {"height": 16, "width": 60})
    assert module.image_size == (16, 60)
    assert not module.splits["test"].resident  # worker processes help
    [batch] = module.test_dataloader()
    assert batch["image"].shape == (4, 3, 16, 60)
    assert batch["width"].tolist() == [32, 60, 1, 16]
    for image, width in zip(batch["image"], batch["width"].tolist(), strict=True):
        assert not image[:, :, width:].any()
        assert image[0, 8, :width].min() == 200
    assert module.describe().splitlines()[0] == (
        "text: 3 train, 1 val, 4 test images, texts of up to 1 characters, alphabet of 1, 16×60"
    )


# Hostile label files: content of train/gt.txt -> message
HOSTILE = {
    "empty": (b"", "gt.txt' is empty"),
    "white": (b" \n\n", "gt.txt' is empty"),
    "no tab": (b"0.png\ta\n1.png b\n", "line 2 must be a path, a tab and a text, got no tab in '1.png b'"),
    "two tabs": (b"0.png\ta\tb\n", "line 1 .* got 2 tabs"),
    "NUL": (b"0.png\ta\n1.png\ta\0b\n", r"line 2: character 2 of the text is U\+0000, which cannot be read"),
    "escape": (b"0.png\t\x1b[31m\n", r"line 1: character 1 of the text is U\+001B"),
    "carriage return": (b"0.png\ta\rb\n", r"line 1: character 2 of the text is U\+000D"),
    "NUL in a path": (b"0\0.png\ta\n0.png\ta\n", r"line 1: '0\\x00.png' is not the name of an image"),
    "no path": (b"0.png\ta\n\ta\n", "line 2: '' is not the name of an image"),
    "latin-1": ("0.png\ta\n1.png\té\n".encode("latin-1"), r"line 2 is not UTF-8 \(byte 14\); save it as UTF-8"),
    "UTF-16": ("0.png\ta\n".encode("utf-16")[:-1], r"line 1 is not UTF-16 \(byte 16\); save it as UTF-8$"),
    "replacement": ("0.png\ta\ufffd\n".encode(), r"line 1: character 2 of the text is U\+FFFD, which is left by a"),
    "10 MB line": (b"0.png\t" + b"a" * 10_000_000 + b"\n", "line 1: the text has 10,000,000 characters"),
    "10 MB path": (b"a" * 10_000_000 + b"\ta\n0.png\ta\n", "line 1: "),
    "missing": (b"0.png\ta\n9.png\ta\n8.png\tb\n", r"line 2: image not found: '.*train/9.png' \(and 1 more\)"),
    "all missing": (b"7.png\ta\n9.png\ta\n", r"line 1: image not found: '7.png' in '.*train' and the folders in it"),
    "twice": (b"0.png\ta\n1.png\ta\n0.png\tb\n", r"line 3: '0.png' has a text already, in '.*gt.txt', line 1"),
    "the same file": (b"0.png\ta\n./0.png\ta\n", r"line 2: './0.png' has a text already"),
    "outside": (b"0.png\ta\n../../etc/x.png\ta\n", r"line 2: '../../etc/x.png' leads out of the data set's folder"),
    "absolute": (b"0.png\ta\n/etc/passwd\ta\n", r"line 2: '/etc/passwd' leads out of the data set's folder"),
    "Windows": (
        b"C:\\train\\0.png\ta\n",
        r"line 1: image not found: 'C:.*0.png' in .* not with a drive",
    ),
    "a folder": (b"0.png\ta\n.\tb\n", "not found|not a regular file|a folder"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_label_files(tmp_path, case):
    content, message = HOSTILE[case]
    make(tmp_path, ["a", "b"], val=["a"])
    (tmp_path / "train/gt.txt").write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        opened(tmp_path)
    assert len(str(error.value)) < 1_000 + 4 * len(str(tmp_path))
    assert "\n" not in str(error.value)


HOSTILE_FILES = {
    "labels.json": {
        "[1, 2]": "must be an object such as .*got list",
        '{"0.png": 3}': "the text of '0.png' must be a string, got 3",
        '{"0.png": {"a": "b"}}': "must be a string, got an object",
        '{"0.png": "a"': "is not valid JSON: .*line 1",
        '{"0.png": "a", "0.png": "b"}': "'0.png' has a text already",
        '{"0.png": "\\ud800"}': r"character 1 of the text is U\+D800",
        "{}": "has no images",
        "[" * 100_000: "not valid JSON",
    },
    "metadata.jsonl": {
        '{"file_name": "0.png", "text": "a"}\n{"file_name": "1.png"}\n': "line 2 must have the strings file_name",
        '{"file_name": "0.png", "text": null}': "line 1 must have the strings",
        '{"file_name": "0.png", "text": 12}': "line 1 must have the strings",
        "0.png a": "line 1 is not valid JSON",
        "[]": "line 1 must have the strings",
    },
    "metadata.csv": {
        "file_name,label\n0.png,a\n": "must have the columns file_name and text, got file_name, label",
        "file_name,text\n0.png,a\n1.png,b,c\n": "line 3 has 3 fields, but the header has 2",
        'file_name,text\n0.png,"a\n': "line 2: unexpected end of data",
        "file_name,text\n0.png," + "a" * 10_000_000: "line 2: field larger than field limit",
        "file_name,text\n": "has no images",
    },
    "labels.csv": {
        "0.png,a\n": "line 1 must be filename,words, got 0.png,a",
        "filename,words\n0.png\n": "line 2 must be an image, a comma and a text, got 0.png",
        'filename,words\n0.png,"a, b"\n': 'line 2: the quotation marks of "a, b" are a part',
    },
}


CASES = [(file, content) for file, each in HOSTILE_FILES.items() for content in each]


@pytest.mark.parametrize(("file", "content"), CASES, ids=lambda value: value[:30])
def test_hostile_files_of_other_formats(tmp_path, file, content):
    make(tmp_path, ["a", "b"], val=["a"])
    (tmp_path / "train/gt.txt").unlink()
    (tmp_path / "train" / file).write_text(content)
    with pytest.raises(ValueError, match=HOSTILE_FILES[file][content]) as error:
        opened(tmp_path)
    assert str(tmp_path / "train" / file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_label_file_that_is_no_file(tmp_path):
    make(tmp_path, ["a"], val=["a"])
    (tmp_path / "train/gt.txt").unlink()
    (tmp_path / "train/gt.txt").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="is a device, not a regular file"):
        opened(tmp_path)


def test_a_link_to_an_image_elsewhere_is_followed(tmp_path):
    """As in folders of classes: it is the user's link, not the label file's path."""
    make(tmp_path / "set", ["a", "b"], val=["a"])
    picture(tmp_path / "elsewhere.png")
    (tmp_path / "set/train/0.png").unlink()
    (tmp_path / "set/train/0.png").symlink_to(tmp_path / "elsewhere.png")
    assert len(opened(tmp_path / "set").splits["train"]) == 2


def test_images_without_a_text_are_counted(tmp_path):
    make(tmp_path, ["a", "b"], val=["a", ""])
    picture(tmp_path / "train/unlabelled.png")
    (tmp_path / "train/notes.md").write_text("")
    lines = opened(tmp_path).describe().splitlines()
    assert lines[2:] == ["images without a text in the same folders, not used: 1", "empty texts: 1"]


def test_images_of_all_splits_in_one_folder(tmp_path):
    """None of them is without a text, and a path may go up as long as it stays in the data set."""
    for split, numbers in {"train": (0, 1, 2), "test": (3, 4)}.items():
        (tmp_path / split).mkdir()
        for number in numbers:
            picture(tmp_path / "images" / f"{number}.png")
        (tmp_path / split / "gt.txt").write_text("".join(f"../images/{number}.png\ta\n" for number in numbers))
    module = opened(tmp_path)
    assert [len(split) for split in module.splits.values()] == [2, 1, 2]
    assert len(module.describe().splitlines()) == 2
    (tmp_path / "test/gt.txt").write_text("".join(f"{tmp_path}/images/{number}.png\ta\n" for number in (3, 4)))
    assert len(opened(tmp_path).splits["test"]) == 2
    (tmp_path / "test/gt.txt").write_text("../images/1.png\ta\n../images/3.png\ta\n")
    with pytest.raises(ValueError, match=r"images/1.png' is in train and in test; an image is in one split"):
        opened(tmp_path)


def test_broken_images(tmp_path):
    make(tmp_path, ["a", "b", "c", "d"], val=["a"])
    (tmp_path / "train/1.png").write_text("no image")
    (tmp_path / "train/2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"2\.png"):
        opened(tmp_path)
    with pytest.warns(UserWarning, match=r"2 of 4 train images are left out: .*1\.png"):
        module = opened(tmp_path, on_error="skip")
    assert list(module.texts("train")) == ["a", "d"]
    assert len(module.left_out["train"]) == 2
    assert list(module.left_out) == ["train"]
    assert module.alphabet.units == ("a", "d")
    (tmp_path / "train/0.png").write_text("no image")
    (tmp_path / "train/3.png").write_text("no image")
    with pytest.raises(ValueError, match="all train images are broken"):
        opened(tmp_path, on_error="skip")


def test_broken_images_of_an_undivided_folder_are_those_of_train(tmp_path):
    write(tmp_path, [*"aaaaaaaaaaaa"])
    (tmp_path / "3.png").write_text("no image")
    with pytest.warns(UserWarning, match="1 of 12 labelled images are left out"):
        module = opened(tmp_path, on_error="skip")
    assert list(module.left_out) == ["train"]
    assert sum(len(split) for split in module.splits.values()) == 11


def test_a_cache_holds_the_same_texts(tmp_path):
    make(tmp_path, ["a", "b"], val=["a"])
    for split in ("train", "val", "test"):
        picture(tmp_path / split / "0.png", (400, 200))
        picture(tmp_path / split / "7.png", (30, 10))
        with (tmp_path / split / "gt.txt").open("a") as file:
            file.write("7.png\ta\n")
    plain, cached = opened(tmp_path), opened(tmp_path, cache=32)
    assert list((tmp_path / ".cv_attention").glob("32px-*.pixels"))
    ours, theirs = (module.splits["train"].batch([(0, i) for i in range(3)]) for module in (plain, cached))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=2, rtol=0)


def test_a_cache_of_images_with_boxes_is_refused(tmp_path, monkeypatch):
    from scipy.io import savemat

    for split in ("train", "test"):
        row = np.zeros((1, 2), [("ImgName", "O"), ("GroundTruth", "O"), ("charBB", "O")])
        for i in range(2):
            picture(tmp_path / split / f"{i}.png", (100 + i, 100))
            row[0, i] = (f"{split}/{i}.png", "a", np.array([[1.0, 2, 3, 4]]))
        savemat(tmp_path / f"{split}data.mat", {f"{split}data": row})
        savemat(tmp_path / f"{split}CharBound.mat", {f"{split}CharBound": row})
    with pytest.raises(ValueError, match=r"data\.cache changes the size of images, but these have boxes"):
        opened(tmp_path, cache=32)
    batch = opened(tmp_path).splits["test"].batch([(0, 1)])
    np.testing.assert_allclose(batch["boxes"][0, 0], [0.32, 0.64, 1.28, 1.92], atol=0.02)


def test_boxes_that_reach_out_of_the_image_pass_the_transforms(tmp_path):
    """People draw boxes over the border; albumentations refuses such."""
    from scipy.io import savemat

    for split in ("train", "test"):
        row = np.zeros((1, 2), [("ImgName", "O"), ("GroundTruth", "O"), ("charBB", "O")])
        for i in range(2):
            picture(tmp_path / split / f"{i}.png", (64, 32))
            row[0, i] = (f"{split}/{i}.png", "ab", np.array([[-5.0, -1, 25, 40], [70, 0, 9, 9]]))
        savemat(tmp_path / f"{split}data.mat", {f"{split}data": row})
        savemat(tmp_path / f"{split}CharBound.mat", {f"{split}CharBound": row})
    step = {"Pad": {"padding": [0, 32]}}  # 64×96 of 64×32
    batch = opened(tmp_path, eval_transforms=[step]).splits["test"].batch([(0, 0)])
    assert batch["width"].tolist() == [21]
    np.testing.assert_allclose(batch["boxes"][0, 0], [0, 32 / 3, 20 * 21 / 64, 64 / 3], atol=0.01)
    assert batch["boxes"][0, 1:].isnan().all()


def test_what_cannot_be_done_with_texts_is_refused(tmp_path):
    make(tmp_path, ["a"], val=["a"])
    refused = {"balanced": True, "flip_test": True, "mixup": 0.1, "cutmix": 0.1, "progressive": {0: 16}}
    refused |= {"subset": Subset(num_classes=2), "options": {"x": 1}}
    for name, value in refused.items():
        with pytest.raises(ValueError, match=rf"data\.{name}"):
            opened(tmp_path, **{name: value})


def test_sixteen_bits(tmp_path):
    """The range of deep images is found as for folders of classes."""
    make(tmp_path, ["a", "b"], val=["a"])
    for split in ("train", "val", "test"):
        for path in (tmp_path / split).glob("*.png"):
            Image.fromarray(np.full((10, 20), 4095, np.uint16)).save(path)
    module = opened(tmp_path)
    assert module.bits == 12
    assert "4,095" in module.describe().splitlines()[-1]
    assert module.splits["test"].batch([(0, 0)])["image"][0, 0, 0, 0] == 255


def test_several_texts_in_worker_processes(tmp_path):
    make(tmp_path, [*"abcdefgh"], val=["a"])
    steps = [{"Affine": {"rotate": [-5, 5]}}]
    alone, shared = opened(tmp_path, train_transforms=steps), opened(tmp_path, train_transforms=steps, workers=2)
    for ours, theirs in zip(alone.train_dataloader(), shared.train_dataloader(), strict=True):
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0)
    shared.close()


def test_transforms_come_before_fitting(tmp_path):
    make(tmp_path, ["a"] * 4, val=["a"])
    steps = [{"Crop": {"x_min": 0, "y_min": 0, "x_max": 10, "y_max": 10}}]
    module = opened(tmp_path, train_transforms=steps)
    assert module.splits["train"].batch([(0, 0)])["width"].tolist() == [32]  # of a square
    assert module.splits["test"].batch([(0, 0)])["width"].tolist() == [64]


@pytest.mark.parametrize(
    "step",
    ["HorizontalFlip", {"VerticalFlip": {"p": 0.5}}, "Transpose", "D4",
     {"OneOf": {"transforms": [{"Pad": {"padding": 2}}, {"HorizontalFlip": {}}]}}],
)  # fmt: skip
@pytest.mark.parametrize("place", ["train_transforms", "eval_transforms"])
def test_mirrors_are_refused(step, place):
    for name in ("text", "digit_strings"):
        with pytest.raises(ValueError, match=rf"data.{place}: \w+ mirrors images"):
            data.create(Data(name=name, **{place: [step]}))


def test_a_fraction_of_the_training_images(tmp_path):
    make(tmp_path, [*"abcdefgh"], val=["a"])
    module = opened(tmp_path, subset=Subset(fraction=0.5))
    assert len(module.splits["train"]) == 4
    assert module.alphabet.units == tuple("abcdefgh")  # runs on less data read the same alphabet


def test_the_fingerprint(tmp_path):
    make(tmp_path, ["ab", "b"], val=["a"])
    first = opened(tmp_path).fingerprint()
    assert opened(tmp_path, {"height": 16}, batch_size=2).fingerprint() == first
    (tmp_path / "train/gt.txt").write_text("0.png\tba\n1.png\tb\n")
    assert opened(tmp_path).fingerprint()["fingerprint"] != first["fingerprint"]


def test_the_fingerprint_does_not_change_with_the_place(tmp_path):
    write(tmp_path / "here", [*"ab" * 10])
    first = opened(tmp_path / "here").fingerprint()
    (tmp_path / "here").rename(tmp_path / "there")
    assert opened(tmp_path / "there").fingerprint() == first
    assert opened(tmp_path / "there").splits["train"].images.short_name(0) == "0.png"


def test_readings_are_labels_for_the_next_run(tmp_path):
    """What ``cv-attention read`` writes."""
    for i in range(20):
        picture(tmp_path / f"{i}.png")
    rows = [f'{i}.png,"1,{i % 10}",0.9{i},"1,{i % 10}",0' for i in range(20)]
    (tmp_path / "readings.csv").write_text("\n".join(["file_name,text,confidence,truth,cer", *rows]))
    module = opened(tmp_path, {"alphabet": ",0123456789"})
    assert "texts: readings.csv (Hugging Face)" in module.describe()
    assert sorted(text for split in ("train", "val", "test") for text in module.texts(split)) == sorted(
        f"1,{i % 10}" for i in range(20)
    )


def test_many_texts_are_fast(tmp_path):
    """Ten thousand texts are read in seconds."""
    import time

    names = [f"{i}.png" for i in range(10_000)]
    picture(tmp_path / names[0])
    for name in names[1:]:
        os.link(tmp_path / names[0], tmp_path / name)
    (tmp_path / "gt.txt").write_text("".join(f"{name}\t{i}\n" for i, name in enumerate(names)))
    start = time.process_time()
    module = opened(tmp_path)
    assert len(module.splits["train"]) == 8_100
    assert time.process_time() - start < 20


def test_folds_keep_the_texts_of_an_image_together(tmp_path):
    """Every image is held out once, with all of its captions; the test images stay the same."""
    lines = [
        "image,caption",
        *(f"{number}.png,text {number} {caption}" for number in range(12) for caption in range(3)),
    ]
    for number in range(12):
        Image.new("L", (20, 10), number).save(tmp_path / f"{number}.png")
    (tmp_path / "captions.txt").write_text("\n".join(lines) + "\n")
    config = Data(name="text", root=str(tmp_path), text=Text(alphabet="0123456789 extohr"))
    path = tmp_path / "folds.json"
    labels, groups = data.divisible(config)
    folds.write(path, labels, 5, 0, groups)
    held, tests = [], set()
    for fold in range(5):
        module = data.create(replace(config, split_file=str(path), fold=fold))
        module.setup()
        texts = {name: [text.rsplit(" ", 1)[0] for text in module.texts(name)] for name in ("train", "val", "test")}
        assert not set(texts["train"]) & set(texts["val"])
        assert all(texts["val"].count(each) == 3 for each in texts["val"])
        held += texts["val"]
        tests.add(tuple(texts["test"]))
    assert len(tests) == 1
    assert len(held) == len(set(held)) * 3 == len(labels)
    (tmp_path / "captions.txt").write_text("\n".join(lines).replace("text 3", "other 3") + "\n")
    with pytest.raises(ValueError, match="is for other data"):
        data.create(replace(config, split_file=str(path))).setup()
