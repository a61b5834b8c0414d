"""Images whose classes are in a table, and data sets without a test split."""

import csv
import json
import os
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from cv_attention.cli import main
from cv_attention.config import Data, Subset, Table
from cv_attention.data import create, divisible
from cv_attention.data.tables.sheets import read_table

CLASSES = ("ant", "bee", "cat")


def pictures(folder: Path, count: int = 30) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.full((8, 8, 3), (number, 7 * number % 256, 200), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels[..., ::-1])
    return [f"{number}.png" for number in range(count)]


def write(file: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return file


def listed(tmp_path: Path, **columns: list[str]) -> list[dict[str, str]]:
    names = pictures(tmp_path / "images")
    rows = [{"path": f"images/{name}", "label": CLASSES[i % 3]} for i, name in enumerate(names)]
    for column, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[column] = value
    return rows


def opened(root: Path, **options):
    module = create(Data(name="table", root=str(root), **options))
    module.setup()
    return module


def pixel(module, split: str, index: int) -> int:
    """The number of the picture, which its red channel holds."""
    return int(module.splits[split].images.read(index)[0, 0, 0])


def test_paths_as_windows_writes_them(tmp_path):
    """With a byte-order mark, CRLF and backslashes, as Excel writes them, in a folder with spaces and umlauts."""
    root = tmp_path / "Meine Bilder (1) & mehr"
    names = pictures(root / "Köln" / "fotos")
    rows = "".join(f"K\u00f6ln\\fotos\\{name};{CLASSES[i % 3]}\r\n" for i, name in enumerate(names))
    (root / "labels.csv").write_bytes(("\ufeffpath;label\r\n" + rows).encode())
    module = opened(root / "labels.csv", test_fraction=0.2)
    assert module.class_names == list(CLASSES)
    images = module.splits["test"].images
    assert [pixel(module, "test", i) % 3 for i in range(len(images))] == images.labels.tolist()
    (root / "labels.csv").write_text("path,label\nD:\\fotos\\1.png,ant\n")
    with pytest.raises(FileNotFoundError, match=r"image not found: 'D:.*png' in .*; paths must .* not with a drive"):
        opened(root / "labels.csv", test_fraction=0.2)


def test_images_in_a_folder_next_to_the_table(tmp_path):
    names = pictures(tmp_path / "photos")
    pictures(tmp_path / "others", 3)  # has fewer of them
    (tmp_path / ".cache").mkdir()
    write(tmp_path / "labels.csv", [{"path": name, "label": CLASSES[i % 3]} for i, name in enumerate(names)])
    module = opened(tmp_path / "labels.csv", test_fraction=0.2)
    images = module.splits["train"].images
    assert [pixel(module, "train", i) % 3 for i in range(len(images))] == images.labels.tolist()
    assert {Path(images.path(i)).parent.name for i in range(len(images))} == {"photos"}


SPLITS = ["train"] * 18 + ["valid"] * 6 + ["Test "] * 6


@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "jsonl", "json", "parquet"])
def test_every_kind_of_table(kind, tmp_path):
    rows = listed(tmp_path, split=SPLITS)
    file = tmp_path / f"labels.{'csv' if kind == 'semicolons' else kind}"
    if kind in ("csv", "semicolons", "tsv"):
        write(file, rows, {"csv": ",", "semicolons": ";", "tsv": "\t"}[kind])
    elif kind == "jsonl":
        file.write_text("\n".join(json.dumps(row) for row in rows))
    elif kind == "json":
        file.write_text(json.dumps(rows))
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        table = pytest.importorskip("pyarrow").Table.from_pylist(rows)
        parquet.write_table(table, file)
    module = opened(file)
    assert module.class_names == list(CLASSES)
    assert {name: len(split) for name, split in module.splits.items()} == {"train": 18, "val": 6, "test": 6}
    for split, first in (("train", 0), ("val", 18), ("test", 24)):
        images = module.splits[split].images
        for index in range(len(images)):
            assert pixel(module, split, index) == first + index
            assert images.labels[index] == (first + index) % 3


def test_a_folder_with_a_table_for_each_split(tmp_path):
    rows = listed(tmp_path)
    for name, part in (("train", rows[:20]), ("test", rows[20:])):
        write(tmp_path / f"{name}.csv", part)
    module = opened(tmp_path, val_fraction=0.25)
    assert {name: len(split) for name, split in module.splits.items()} == {"train": 14, "val": 6, "test": 10}
    assert sorted(pixel(module, "test", index) for index in range(10)) == list(range(20, 30))


