import hashlib

import numpy as np
import pytest
import torch

from cv_attention import data
from cv_attention.cli import main
from cv_attention.config import Data, Strings, Subset
from cv_attention.data.sources import digits
from cv_attention.data.sources.digits import split_sources
from cv_attention.data.texts import digit_strings
from cv_attention.data.texts.digit_strings import draw

SMALL = Strings(train=60, val=20, test=30)


@pytest.fixture(scope="module")
def drawn():
    return draw(SMALL)


def opened(**settings):
    module = data.create(Data(**{"name": "digit_strings", "strings": SMALL, "batch_size": 20} | settings))
    module.prepare_data()
    module.setup()
    return module


def test_shapes_lengths_and_digits(drawn):
    for split, count in {"train": 60, "val": 20, "test": 30}.items():
        images, texts, boxes = drawn[split]
        assert (images.shape, images.dtype) == ((count, 48, 128, 3), np.uint8)
        assert (images == images[..., :1]).all()
        assert (boxes.shape, boxes.dtype) == ((count, 5, 4), np.float32)
        assert np.bincount([len(text) for text in texts]).tolist() == [0, *[count // 5] * 5]
        for text, box in zip(texts, boxes, strict=True):
            assert np.isnan(box).any(1).tolist() == [False] * len(text) + [True] * (5 - len(text))


def test_every_digit_is_equally_likely():
    texts = draw(Strings(train=2_000, val=10, test=10, height=24, width=30, longest=1, clutter=0))["train"].texts
    counts = np.bincount([int(text) for text in texts], minlength=10)
    assert counts.sum() == 2_000
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi-squared with 9 degrees of freedom, p = 0.001


# The drawing is part of every published number: change it only on purpose.
def test_the_same_bytes_on_every_platform(drawn):
    digest = hashlib.sha256()
    for split in ("train", "val", "test"):
        images, texts, boxes = drawn[split]
        digest.update(images.tobytes() + " ".join(texts).encode() + np.nan_to_num(boxes).tobytes())
    assert digest.hexdigest()[:16] == "50195819e65932aa"


def test_another_seed_draws_other_images(drawn):
    assert (draw(Strings(train=60, val=20, test=30, seed=1))["train"].images != drawn["train"].images).any()


def test_no_digit_of_another_split_leaks_into_an_image(monkeypatch, drawn):
    """With every source digit of the other splits blanked, a split's images stay what they were."""
    pixels, labels = digits.load()
    for split, members in split_sources(labels, SMALL.seed).items():
        alone = np.zeros_like(pixels)
        alone[:, 2:6, 2:6] = 16  # any ink will do
        alone[members] = pixels[members]
        monkeypatch.setattr(digit_strings, "load", lambda alone=alone: (alone, labels))
        np.testing.assert_array_equal(draw(SMALL)[split].images, drawn[split].images)


def test_boxes_are_those_of_the_digits():
    """Without clutter, all the ink lies in the boxes, which reach it on every side, from left to right, apart."""
    images, texts, boxes = draw(Strings(train=100, val=10, test=10, clutter=0))["train"]
    for image, text, found in zip(images[..., 0], texts, boxes[:, :, :].astype(object), strict=True):
        rest = image.copy()
        end = 0
        for x0, y0, x1, y1 in found[: len(text)].astype(int):
            ink = image[y0:y1, x0:x1] >= 40  # an ink of 64 at the least brightness
            assert ink.any(0)[[0, -1]].all()
            assert ink.any(1)[[0, -1]].all()
            assert x0 >= end
            assert y1 - y0 <= 23
            rest[y0:y1, x0:x1] = 0
            end = x1
        assert not rest.any()


def test_a_digit_in_a_box_is_of_the_stated_class():
    """Its pixels are those of a source digit of that class, enlarged and dimmed."""
    pixels, classes = digits.load()
    images, texts, boxes = draw(Strings(train=20, val=10, test=10, clutter=20))["train"]
    enlarged = {size: digits.enlarge(pixels, size) for size in range(17, 24)}
    tight = {size: [digits.ink_box(patch) for patch in patches] for size, patches in enlarged.items()}
    for image, text, found in zip(images[..., 0], texts, boxes, strict=True):
        for digit, (x0, y0, x1, y1) in zip(text, found[: len(text)].astype(int), strict=True):
            part, candidates, levels = image[y0:y1, x0:x1], [], np.arange(176, 256)[:, None, None]
            for size, patches in enlarged.items():
                for i in np.flatnonzero(classes == int(digit)):
                    a, b, c, d = tight[size][i]
                    if (d - b, c - a) == part.shape:
                        candidates.append(patches[i, b:d, a:c])
            assert any((patch * levels // 255 == part).all((1, 2)).any() for patch in candidates)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": 5}, "data.strings.train must be at least 10, got 5"),
        ({"largest": 16}, "data.strings.largest must be at least smallest=17, got 16"),
        ({"width": 119}, "data.strings.width must be at least 120 for longest=5 and largest=23, got 119"),
        ({"height": 22}, "data.strings.height must be at least 23 for largest=23, got 22"),
        ({"longest": 0}, r"data.strings.longest must be in \[1, 1000\], got 0"),
        ({"train": 10**9}, "data.strings: .* too many"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        data.create(Data(name="digit_strings", strings=Strings(**settings)))


def test_the_narrowest_image_is_drawn():
    strings = Strings(train=50, val=10, test=10, width=48, height=23, longest=2, clutter=3, jitter=9)
    images, _, boxes = draw(strings)["train"]
    assert images.shape == (50, 23, 48, 3)
    assert np.nanmin(boxes) >= 0
    assert np.nanmax(boxes[..., 2]) <= 48
    assert np.nanmax(boxes[..., 3]) <= 23


def test_a_batch():
    module = opened()
    assert (module.alphabet.units, module.longest, module.image_size) == (tuple("0123456789"), 5, (48, 128))
    assert module.describe() == (
        "digit_strings: 60 train, 20 val, 30 test images, texts of up to 5 characters, alphabet of 10, 48×128"
    )
    split = module.splits["val"]
    chosen = sorted(range(20), key=lambda i: len(module.texts("val")[i]))[:7]  # the longest has two digits
    batch = split.batch([(0, i) for i in chosen])
    texts = [module.texts("val")[i] for i in chosen]
    assert [len(text) for text in texts] == [1] * 4 + [2] * 3
    assert batch["tokens"].tolist() == [
        [*(int(digit) + 1 for digit in text), 0, *[12] * (2 - len(text))] for text in texts
    ]
    assert batch["length"].tolist() == [len(text) for text in texts]
    assert batch["index"].tolist() == chosen
    assert batch["width"].tolist() == [128] * 7
    drawn = draw(SMALL)["val"]
    np.testing.assert_array_equal(batch["image"].permute(0, 2, 3, 1), drawn.images[chosen])
    np.testing.assert_array_equal(batch["boxes"][:, :2], drawn.boxes[chosen, :2])
    assert batch["boxes"].shape == (7, 3, 4)
    assert batch["boxes"][:, 2].isnan().all()
    dtypes = {name: values.dtype for name, values in batch.items()}
    assert dtypes.pop("image") == torch.uint8
    assert dtypes.pop("boxes") == torch.float32
    assert set(dtypes.values()) == {torch.int64}
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)


def test_tokens_are_decoded_to_the_texts():
    module = opened()
    for split in ("train", "val", "test"):
        texts = module.texts(split)
        loaded = {"train": module.train_dataloader, "val": module.val_dataloader, "test": module.test_dataloader}
        seen = {}
        for batch in loaded[split]():
            decoded = [module.alphabet.decode(tokens) for tokens in batch["tokens"].tolist()]
            seen |= dict(zip(batch["index"].tolist(), decoded, strict=True))
        assert [seen[i] for i in range(len(texts))] == list(texts)


def test_boxes_move_with_the_image():
    steps = [{"Pad": {"padding": [8, 4, 8, 4]}}, {"Crop": {"x_min": 40, "y_min": 0, "x_max": 144, "y_max": 56}}]
    module, plain = opened(train_transforms=steps), opened()
    draws = [(0, i) for i in range(60)]
    moved, boxes = module.splits["train"].batch(draws)["boxes"], plain.splits["train"].batch(draws)["boxes"]
    offset = torch.tensor([-32.0, 4, -32, 4])
    inside = boxes[..., 0] >= 32
    torch.testing.assert_close(moved[inside], boxes[inside] + offset)
    outside = boxes[..., 2] <= 32
    assert outside.sum() > 10
    assert moved[outside].isnan().all()
    assert moved[boxes.isnan()].isnan().all()


def test_augmented_images_are_the_same_with_worker_processes():
    steps = ["RandomBrightnessContrast", {"Affine": {"rotate": [-5, 5]}}]
    alone, shared = opened(train_transforms=steps), opened(train_transforms=steps, workers=2)
    for ours, theirs in zip(alone.train_dataloader(), shared.train_dataloader(), strict=True):
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0, equal_nan=True)
    shared.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixup": 0.2}, "data.mixup is for classes"),
        ({"cutmix": 1.0}, "data.cutmix is for classes"),
        ({"balanced": True}, "data.balanced is for classes, but data.name 'digit_strings' has texts; got True"),
        ({"flip_test": True}, "data.flip_test.*mirrored"),
        ({"progressive": {0: 32}}, "data.progressive"),
        ({"subset": Subset(classes=["1"])}, "data.subset.classes"),
        ({"subset": Subset(per_class=3)}, "data.subset.per_class.*fraction"),
        ({"options": {"a": 1}}, "data.options"),
        ({"root": "/photos"}, "data.root is '/photos', but digit strings are generated"),
        ({"strings": Strings(train=1)}, "data.strings.train"),
        ({"batch_size": 0}, "data.batch_size"),
    ],
)
def test_settings_for_classes_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        data.create(Data(**{"name": "digit_strings"} | settings))


def test_a_fraction_of_the_training_images():
    module = opened(subset=Subset(fraction=0.5))
    assert [len(module.splits[name]) for name in ("train", "val", "test")] == [30, 20, 30]
    assert set(module.texts("train")) <= set(opened().texts("train"))


def test_folds_divide_the_training_images(tmp_path, capsys):
    options = [
        "--data.name=digit_strings",
        "--data.strings.train=60",
        "--data.strings.val=20",
        "--data.strings.test=30",
    ]
    assert main(["folds", *options, "--folds=3", "-o", str(tmp_path / "folds.json")]) == 0
    assert "60 training images in 3 folds" in capsys.readouterr().out
    whole = opened().texts("train")
    held = []
    for fold in range(3):
        module = opened(split_file=str(tmp_path / "folds.json"), fold=fold)
        assert [len(module.splits[name]) for name in ("train", "val", "test")] == [40, 20, 30]
        assert sorted([*module.texts("train"), *module.texts("val")]) == sorted(whole)
        held += module.texts("val")
    assert sorted(held) == sorted(whole)


def test_the_fingerprint_is_that_of_images_and_texts():
    first = opened().fingerprint()
    assert first["images"] == {"train": 60, "val": 20, "test": 30}
    assert opened(batch_size=7).fingerprint() == first
    assert opened(strings=Strings(train=60, val=20, test=30, seed=1)).fingerprint() != first
    assert opened(strings=Strings(train=60, val=20, test=30, clutter=5)).fingerprint() != first
