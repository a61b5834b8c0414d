"""Tables, folders and arrays as people have them: other separators, other systems' names, the wrong `data.name`."""

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from cv_attention.cli import main
from cv_attention.config import Data, Table
from cv_attention.data.datamodule import ImageData, load
from cv_attention.data.guessing import other_kind
from cv_attention.data.tables.sheets import read_table

CLASSES = ("ant", "bee")


def pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        side = 8 + number % 3  # photographs have many sizes
        assert cv2.imwrite(str(folder / "x.png"), np.full((side, 9, 3), 10 * number, np.uint8))
        (folder / "x.png").rename(folder / name)


def opened(root: Path, text: str | bytes, name: str = "labels.csv", **options):
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(Data(name="table", root=str(root / name), test_fraction=0.25, **options))


def rows(names: list[str], sign: str = ",") -> str:
    return "".join(f"{name}{sign}{CLASSES[number % 2]}\n" for number, name in enumerate(names))


NAMES = [f"{number}.png" for number in range(16)]


@pytest.mark.parametrize(("head", "sign"), [
    ("path;label;note, if any\n", ";"), ("sep=;\r\npath;label\n", ";"), ("sep=|\npath|label\n", "|"),
    ('path;label;"a,b,c,d"\n', ";"), ("\n\npath\tlabel\n", "\t"), ("path,label\n", ","),
])  # fmt: skip
def test_the_header_says_what_separates_values(head, sign, tmp_path):
    pictures(tmp_path, NAMES)
    third = "x" if head.count(";") > 1 and not head.startswith("sep") else None
    lines = rows(NAMES, sign).replace("\n", f"{sign}{third}\n" if third else "\n")
    assert opened(tmp_path, head + lines)[0] == list(CLASSES)


def test_lines_are_counted_with_the_one_for_excel(tmp_path):
    (tmp_path / "a.csv").write_text("sep=;\npath;label\n1.png;a\n;\n2.png;b\n")
    sheet = read_table(tmp_path / "a.csv")
    assert (sheet.lines, sheet.columns["label"]) == ([3, 5], ["a", "b"])  # a row without values is none


@pytest.mark.parametrize(("text", "message"), [
    ("path|label\n1.png|a\n", r"has the only column path\|label; separate columns by commas, semicolons or tabs"),
    ("1.png,ant\n2.png,bee\n", r"has no header: its first line is 1.png, ant; write one above it, such as path,label"),
    ("path,label\n1.png\n", r"line 2 has 1 field, but the header has 2, separated by commas$"),
    ("path;label\n1.png;a;b\n", r"line 2 has 3 fields.*semicolons; put values that contain ';' between quotation"),
    ("path,cat,dog\n1.png,0,1\n", r"as data.table.label; of columns of 0 and 1, list several, with data.targets multi"),
    ("path,label\n1.png,a;b\n2.png,\n", r"line 3 has no label; with data.targets multi an image may have several"),
])  # fmt: skip
def test_what_is_to_be_done_about_a_table_is_said(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, text)


def test_several_columns_are_a_list(tmp_path):
    with pytest.raises(ValueError, match=r"no column 'cat,dog'; list several as '\[cat, dog\]'"):
        opened(tmp_path, "path,cat,dog\n1.png,0,1\n", table=Table(label="cat,dog"), targets="multi")


def test_classes_written_as_a_python_list(tmp_path):
    pictures(tmp_path, NAMES)
    lists = ["\"['ant', 'bee']\"", "['ant']", '"[""bee""]"', "[]"]
    text = "path,labels\n" + "".join(f"{name},{lists[number % 4]}\n" for number, name in enumerate(NAMES))
    names, images = opened(tmp_path, text, targets="multi")
    assert names == list(CLASSES)
    assert sum(part.labels.sum() for part in images.values()) == 16