def test_columns_folder_and_suffix(tmp_path):
    names = pictures(tmp_path / "photos" / "deep")
    rows = [{"id": f"deep/{Path(name).stem}", "dx": str(int(i % 12))} for i, name in enumerate(names)]
    file = write(tmp_path / "meta.csv", rows)
    table = Table(image="id", label="dx", folder=str(tmp_path / "photos"), suffix=".png")
    module = opened(file, table=table, test_fraction=0.4)
    assert module.class_names == [str(number) for number in range(12)]  # by size: 2 before 10


def test_held_out_test_images_are_the_same_again_and_of_every_class(tmp_path):
    file = write(tmp_path / "labels.csv", listed(tmp_path))
    first, again = (opened(file, test_fraction=0.3, val_fraction=0.2) for _ in range(2))
    other = opened(file, test_fraction=0.3, val_fraction=0.2, seed=1)
    numbers = [sorted(pixel(each, "test", i) for i in range(9)) for each in (first, again, other)]
    assert numbers[0] == numbers[1] != numbers[2]
    assert np.bincount(first.splits["test"].images.labels).tolist() == [3, 3, 3]
    every = [pixel(first, name, i) for name, split in first.splits.items() for i in range(len(split))]
    assert sorted(every) == list(range(30))


def test_groups_stay_together(tmp_path):
    patients = [f"patient {number // 3}" for number in range(30)]  # three images each, one of every class
    file = write(tmp_path / "labels.csv", listed(tmp_path, patient=patients))
    module = opened(file, table=Table(group="patient"), test_fraction=0.3, val_fraction=0.25)
    found = {name: {pixel(module, name, i) // 3 for i in range(len(split))} for name, split in module.splits.items()}
    assert len(found["test"]) == 3
    assert all(len(module.splits[name]) == 3 * len(found[name]) for name in found)
    assert not found["train"] & found["val"] | found["train"] & found["test"] | found["val"] & found["test"]
    labels, groups = divisible(module.config)
    assert groups is not None
    assert len(labels) == len(groups)
    assert len(np.unique(groups)) == 7
    with pytest.raises(ValueError, match=r"2 groups of training images are too few to hold out 0\.1 of them"):
        opened(write(tmp_path / "two.csv", listed(tmp_path, patient=["a", "b"] * 15)), test_fraction=0.1,
               table=Table(group="patient"))  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[4].pop("label"), "line 6 has no label"),
        (lambda rows: rows[4].update(path=""), "line 6 has no path"),
        (lambda rows: rows[4].update(path="images/none.png"), "line 6: image not found"),
        (lambda rows: rows[4].update(path="../../etc/passwd"), "leads out of the data set's folder"),
        (lambda rows: rows[4].update(path=rows[2]["path"]), "line 6: .* twice, also in line 4, there with .*'cat'"),
        (lambda rows: rows[4].update(split="holdout"), "line 6: split must be one of train, .* got 'holdout'"),
        (lambda rows: rows[29].update(label="dog"), "line 31: the class 'dog' has no training images"),
        (lambda rows: [row.update(split="test") for row in rows], "no training images"),
        (lambda rows: [row.update(split="train") for row in rows], "no test images: set data.test_fraction"),
        (lambda rows: [row.update(what=row.pop("label")) for row in rows], "name one of them as data.table.label"),
    ],
)  # fmt: skip
def test_rows_that_are_wrong_are_named(change, message, tmp_path):
    rows = listed(tmp_path, split=SPLITS)
    change(rows)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        opened(write(tmp_path / "labels.csv", rows))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"path,label\n", "a header, but no rows"),
        ("a.csv", b"path,label\n1.png,a,b\n", "line 2 has 3 fields, but the header has 2"),
        ("a.csv", b"path,path\n1.png,a\n", "several columns 'path'"),
        ("a.csv", b"path,label\n\xff.png,a\n", "line 2 is not UTF-8"),
        ("a.csv", b'path,label\n"1.png,a\n', "line 2"),
        ("a.jsonl", b"[1]\n", "line 1 must be an object"),
        ("a.json", b'{"path": 1}', "must be a list of objects"),
        ("a.json", b"[" * 100000, "not valid JSON"),
        ("a.csv", b"\xef\xbb\xbf\n", "is empty"),
        ("a.json", b"[{}]", "is empty"),
        ("a.jsonl", b'{"path": "0.png", "path": "1.png", "label": "a"}', "'path' stands twice"),
        ("a.jsonl", b"".join(b'{"%d": 1}\n' % i for i in range(200)), "200 different names in 200 rows"),
        ("a.parquet", b"PAR1 no", "not an intact Parquet file"),
        ("a.xlsx", b"PK", "not a table that can be read"),
    ],
)
def test_hostile_tables(name, content, message, tmp_path):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        opened(tmp_path / name)


