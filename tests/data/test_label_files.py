"""Every format of label files, written by hand or by the library that it comes from."""

import csv
import io
import json
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from cv_attention import data
from cv_attention.config import Data, Text

WORDS = {"a.png": "cat", "b.png": "Dog, 2", "c.png": 'é "ß"', "d.png": " 日本 "}


def picture(path, size=(20, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 100, 0)).save(path)


def save(folder, file, content, *, images=".", names=tuple(WORDS)):
    """Writes a label file and the images that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(content, encoding="utf-8")
    for name in names:
        picture(folder / images / name)


def opened(root, settings=(), **more):
    module = data.create(Data(name="text", root=str(root), batch_size=4, **more, text=Text(**dict(settings))))
    module.setup()
    return module


def pairs(module, split):
    """Returns the texts of a split by the names of their images."""
    images = module.splits[split].images
    return {images.short_name(i).rpartition("/")[2]: text for i, text in enumerate(images.texts)}


def table(columns, rows, **options):
    text = io.StringIO()
    writer = csv.writer(text, **options)
    writer.writerows([columns, *rows])
    return text.getvalue()


def lines(separator):
    return "".join(f"{name}{separator}{text}\n" for name, text in WORDS.items())


CONTENTS = {
    "labels.json": (json.dumps(WORDS), "docTR"),
    "metadata.csv": (table(["file_name", "n", "text"], [[k, 3, v] for k, v in WORDS.items()]), "Hugging Face"),
    "metadata.jsonl": (
        "".join(json.dumps({"file_name": k, "text": v, "n": 3}) + "\n" for k, v in WORDS.items()),
        "Hugging Face",
    ),
    "readings.csv": (
        table(["file_name", "text", "confidence", "cer"], [[k, v, 0.5, ""] for k, v in WORDS.items()]),
        "Hugging Face",
    ),
    "labels.csv": ("filename,words\n" + lines(","), "EasyOCR"),
    "gt.txt": (lines("\t"), "PaddleOCR, clovaai"),
    "labels.txt": (lines("\t"), "PaddleOCR, clovaai"),
    "rec_gt_train.txt": ("\ufeff" + lines("\t").replace("\n", "\r\n"), "PaddleOCR, clovaai"),
    "captions.txt": (table(["image", "caption"], WORDS.items()), "Flickr8k"),
}


@pytest.mark.parametrize("file", CONTENTS)
def test_texts_are_read_to_the_letter(tmp_path, file):
    content, name = CONTENTS[file]
    for split in ("train", "test"):
        save(tmp_path / split, file, content)
    module = opened(tmp_path, val_fraction=0.25)
    assert pairs(module, "test") == WORDS
    assert pairs(module, "train") | pairs(module, "val") == WORDS
    assert module.describe().splitlines()[1] == f"texts: train/{file} ({name}), test/{file} ({name})"
    assert module.alphabet.units == tuple(sorted(set("".join(WORDS.values()))))
    assert module.longest == 6
    batch = module.splits["test"].batch([(0, i) for i in range(4)])
    assert [module.alphabet.decode(row) for row in batch["tokens"].tolist()] == list(WORDS.values())


def test_labels_csv_is_read_like_pandas_in_easyocr(tmp_path):
    """EasyOCR's trainer: ``pd.read_csv(..., sep='^([^,]+),', engine='python', usecols=['filename', 'words'])``."""
    pandas = pytest.importorskip("pandas")
    content = 'filename,words\na.png,one, two\nb.png,"loud"\nc.png,x\n'
    for split in ("train", "test"):
        save(tmp_path / split, "labels.csv", content, names=("a.png", "b.png", "c.png"))
    frame = pandas.read_csv(
        tmp_path / "test/labels.csv", sep="^([^,]+),", engine="python", usecols=["filename", "words"], quoting=3
    )
    assert pairs(opened(tmp_path), "test") == dict(zip(frame["filename"], frame["words"], strict=True))


@pytest.mark.parametrize("images", ["images", "."])
def test_doctr_keeps_images_in_a_folder(tmp_path, images):
    for split in ("train", "val"):
        save(tmp_path / split, "labels.json", json.dumps(WORDS), images=images)
    module = opened(tmp_path)
    assert pairs(module, "test") == WORDS  # the only split besides train