def test_several_classes_in_one_are_warned_of(tmp_path):
    pictures(tmp_path, NAMES)
    text = "path,label\n" + rows(NAMES).replace("bee", "ant;bee")
    with pytest.warns(UserWarning, match=r"the class 'ant;bee' is a list of others; set data.targets multi"):
        opened(tmp_path, text)
    with pytest.warns(UserWarning, match=r"'ant\|bee' is a list of others; set data.table.separator, now ';'"):
        opened(tmp_path, text.replace(";", "|").replace("label", "labels"), targets="multi")


def test_one_image_in_several_rows(tmp_path):
    pictures(tmp_path, NAMES)
    with pytest.raises(ValueError, match=r"listed twice.*'ant'; list all classes of an image in one row"):
        opened(tmp_path, f"path,labels\n{rows(NAMES)}0.png,bee\n", targets="multi")


@pytest.mark.parametrize("written", [
    "fotos\\{}", "FOTOS\\{}", "Fotos/{}.", "Fotos/{} ", ".\\fotos\\{}",
])  # fmt: skip
def test_names_as_another_system_writes_them(written, tmp_path):
    there = [f"Bild {number} Größe.JPG" for number in range(16)]
    pictures(tmp_path / "Fotos", there)
    names = [unicodedata.normalize("NFD", written.format(name)) for name in there]
    _, images = opened(tmp_path, "path,label\n" + rows([name.lower() for name in names]))
    assert sorted(Path(images["train"].path(i)).name for i in range(len(images["train"])))[0] in there
    mixed = [f"Fotos/{name}" if number % 2 else f"Fotos\\{name}" for number, name in enumerate(there)]
    opened(tmp_path, "path,label\n" + rows(mixed))


def test_two_files_that_differ_in_case_are_two(tmp_path):
    pictures(tmp_path, ["A.png", "a.png"])
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes both names for one")
    pictures(tmp_path, NAMES)
    with pytest.raises(FileNotFoundError, match=r"image not found: '.*A\.PNG'"):
        opened(tmp_path, f"path,label\n{rows(NAMES)}A.PNG,ant\n")


@pytest.mark.parametrize("start", [
    "C:\\Users\\me\\", "C:/Users/me/", "\\\\server\\share\\", "/home/me/", "~/", "https://example.com/",
])  # fmt: skip
def test_paths_of_another_machine(start, tmp_path):
    pictures(tmp_path / "fotos", NAMES)
    names = [f"{start}fotos/{name}" for name in NAMES]
    message = r"line 2: .*; paths must start from '.*', not with a drive or another folder, as 'fotos.0.png'"
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        opened(tmp_path, "path,label\n" + rows(names))
    with pytest.raises(FileNotFoundError, match=r"line 18: .*as 'fotos.0.png'"):  # all others are there
        opened(tmp_path, "path,label\n" + rows([f"fotos/{n}" for n in NAMES]) + "D:\\x\\fotos\\0.png,ant\n")