def test_a_damaged_parquet_file_is_one_line_that_names_it(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = tmp_path / "a.parquet"
    columns = {"path": [f"{number}.png" for number in range(100)], "label": list(range(100))}
    parquet.write_table(pyarrow.table(columns), file)
    intact, draw, said = file.read_bytes(), np.random.default_rng(0), []
    for _ in range(200):
        damaged = bytearray(intact)
        damaged[int(draw.integers(len(damaged)))] ^= 1 << int(draw.integers(8))
        file.write_bytes(damaged)
        try:
            read_table(file)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 50
    assert all(str(file) in line and "\n" not in line for line in said)
    many = pyarrow.repeat("0.png", 2_000_000)
    parquet.write_table(pyarrow.table({"path": many, "label": many}), file)
    with pytest.raises(ValueError, match=r"claims 2,000,000 rows in"):
        read_table(file)


def test_texts_that_a_parquet_file_holds_as_bytes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"path": ["ä.png".encode()], "label": [b"a"]}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").columns == {"path": ["ä.png"], "label": ["a"]}


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.parquet"])
def test_a_pipe_is_no_table(name, tmp_path):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match="is a named pipe"):
        opened(tmp_path / name)


def test_which_table_of_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no table"):
        opened(tmp_path)
    write(tmp_path / "a.csv", listed(tmp_path))
    assert len(opened(tmp_path, test_fraction=0.5).splits["test"]) == 15
    write(tmp_path / "b.csv", listed(tmp_path))
    with pytest.raises(ValueError, match=r"several tables: a\.csv, b\.csv; name one of them"):
        opened(tmp_path)
    with pytest.raises(ValueError, match=r"data\.table\.label: .* has no column 'labl'.*label"):
        opened(tmp_path / "a.csv", table=Table(label="labl"))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_imagefolders_of_hugging_face(kind, tmp_path):
    """A table in the folder of each split, or one for all of them."""

    def save(file: Path, names: list[str], first: int) -> None:
        rows = [{"file_name": name, "label": CLASSES[(first + i) % 3]} for i, name in enumerate(names)]
        if kind == "csv":
            write(file, rows)
        else:
            file.write_text("\n".join(map(json.dumps, rows)))

    names = pictures(tmp_path / "all", 30)
    for split, own in (("train", names[:18]), ("validation", names[18:24]), ("test", names[24:])):
        (tmp_path / "own" / split / "deep").mkdir(parents=True)
        for name in own:
            (tmp_path / "all" / name).rename(tmp_path / "own" / split / "deep" / name)
        save(tmp_path / "own" / split / f"metadata.{kind}", [f"deep/{name}" for name in own], int(own[0][:-4]))
    module = opened(tmp_path / "own")
    assert {name: len(split) for name, split in module.splits.items()} == {"train": 18, "val": 6, "test": 6}
    for split, first in (("train", 0), ("val", 18), ("test", 24)):
        assert [pixel(module, split, i) for i in range(6)] == list(range(first, first + 6))
        assert module.splits[split].images.labels[:3].tolist() == [first % 3, (first + 1) % 3, (first + 2) % 3]
    for file in (tmp_path / "own").glob(f"*/metadata.{kind}"):
        file.unlink()
    paths = sorted((path for path in tmp_path.glob("own/*/deep/*")), key=lambda path: int(path.stem))
    save(tmp_path / f"own/metadata.{kind}", [path.relative_to(tmp_path / "own").as_posix() for path in paths], 0)
    again = opened(tmp_path / "own")
    assert [pixel(again, "test", i) for i in range(6)] == list(range(24, 30))