def test_paths_from_the_folder_above_and_files_named_by_the_split(tmp_path):
    """As PaddleOCR's guide lays them out: rec/rec_gt_train.txt and rec/train/word_001.jpg."""
    for split in ("train", "test"):
        names = [f"{split}/{name}" for name in WORDS]
        content = "".join(f"{split}/{name}\t{text}\n" for name, text in WORDS.items())
        save(tmp_path, f"rec_gt_{split}.txt", content, names=names)
    module = opened(tmp_path)
    assert pairs(module, "test") == WORDS
    assert "rec_gt_train.txt (PaddleOCR" in module.describe()
    for split in ("train", "test"):
        (tmp_path / f"rec_gt_{split}.txt").rename(tmp_path / split / "gt.txt")
    assert pairs(opened(tmp_path), "test") == WORDS  # now from the folder above


def test_one_folder_is_divided(tmp_path):
    words = {f"{i}.png": f"{i:03d}" for i in range(100)}
    save(tmp_path, "gt.txt", "".join(f"{k}\t{v}\n" for k, v in words.items()), names=words)
    module = opened(tmp_path, {"test_fraction": 0.2}, val_fraction=0.25)
    parts = {split: pairs(module, split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [60, 20, 20]
    assert parts["train"] | parts["val"] | parts["test"] == words
    other = opened(tmp_path, {"test_fraction": 0.2}, val_fraction=0.25, seed=1)
    assert pairs(other, "test") == parts["test"]
    assert pairs(other, "val") != parts["val"]
    assert other.fingerprint()["fingerprint"] == module.fingerprint()["fingerprint"]


def test_captions_of_an_image_stay_in_one_split(tmp_path):
    rows = [[f"{i}.jpg", f"caption {i} {n}"] for i in range(20) for n in range(5)]
    save(tmp_path, "captions.txt", table(["image", "caption"], rows), images="Images", names={name for name, _ in rows})
    module = opened(tmp_path, {"unit": "word", "unknown": "drop"})
    seen = {}
    for split in ("train", "val", "test"):
        images = module.splits[split].images
        assert len(images)
        for i, text in enumerate(images.texts):
            name = images.short_name(i).rpartition("/")[2]
            assert text.startswith(f"caption {name.removesuffix('.jpg')} ")
            assert seen.setdefault(name, split) == split


def test_texts_in_the_names_of_images(tmp_path):
    """MJSynth's: 12_WORD_345.jpg in numbered folders."""
    for split in ("train", "test"):
        for i, word in enumerate(("SLINKING", "lube", "Rae")):
            picture(tmp_path / split / str(i % 2) / f"{i}_{word}_{7 * i}.jpg")
    module = opened(tmp_path, {"from_name": "_([^_]+)_"})
    assert sorted(module.texts("test")) == ["Rae", "SLINKING", "lube"]
    assert "texts: train (names of the images)" in module.describe()
    picture(tmp_path / "test/0/none.jpg")
    with pytest.raises(ValueError, match=r"finds no text in the name of '.*test/0/none.jpg'"):
        opened(tmp_path, {"from_name": "_([^_]+)_"})


@pytest.mark.parametrize(
    ("pattern", "message"), [("_(", "not a regular expression"), ("_", "one group"), ("(a)(b)", "one group")]
)
def test_a_pattern_has_one_group(pattern, message):
    with pytest.raises(ValueError, match=f"data.text.from_name .*{message}"):
        data.create(Data(name="text", text=Text(from_name=pattern)))


def shard(path, samples):
    """Writes a shard by hand: files of a key one after the other, as WebDataset wants them."""
    with tarfile.open(path, "w") as tar:
        for name, content in samples:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def png(size=(20, 10)):
    content = io.BytesIO()
    Image.new("RGB", size, (200, 100, 0)).save(content, "png")
    return content.getvalue()


def test_shards(tmp_path):
    for split in ("train", "test"):
        for number, words in enumerate((["cat", "dog\n"], ["日本", ""])):
            samples = []
            for i, word in enumerate(words):
                samples += [(f"{number}{i}.png", png()), (f"{number}{i}.txt", word.encode())]
            shard(tmp_path / f"{split}-{number}.tar", samples)
    module = opened(tmp_path, workers=1)
    assert pairs(module, "test") == {"00.png": "cat", "01.png": "dog", "10.png": "日本", "11.png": ""}
    assert "1 texts are empty" in module.describe() or "2 texts are empty" in module.describe()
    assert "texts: train-0.tar, train-1.tar (WebDataset), test-0.tar, test-1.tar (WebDataset)" in module.describe()
    [batch] = module.test_dataloader()
    assert batch["image"].shape == (4, 3, 32, 128)
    module.close()
    assert pairs(opened(tmp_path), "test") == pairs(module, "test")  # from the index


def test_shards_written_by_webdataset(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    for split in ("train", "test"):
        with webdataset.TarWriter(str(tmp_path / f"{split}-0.tar")) as writer:
            for i, word in enumerate(WORDS.values()):
                writer.write({"__key__": f"{i}", "png": png(), "txt": word})
    module = opened(tmp_path)
    assert list(module.texts("test")) == list(WORDS.values())
    read = webdataset.WebDataset(str(tmp_path / "test-0.tar"), shardshuffle=False).decode().to_tuple("txt")
    assert [text for (text,) in read] == list(WORDS.values())


def test_a_shard_without_a_text_is_named(tmp_path):
    for split in ("train", "test"):
        shard(tmp_path / f"{split}-0.tar", [("0.png", png()), ("0.txt", b"a"), ("1.png", png())])
    with pytest.raises(ValueError, match=r"train-0.tar/1.png has no text; expected one in <key>.txt"):
        opened(tmp_path)


def test_a_text_of_a_shard_in_another_encoding_is_named(tmp_path):
    for split in ("train", "test"):
        shard(tmp_path / f"{split}-0.tar", [("0.png", png()), ("0.txt", "é".encode("latin-1"))])
    with pytest.raises(ValueError, match=r"the text of '.*train-0.tar/0.png' is not UTF-8"):
        opened(tmp_path)


def test_iiit5k(tmp_path):
    """Structure arrays as scipy writes them for MATLAB."""
    from scipy.io import savemat

    words = {"train": ["GOOD", "You", "ON"], "test": ["OF", "YES", "GO"]}
    for split, texts in words.items():
        rows = np.zeros((1, 3), [("ImgName", "O"), ("GroundTruth", "O"), ("smallLexi", "O")])
        bounds = np.zeros((1, 3), [("ImgName", "O"), ("chars", "O"), ("charBB", "O")])
        for i, text in enumerate(texts):
            name = f"{split}/{i}.png"
            picture(tmp_path / name, (40, 16))
            rows[0, i] = (name, text, np.array(["X"], object))
            boxes = [[1 + 10 * n, 2, 8, 12] for n in range(len(text))]
            bounds[0, i] = (name, text, np.array(boxes[:1] if text == "GO" else boxes, float))
        savemat(tmp_path / f"{split}data.mat", {f"{split}data": rows})
        savemat(tmp_path / f"{split}CharBound.mat", {f"{split}CharBound": bounds})
    module = opened(tmp_path, {"alphabet": "GODYESNFou"})
    assert list(module.texts("test")) == words["test"]
    assert "texts: traindata.mat (IIIT5K), testdata.mat (IIIT5K)" in module.describe()
    batch = module.splits["test"].batch([(0, 0), (0, 1), (0, 2)])
    # 40×16 becomes 80×32: twice as large
    assert batch["boxes"][0].tolist()[:2] == [[2, 4, 18, 28], [22, 4, 38, 28]]
    assert batch["boxes"].isnan().all(2).tolist() == [
        [False, False, True, True],
        [False, False, False, True],
        [True] * 4,
    ]
    (tmp_path / "testCharBound.mat").unlink()
    assert "boxes" not in opened(tmp_path, {"alphabet": "GODYESNFou"}).splits["test"].batch([(0, 0)])


def test_a_matlab_file_of_something_else_is_named(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "traindata.mat", {"x": np.zeros(3)})
    savemat(tmp_path / "testdata.mat", {"x": np.zeros(3)})
    with pytest.raises(ValueError, match=r"traindata.mat' does not hold the structure array traindata of IIIT5K"):
        opened(tmp_path)
    (tmp_path / "traindata.mat").write_bytes(b"no matrix")
    with pytest.raises(ValueError, match=r"traindata.mat' does not hold"):
        opened(tmp_path)


def test_svhn(tmp_path):
    """HDF5 as MATLAB writes structures: references to values of their own."""
    h5py = pytest.importorskip("h5py")
    numbers = {"1.png": [(10, 0, 3, 9, 12), (2, 11, 3, 9, 12)], "2.png": [(7, 5, 1, 9, 20)]}
    for split in ("train", "test"):
        for name in numbers:
            picture(tmp_path / split / name, (30, 16))
        with h5py.File(tmp_path / split / "digitStruct.mat", "w") as file:
            group, count = file.create_group("#refs#"), iter(range(1000))

            def stored(values, group=group, count=count):
                return group.create_dataset(str(next(count)), data=np.array(values)).ref

            names = [[stored([[ord(letter)] for letter in name])] for name in numbers]
            boxes = []
            for digits in numbers.values():
                box = group.create_group(str(next(count)))
                boxes.append([box.ref])
                for place, part in enumerate(("label", "left", "top", "width", "height")):
                    values = [float(digit[place]) for digit in digits]
                    if len(values) == 1:
                        box.create_dataset(part, data=[values])
                    else:
                        references = [[stored([[value]])] for value in values]
                        box.create_dataset(part, data=np.array(references, h5py.ref_dtype))
            file.create_dataset("digitStruct/name", data=np.array(names, h5py.ref_dtype))
            file.create_dataset("digitStruct/bbox", data=np.array(boxes, h5py.ref_dtype))
    module = opened(tmp_path, val_fraction=0.5)
    assert list(module.texts("test")) == ["02", "7"]
    assert "test/digitStruct.mat (SVHN)" in module.describe()
    batch = module.splits["test"].batch([(0, 0), (0, 1)])  # 30×16 becomes 60×32; MATLAB counts from 1
    assert batch["boxes"][0, :2].tolist() == [[0, 4, 16, 28], [20, 4, 38, 28]]
    assert batch["boxes"][1, 0].tolist() == [8, 0, 26, 32]  # the part within the image
    (tmp_path / "train/digitStruct.mat").write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"train/digitStruct.mat' is not SVHN's digitStruct.mat"):
        opened(tmp_path)


def database(lmdb, folder, entries, count=None):
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 20) as base, base.begin(write=True) as write:
        for i, (image, text) in enumerate(entries, 1):
            write.put(b"image-%09d" % i, image)
            write.put(b"label-%09d" % i, text)
        write.put(b"num-samples", b"%d" % (len(entries) if count is None else count))


def test_lmdb(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    for split in ("train", "test"):
        database(lmdb, tmp_path / split, [(png(), word.encode()) for word in WORDS.values()])
    module = opened(tmp_path, workers=2)
    assert list(module.texts("test")) == list(WORDS.values())
    assert "test/data.mdb (LMDB)" in module.describe()
    batches = [batch for loader in (module.train_dataloader(), module.test_dataloader()) for batch in loader]
    assert sum(len(batch["index"]) for batch in batches) == 7
    module.close()
    assert opened(tmp_path).fingerprint() == module.fingerprint()


def test_a_damaged_database_is_named(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    database(lmdb, tmp_path / "train", [(png(), b"a"), (png(), b"b")], count=3)
    database(lmdb, tmp_path / "test", [(png(), b"a")])
    with pytest.raises(ValueError, match=r"train' holds 3 images, but no label-000000003"):
        opened(tmp_path)
    (tmp_path / "train/data.mdb").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"train' is not an intact LMDB database"):
        opened(tmp_path)


@pytest.mark.parametrize("file", ["digitStruct.mat", "data.mdb"])
def test_an_extra_that_is_missing_is_named(tmp_path, monkeypatch, file):
    monkeypatch.setattr("cv_attention.extras.find_spec", lambda name: None)
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / file).write_bytes(b"x")
    extra = {"digitStruct.mat": "svhn", "data.mdb": "lmdb"}[file]
    with pytest.raises(ValueError, match=re.escape(f"cv_attention[{extra}]")):
        opened(tmp_path)


def test_a_folder_without_a_label_file_names_what_is_expected(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"has no label file.*labels.json, metadata.csv.*from_name; got a.png"):
        opened(tmp_path)
    with pytest.raises(FileNotFoundError, match="folder not found"):
        opened(tmp_path / "nowhere")


def test_a_split_without_a_label_file_is_named(tmp_path):
    save(tmp_path / "train", "gt.txt", lines("\t"))
    picture(tmp_path / "val/a.png")
    with pytest.raises(ValueError, match=r"val' has no label file"):
        opened(tmp_path)