def test_missing_images(tmp_path):
    pictures(tmp_path / "fotos", NAMES)
    text = "path,label\n" + rows([f"fotos/{name}" for name in NAMES])
    with pytest.raises(FileNotFoundError, match=r"line 18: image not found: '.*gone\.png' \(and 1 more\)"):
        opened(tmp_path, f"{text}fotos/gone.png,ant\nfotos/lost.png,bee\n")
    with pytest.warns(UserWarning, match=r"2 of 18 .* left out: image not found: '.*gone\.png' \(and 1 more\)"):
        _, images = opened(tmp_path, f"{text}fotos/gone.png,ant\nfotos/lost.png,bee\n", on_error="skip")
    assert sum(map(len, images.values())) == 16
    with pytest.raises(FileNotFoundError, match=r"in it; if the images are elsewhere, set data\.table\.folder"):
        opened(tmp_path, "path,label\nbilder/a.png,ant\n")
    with pytest.raises(FileNotFoundError, match=r"image not found: '.*3'; there is '3\.png'"):
        opened(tmp_path, f"{text.replace('fotos/3.png', 'fotos/3')}")
    with pytest.raises(FileNotFoundError, match=r"data\.table\.folder: folder not found: '.*nowhere'"):
        opened(tmp_path, text, table=Table(folder=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match=r"data\.table\.suffix must begin with a dot, such as '\.png', got 'png'"):
        opened(tmp_path, text, table=Table(suffix="png"))


def test_capitals_in_the_names_of_tables_and_splits(tmp_path):
    for split in ("Train", "TEST"):
        for name in CLASSES:
            pictures(tmp_path / split / name, NAMES[:4])
    for extra in ({}, {"test_fraction": 0.2}):  # the splits are not taken for classes
        names, images = load(Data(name="folder", root=str(tmp_path), **extra))
        assert (names, sorted(images)) == (list(CLASSES), ["test", "train"])
    pictures(tmp_path, NAMES)
    assert opened(tmp_path, "path,label\n" + rows(NAMES), "Labels.CSV")[0] == list(CLASSES)


def test_what_a_path_could_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text("path,label\n")
    np.savez("all.npz", X=np.zeros(2))
    for file in ("saved/dataset_info.json", "shards/train-0.tar", "voc/Annotations/x", "voc/JPEGImages/x", "npy/X.npy",
                 "hub/saved/dataset_info.json", "coco/annotations/x"):  # fmt: skip
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    for root, name, message in [
        ("labels.csv", "folder", "; it is a table: set data.name table"), ("labels.csv", "table", ""),
        ("all.npz", "table", "; it is a file of arrays: set data.name arrays"),
        ("saved", "folder", "set data.name datasets"), ("shards", "folder", "set data.name webdataset"),
        ("voc", "folder", "set data.name voc"), ("npy", "table", "set data.name arrays"),
        ("coco", "folder", "set data.name coco"), ("hub", "datasets", "give one, such as 'hub/saved'"),
        ("lables.csv", "table", "did you mean 'labels.csv'?"), ("no/where", "folder", "its folder 'no' does not exist"),
        ("owner/name", "datasets", "downloads nothing"), ("D:\\x", "folder", "; write / between folders"),
    ]:  # fmt: skip
        hint = other_kind(root, name)
        assert hint.endswith(message), (root, name, hint)
        assert bool(hint) == bool(message), (root, name, hint)


@pytest.mark.parametrize(("arguments", "message"), [
    (["--data.name", "folder", "--data.root", "labels.csv"], "folder not found: 'labels.csv'; it is a table: set"),
    (["--data.name", "table", "--data.root", "lables.csv"], "not found: 'lables.csv'; did you mean 'labels.csv'?"),
    (["--data.name", "arrays", "--data.root", "labels.csv"], "not an .npz file of arrays; it is a table: set"),
    (["--data.name", "tabel", "--data.root", "labels.csv"], "got 'tabel'; did you mean 'table'?"),
])  # fmt: skip
def test_the_commands_say_it(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text("path,label\n1.png,a\n")
    for command in (["data", "check"], ["fit"]):
        assert main([*command, *arguments, "--data.test_fraction", "0.2"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "pickle" not in error


def test_photographs_of_many_sizes_are_checked_without_a_transform(tmp_path, capsys):
    pictures(tmp_path, NAMES)
    (tmp_path / "labels.csv").write_text("path,label\n" + rows(NAMES))
    table = ["--data.name", "table", "--data.root", str(tmp_path / "labels.csv"), "--data.test_fraction", "0.25"]
    main(["data", "check", *table])
    assert "largest 10×9" in capsys.readouterr().out
    with pytest.raises(ValueError, match="must have the same size"):  # which training still needs
        ImageData(Data(name="table", root=str(tmp_path / "labels.csv"), test_fraction=0.25)).setup()


def test_arrays_of_objects_are_refused_without_numpys_advice(tmp_path):
    labels = np.eye(2, dtype=int)[np.arange(12) % 2]
    names = np.array(["a", "b"], object)
    np.savez(tmp_path / "a.npz", X=np.zeros((12, 8, 8), np.uint8), y=labels, class_names=names)
    with pytest.raises(
        ValueError, match=r"class_names holds Python objects.*run code; save an array of texts"
    ) as error:
        load(Data(name="arrays", root=str(tmp_path / "a.npz"), targets="multi", test_fraction=0.25))
    assert "allow_pickle" not in str(error.value)
