"""Parquet files with the images in them, as data sets on the Hugging Face Hub have them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention.cli import main
from cv_attention.config import Data
from cv_attention.data.datamodule import load
from cv_attention.data.guessing import other_kind
from cv_attention.data.tables.sheets import read_table

COLUMNS = {"_type": "Image"}, {"_type": "ClassLabel", "names": ["ant", "bee"]}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes images into a Parquet file below `tmp_path`."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def written(name: str, numbers: range, kind: str = "hub", column: str = "image") -> Path:
        files = []
        for number in numbers:
            stream = io.BytesIO()
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(stream, "png")
            files.append(stream.getvalue())
        images = files if kind == "bytes" else [{"bytes": file, "path": None} for file in files]
        table = pyarrow.table({column: images, "label": [number % 2 for number in numbers]})
        if kind == "hub":
            features = {"info": {"features": dict(zip((column, "label"), COLUMNS, strict=True))}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, tmp_path / name)
        return tmp_path / name

    return written


@pytest.mark.parametrize(("train", "test"), [
    ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
    ("default/train/0000.parquet", "default/validation/0000.parquet"),
    ("train.parquet", "valid.parquet"), ("train/a.parquet", "test/a.parquet"),
])  # fmt: skip
def test_a_data_set_of_the_hub(train, test, write, tmp_path):
    write(f"set/{train}", range(20))
    write(f"set/{test}", range(100, 108))
    (tmp_path / "set/README.md").write_text("---\n---\n")
    names, images = load(Data(name="datasets", root=str(tmp_path / "set")))
    assert names == ["ant", "bee"]
    assert {split: len(part) for split, part in images.items()} == {"train": 20, "test": 8}
    assert images["test"].read(3)[0, 0].tolist() == [103] * 3
    assert images["test"].labels.tolist() == [0, 1] * 4


def test_several_files_of_a_split_and_several_sets(write, tmp_path):
    for number in range(2):
        write(f"set/data/train-0000{number}-of-00002.parquet", range(10 * number, 10 * number + 10))
    _, images = load(Data(name="datasets", root=str(tmp_path / "set/data"), test_fraction=0.25))
    assert sum(map(len, images.values())) == 20
    write("set/other/train-00000-of-00001.parquet", range(10))
    with pytest.raises(ValueError, match=r"Parquet files of train in several folders: .*data, .*other; give one"):
        load(Data(name="datasets", root=str(tmp_path / "set"), test_fraction=0.25))


@pytest.mark.parametrize("kind", ["struct", "bytes"])
def test_a_file_that_another_library_wrote(kind, write):
    file = write("all.parquet", range(20), kind, "picture")
    names, images = load(Data(name="datasets", root=str(file), test_fraction=0.25, on_error="skip"))
    assert names == ["0", "1"]
    assert sum(map(len, images.values())) == 20
    with pytest.raises(ValueError, match=r"picture with more than a path in it: if these are images, set data.name"):
        load(Data(name="table", root=str(file), test_fraction=0.25))
    assert read_table(file).nested == ("picture",)


def test_what_such_a_folder_is_said_to_be(write, tmp_path, capsys):
    root = write("set/data/train-00000-of-00001.parquet", range(8)).parent.parent
    write("set/data/test-00000-of-00001.parquet", range(8))
    for place, name in ((root, "folder"), (root, "table"), (root / "data", "folder"), (root / "data", "table")):
        for command in (["data", "check"], ["fit"]):
            assert main([*command, "--data.name", name, "--data.root", str(place)]) in (1, 2)
            said = capsys.readouterr()
            assert "as on the Hugging Face Hub: set data.name datasets" in said.out + said.err, (place, name, command)
    file = root / "data/train-00000-of-00001.parquet"
    assert other_kind(file, "folder") == "; it is a Parquet file: set data.name table or datasets"
    assert other_kind(file, "datasets") == other_kind(file, "table") == ""


def test_a_damaged_file(write, tmp_path):
    file = write("set/train-00000-of-00001.parquet", range(8))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"train-00000-of-00001\.parquet cannot be read") as error:
        load(Data(name="datasets", root=str(tmp_path / "set"), test_fraction=0.25))
    assert "\n" not in str(error.value)
