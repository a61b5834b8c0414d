"""Shards read at random places, against WebDataset's own reading of the same files and against a folder."""

import gc
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cv_attention.config import Data, Subset
from cv_attention.data import ImageError, create, read_image
from cv_attention.data.sources.archives import read_member
from cv_attention.data.sources.webdataset import load

NAMES = ["ant", "bee", "cat"]


def encoded(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def shard(path: Path, numbers: range, mode: str = "w") -> Path:
    """An image and its class for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for number in numbers:
            add(tar, f"{number:06d}.png", encoded(number))
            add(tar, f"{number:06d}.cls", b"%d" % (number % 3))
    return path


@pytest.fixture
def root(tmp_path):
    shard(tmp_path / "train-000000.tar", range(20))
    shard(tmp_path / "train-000001.tar", range(20, 30))
    shard(tmp_path / "val-000000.tar", range(30, 39))
    shard(tmp_path / "test-000000.tar", range(39, 46))
    (tmp_path / "classes.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_images_and_labels_are_those_of_webdataset_itself(root):
    import webdataset

    names, images = load(str(root), Subset())
    assert names == NAMES
    paths = [str(path) for path in sorted(root.glob("train-*.tar"))]
    stream: Any = webdataset
    samples = list(stream.WebDataset(paths, shardshuffle=False).decode("rgb8"))
    gc.collect()
    assert len(samples) == len(images["train"]) == 30
    for i, sample in enumerate(samples):
        np.testing.assert_array_equal(images["train"].read(i), sample["png"])
        assert images["train"].labels[i] == sample["cls"]
        assert images["train"].short_name(i) == f"{sample['__key__']}.png"


def test_shards_train_like_a_folder_of_the_same_images(root, tmp_path):
    folder = tmp_path / "folder"
    for split, numbers in {"train": range(30), "val": range(30, 39), "test": range(39, 46)}.items():
        for number in numbers:
            place = folder / split / NAMES[number % 3]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:06d}.png").write_bytes(encoded(number))
    shards = create(Data(name="webdataset", root=str(root), batch_size=4))
    files = create(Data(name="folder", root=str(folder), batch_size=4))
    for module in (shards, files):
        module.setup()
    assert shards.describe().partition(": ")[2] == files.describe().partition(": ")[2]
    for split in ("val", "test"):
        found = {batch["image"][i].numpy().tobytes(): int(batch["label"][i])
                 for batch in getattr(shards, f"{split}_dataloader")() for i in range(len(batch["label"]))}  # fmt: skip
        images = files.splits[split].images
        assert len(found) == len(images)
        for i in range(len(images)):
            key = np.ascontiguousarray(images.read(i).transpose(2, 0, 1)).tobytes()
            assert found[key] == images.labels[i]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_image_once_an_epoch_with_any_workers(workers, root):
    module = create(Data(name="webdataset", root=str(root), batch_size=4, workers=workers))
    module.setup()
    seen = [int(index) for batch in module.train_dataloader() for index in batch["index"]]
    assert len(set(seen)) == len(seen) == 28  # whole batches of four
    assert sorted(int(i) for batch in module.val_dataloader() for i in batch["index"]) == list(range(9))


def test_a_key_ends_at_the_first_dot_of_the_file_name(root):
    with tarfile.open(root / "train-000000.tar", "w") as tar:
        add(tar, "a.folder/1.left.png", encoded(1))
        add(tar, "a.folder/1.right.png", encoded(2))
        add(tar, "a.folder/1.cls", b"2")
        add(tar, "b.folder/1.png", encoded(3))
        add(tar, "b.folder/1.cls", b"0")
    images = load(str(root), Subset())[1]["train"]
    assert images.labels[:3].tolist() == [2, 2, 0]


def test_the_index_is_kept_and_renewed(root):
    load(str(root), Subset())
    before = sorted((root / ".cv_attention").glob("*.npz"))
    load(str(root), Subset())
    assert sorted((root / ".cv_attention").glob("*.npz")) == before
    shard(root / "val-000000.tar", range(60, 64))
    assert len(load(str(root), Subset())[1]["val"]) == 4


@pytest.mark.parametrize("there", [("train", "val"), ("train", "test"), ("train", "val", "test")])
def test_no_image_is_in_two_splits(there, root):
    """Where there is one split besides train, it is the test split, and some of train are held out for validation."""
    for split in {"val", "test"} - {*there}:
        (root / f"{split}-000000.tar").unlink()
    module = create(Data(name="webdataset", root=str(root), val_fraction=0.2))
    module.setup()
    named = {
        split: [images.images.short_name(i) for i in range(len(images))] for split, images in module.splits.items()
    }
    every = [name for names in named.values() for name in names]
    assert len(set(every)) == len(every)
    tested = range(30, 39) if "test" not in there else range(39, 46)
    assert named["test"] == [f"{number:06d}.png" for number in tested]
    assert len(named["val"]) == (9 if len(there) == 3 else 6)
    assert len(named["train"]) + len(named["val"]) == (39 if len(there) == 3 else 30)


def test_classes_without_names_are_numbers_and_can_be_chosen(root):
    (root / "classes.txt").unlink()
    names, images = load(str(root), Subset(classes=["2", "0"]))
    assert names == ["0", "2"]
    assert set(images["train"].labels) == {0, 1}
    expected = [number for number in range(30) if number % 3 != 1]
    assert [images["train"].short_name(i) for i in range(20)] == [f"{n:06d}.png" for n in expected]


def test_a_copy_in_another_process_reads_the_same(root):
    images = load(str(root), Subset())[1]["train"]
    again = pickle.loads(pickle.dumps(images))
    np.testing.assert_array_equal(again.read(7), images.read(7))


def test_a_damaged_image_is_named(root):
    with tarfile.open(root / "train-000002.tar", "w") as tar:
        add(tar, "900000.png", b"no picture")
        add(tar, "900000.cls", b"0")
    images = load(str(root), Subset())[1]["train"]
    with pytest.raises(ImageError, match=r"train-000002\.tar/900000\.png"):
        images.read(30)


def unlabelled(root: Path) -> None:
    with tarfile.open(root / "train-000000.tar", "w") as tar:
        add(tar, "1.png", encoded(1))


def cut(root: Path) -> None:
    path = root / "train-000000.tar"
    path.write_bytes(path.read_bytes()[:5000])


def labelled(label: bytes, *more: str) -> Callable[[Path], None]:
    """Writes an archive of one image with this class, and of further members."""

    def write(root: Path) -> None:
        with tarfile.open(root / "train-000000.tar", "w") as tar:
            add(tar, "1.png", encoded(1))
            add(tar, "1.cls", label)
            for name in more:
                add(tar, name, encoded(2) if name.endswith(".png") else b"2")

    return write


def unnamed(label: bytes) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / "classes.txt").unlink()
        labelled(label)(root)

    return write


MISTAKES = {
    "absurd class": (labelled(b"999999999"), ["train-000000.tar/1.png", "999999999", "the maximum is 1000000"]),
    "class of 25 digits": (labelled(b"9" * 25), ["train-000000.tar/1.png", "9" * 25]),
    "class out of reach": (unnamed(b"20000"), ["labels up to 20000", "classes.txt"]),
    "an image twice": (labelled(b"1", "1.png"), ["train-000000.tar", "1.png twice"]),
    "a class twice": (labelled(b"1", "1.cls"), ["train-000000.tar", "1.cls twice"]),
    "no split": (lambda root: [path.unlink() for path in root.glob("train*")], ["train-*.tar", "val-000000.tar"]),
    "only train": (lambda root: [path.unlink() for path in root.glob("[vt][ae][ls]*.tar")], ["got ", "train-0"]),
    "no class": (unlabelled, ["train-000000.tar/1.png", ".cls"]),
    "cut short": (cut, ["train-000000.tar", "damaged"]),
    "compressed": (lambda root: shard(root / "train-000000.tar", range(3), "w:gz"), ["compressed"]),
    "too few names": (lambda root: (root / "classes.txt").write_text("ant\nbee\n"), ["names 2 classes", "up to 2"]),
    "a name twice": (lambda root: (root / "classes.txt").write_text("ant\nbee\nant\n"), ["twice: ant"]),
}


@pytest.mark.parametrize(("spoil", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(spoil, words, root):
    spoil(root)
    with pytest.raises(ValueError) as caught:  # the words are checked below
        load(str(root), Subset())
    assert all(word in str(caught.value) for word in words), caught.value
    assert not list((root / ".cv_attention").glob("*.partial"))


def test_a_picture_of_an_archive_is_the_picture_of_a_file(root, tmp_path):
    (tmp_path / "one.png").write_bytes(encoded(3))
    np.testing.assert_array_equal(load(str(root), Subset())[1]["train"].read(3), read_image(tmp_path / "one.png"))


def named(root: Path, entries: dict[str, bytes], archive: str = "train-000000.tar") -> Path:
    root.mkdir(exist_ok=True)
    with tarfile.open(root / archive, "w") as tar:
        for number in range(6):
            add(tar, f"{number}.png", encoded(number))
            for suffix, content in entries.items():
                add(tar, f"{number}.{suffix}", content.replace(b"NAME", [b"bee", b"ant", b"cat\n"][number % 3].strip()))
    return root


STATED = {
    "text": {"cls": b"NAME\n"},
    "json": {"json": b'{"key": "1", "caption": "x", "label": "NAME"}'},
    "json, and a caption": {"txt": b"a NAME", "json": b'{"Category": "NAME"}'},
    "cls before json": {"cls": b"NAME", "json": b'{"label": "other"}'},
}


@pytest.mark.parametrize("entries", STATED.values(), ids=STATED)
def test_classes_with_names(entries, tmp_path):
    named(tmp_path, entries)
    named(tmp_path, entries, "test-000000.tar")
    names, images = load(str(tmp_path), Subset())
    assert names == ["ant", "bee", "cat"]
    for split in ("train", "test"):
        assert images[split].labels.tolist() == [1, 0, 2, 1, 0, 2]
        np.testing.assert_array_equal(images[split].read(4), read_image_of(4))
    (tmp_path / "classes.txt").write_text("cat\nbee\nant\n")
    names, images = load(str(tmp_path), Subset(classes=["cat", "ant"]))
    assert names == ["cat", "ant"]
    assert images["train"].labels.tolist() == [1, 0, 1, 0]


def read_image_of(number: int) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(encoded(number), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_archives_as_img2dataset_writes_them(tmp_path):
    named(tmp_path, {"json": b'{"url": "https://x", "status": "success", "kind": "NAME", "width": 16}'}, "00000.tar")
    (tmp_path / "00000_stats.json").write_text("{}")
    with pytest.raises(ValueError, match=r"data\.test_fraction"):
        load(str(tmp_path), Subset())
    with pytest.raises(ValueError, match=r"00000\.tar/0\.png has no class; expected .* label or cls .* of <key>\.json"):
        load(str(tmp_path), Subset(), alone=True)
    names, images = load(str(tmp_path), Subset(), alone=True, field="kind")
    assert names == ["ant", "bee", "cat"]
    assert images["train"].labels.tolist() == [1, 0, 2, 1, 0, 2]


def test_mistakes_in_named_classes(tmp_path):
    named(tmp_path, {"cls": b"NAME"})
    named(tmp_path, {"cls": b"dog"}, "test-000000.tar")
    with pytest.raises(ValueError, match="the class 'dog' has no training images"):
        load(str(tmp_path), Subset())
    named(tmp_path, {"cls": b"1"}, "test-000000.tar")
    with pytest.raises(ValueError, match=r"of train in .* name classes, and those of another split number them"):
        load(str(tmp_path), Subset())
    named(tmp_path, {"json": b'{"label": '}, "test-000000.tar")
    with pytest.raises(ValueError, match=r"0\.json is not valid JSON"):
        load(str(tmp_path), Subset())
    (tmp_path / "classes.txt").write_text("ant\nbee\n")
    named(tmp_path, {"cls": b"NAME"}, "test-000000.tar")
    with pytest.raises(ValueError, match="the class 'cat', which"):
        load(str(tmp_path), Subset())


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[::-1]])
def test_a_damaged_index_is_made_once_more(damage, root):
    images = load(str(root), Subset())[1]["train"]
    before = images.read(7)
    index = images.storage.index
    index.write_bytes(damage(index.read_bytes()))
    np.testing.assert_array_equal(load(str(root), Subset())[1]["train"].read(7), before)


@pytest.mark.parametrize("name", ["archive", "offset", "size", "label", "name"])
@pytest.mark.parametrize(
    "change",
    [
        lambda values: np.arange(len(values)) - 5,
        lambda values: np.arange(len(values)) / 2,
        lambda values: values.astype("U"),
        lambda values: values[:-1],
        lambda values: values[:, None],
        lambda values: values[0],
        None,
    ],
    ids=["negative", "fractions", "texts", "one fewer", "two axes", "a single one", "missing"],
)
def test_an_index_with_arrays_of_another_kind_is_made_once_more(name, change, root):
    """Intact archives of arrays, which other programs may have written."""
    images = load(str(root), Subset())[1]["train"]
    before, index = [images.read(row) for row in range(len(images))], images.storage.index
    with np.load(index) as stored:
        arrays = {key: stored[key] for key in stored.files if change or key != name}
    if change:
        arrays[name] = change(arrays[name])
    np.savez(index, **arrays)
    again = load(str(root), Subset())[1]["train"]
    for row, pixels in enumerate(before):
        np.testing.assert_array_equal(again.read(row), pixels)
    assert again.labels.tolist() == images.labels.tolist()
    names, same = ([each.storage.name(row) for row in range(len(before))] for each in (images, again))
    assert same == names


@pytest.mark.parametrize("name", ["archive", "offset", "size"])
@pytest.mark.parametrize("more", [2**20, 2**40, 2**62])
def test_an_index_of_places_beyond_the_archives_is_made_once_more(name, more, root):
    """Otherwise the archives would be called damaged, which they are not."""
    images = load(str(root), Subset())[1]["train"]
    before, index = [images.read(row) for row in range(len(images))], images.storage.index
    with np.load(index) as stored:
        arrays = {**stored}
    arrays[name] = arrays[name].astype(np.int64)
    arrays[name][3] += more
    np.savez(index, **arrays)
    again = load(str(root), Subset())[1]["train"]
    for row, pixels in enumerate(before):
        np.testing.assert_array_equal(again.read(row), pixels)


def test_a_folder_in_the_place_of_the_index_is_named(root):
    index = load(str(root), Subset())[1]["train"].storage.index
    index.unlink()
    index.mkdir()
    with pytest.raises(ValueError, match=rf"data\.root: '{index}' cannot be written: Is a directory"):
        load(str(root), Subset())


def test_content_is_read_to_the_byte_or_refused(tmp_path):
    """Of an archive that was cut anywhere, an image or its first bytes are read whole, or an error says so."""
    content, start = bytes(range(64)), 100
    file = tmp_path / "cut.tar"
    for end in (0, 99, 100, 101, 163, 164, 165, 200):
        file.write_bytes((b"-" * start + content + b"-" * 36)[:end])
        with file.open("rb") as opened:
            for size, most in ((64, 1 << 30), (64, 64), (64, 10), (64, 1), (1, 8)):
                wanted = min(size, most)
                if end >= start + wanted:
                    assert read_member(opened.fileno(), start, size, "a.png", most) == content[:wanted]
                else:
                    with pytest.raises(ImageError, match=r"'a\.png' is empty, truncated or damaged"):
                        read_member(opened.fileno(), start, size, "a.png", most)
            for offset, size in ((start, 0), (-1, 8), (start, -8)):
                with pytest.raises(ImageError, match=r"'a\.png' is empty, truncated or damaged"):
                    read_member(opened.fileno(), offset, size, "a.png")