def test_an_imagefolder_leads_out_of_no_folder(tmp_path):
    for split in ("train", "test"):
        names = pictures(tmp_path / split, 6)
        write(
            tmp_path / split / "metadata.csv", [{"file_name": n, "label": CLASSES[i % 2]} for i, n in enumerate(names)]
        )
    assert len(opened(tmp_path, val_fraction=0.4).splits["test"]) == 6
    write(tmp_path / "test/metadata.csv", [{"file_name": "../train/0.png", "label": "ant"}])
    with pytest.raises(ValueError, match=r"'\.\./train/0\.png' is listed twice"):
        opened(tmp_path)
    write(tmp_path / "test/metadata.csv", [{"file_name": "../../x.png", "label": "ant"}])
    with pytest.raises(ValueError, match="leads out of the data set's folder"):
        opened(tmp_path)
    (tmp_path / "test/metadata.jsonl").write_text('{"file_name": "0.png", "label": "ant"}')
    with pytest.raises(ValueError, match="several tables of test"):
        opened(tmp_path)


def test_values_are_texts(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"path": "1.png", "label": 3}\n{"path": "2.png", "label": null, "more": [1]}\n')
    sheet = read_table(tmp_path / "a.jsonl")
    assert sheet.columns == {"path": ["1.png", "2.png"], "label": ["3", ""], "more": ["", "[1]"]}


@pytest.mark.filterwarnings("ignore:data.on_error skip")
def test_chosen_classes_and_broken_images(tmp_path):
    rows = listed(tmp_path, split=SPLITS)
    (tmp_path / "images/0.png").write_bytes(b"broken")
    file = write(tmp_path / "labels.csv", rows)
    module = opened(file, on_error="skip", subset=Subset(classes=["ant", "cat"]))
    assert module.class_names == ["ant", "cat"]
    assert {name: len(split) for name, split in module.splits.items()} == {"train": 11, "val": 4, "test": 4}
    assert "0.png" in module.left_out["train"][0]


def test_folders_of_classes_without_splits(tmp_path):
    for name in CLASSES:
        pictures(tmp_path / name, 10)
    with pytest.raises(ValueError, match=r"to hold out test images of each class, set data\.test_fraction"):
        create(Data(name="folder", root=str(tmp_path))).setup()
    module = create(Data(name="folder", root=str(tmp_path), test_fraction=0.2, val_fraction=0.25))
    module.setup()
    assert {name: len(split) for name, split in module.splits.items()} == {"train": 18, "val": 6, "test": 6}
    assert module.class_names == list(CLASSES)


def test_a_folder_train_alone(tmp_path):
    for name in CLASSES:
        pictures(tmp_path / "train" / name, 10)
    with pytest.raises(ValueError, match=r"got train; to hold out test images of each class, set data\.test_fraction"):
        create(Data(name="folder", root=str(tmp_path))).setup()
    module = create(Data(name="folder", root=str(tmp_path), test_fraction=0.5))
    module.setup()
    assert len(module.splits["test"]) == 15


def test_shards_of_train_alone(tmp_path):
    names = pictures(tmp_path / "images", 10)
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        for number, name in enumerate(names):
            label = tmp_path / f"{number}.cls"
            label.write_text(str(number % 2))
            archive.add(tmp_path / "images" / name, f"{number}.png")
            archive.add(label, label.name)
    with pytest.raises(ValueError, match=r"set data\.test_fraction"):
        create(Data(name="webdataset", root=str(tmp_path))).setup()
    module = create(Data(name="webdataset", root=str(tmp_path), test_fraction=0.4))
    module.setup()
    assert {name: len(split) for name, split in module.splits.items()} == {"train": 4, "val": 2, "test": 4}


def test_from_the_command_line(tmp_path, capsys):
    file = write(tmp_path / "labels.csv", listed(tmp_path))
    network = ["--model.backbone", "convnet", "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"]
    data = ["--data.name", "table", "--data.test_fraction", "0.3", "--data.batch_size", "8", "--log.saliency", "[]"]
    run = tmp_path / "runs"
    assert main(["fit", *data, "--data.root", str(file), *network, "--log.root", str(run), "--log.name", "one"]) == 0
    assert "table: 18 train, 3 val, 9 test images of 3 classes, 8×8" in capsys.readouterr().out
    assert main(["test", str(run / "one")]) == 0
    assert main(["fit", *data, "--data.root", str(tmp_path / "none.csv")]) == 2
    assert "data.root: table not found" in capsys.readouterr().err
