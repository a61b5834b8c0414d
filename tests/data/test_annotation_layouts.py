"""Annotations of COCO and Pascal VOC, and labels in arrays, in the layouts of the programs that write them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention.cli import main
from cv_attention.config import Data
from cv_attention.data.datamodule import load
from cv_attention.data.guessing import other_kind

CLASSES = ["ant", "bee", "cat"]


def pictures(folder: Path, count: int = 24, suffix: str = ".png") -> list[str]:
    folder.mkdir(parents=True)
    names = [f"{number:03d}{suffix}" for number in range(count)]
    for number, name in enumerate(names):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / name)
    return names


def write_coco(file: Path, names: list[str], first: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    images = [{"id": number, "file_name": first + name} for number, name in enumerate(names)]
    objects = [{"image_id": number, "category_id": 10 + number % 3} for number in range(len(names))]
    categories = [{"id": 10 + number, "name": name} for number, name in enumerate(CLASSES)]
    file.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))


def write_voc(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        text = f"<annotation><object><name>{CLASSES[number % 3]}</name></object></annotation>"
        (folder / f"{Path(name).stem}.xml").write_text(text)


def labels_of(name: str, root: Path) -> list[int]:
    names, images = load(Data(name=name, root=str(root), test_fraction=0.25))
    assert names == CLASSES
    found = {int(part.read(i)[0, 0, 0]): part.labels[i] for part in images.values() for i in range(len(part))}
    return [int(found[number]) for number in sorted(found)]


@pytest.mark.parametrize(("file", "folder", "first", "root"), [
    ("annotations/instances_train2017.json", "train2017", "", "annotations/instances_train2017.json"),
    ("annotations/instances_default.json", "images", "", "."),  # CVAT
    ("annotations/instances_default.json", "images", "", "annotations/instances_default.json"),
    ("result.json", "images", "images/", "."), ("result.json", "images", "images/", "result.json"),  # Label Studio
    ("labels.json", "data", "", "."),  # FiftyOne
])  # fmt: skip
def test_one_file_of_coco(file, folder, first, root, tmp_path):
    write_coco(tmp_path / file, pictures(tmp_path / folder), first)
    assert labels_of("coco", tmp_path / root) == [number % 3 for number in range(24)]


@pytest.mark.parametrize(("annotations", "images", "suffix"), [
    ("Annotations", "JPEGImages", ".jpg"), ("annotations", "images", ".png"), ("Annotations", "images", ".jpeg"),
    ("", "", ".png"),  # LabelImg
])  # fmt: skip
def test_layouts_of_voc(annotations, images, suffix, tmp_path):
    names = pictures(tmp_path / "set" / images, suffix=suffix)
    write_voc(tmp_path / "set" / annotations, names)
    assert labels_of("voc", tmp_path / "set") == [number % 3 for number in range(24)]


def test_what_such_folders_are_said_to_be(tmp_path, capsys):
    write_coco(tmp_path / "robo/train/_annotations.coco.json", pictures(tmp_path / "robo/train"))
    assert other_kind(tmp_path / "robo", "table").endswith("in the layout of COCO: set data.name coco")
    write_voc(tmp_path / "voc/VOCdevkit/VOC2012/Annotations", pictures(tmp_path / "voc/VOCdevkit/VOC2012/JPEGImages"))
    assert other_kind(tmp_path / "voc", "table").endswith("in the layout of Pascal VOC: set data.name voc")
    assert main(["data", "check", "--data.root", str(tmp_path / "voc")]) == 1  # taken for a folder of one class
    assert "a single class, so that there is nothing to be learned" in capsys.readouterr().out
    for root, message in (("none", "data.root: folder not found"), ("robo", "it is a folder in the layout of COCO")):
        with pytest.raises(FileNotFoundError, match=message):
            load(Data(name="voc", root=str(tmp_path / root), test_fraction=0.25))
    shutil.copy(tmp_path / "robo/train/_annotations.coco.json", tmp_path / "a.json")
    shutil.copy(tmp_path / "a.json", tmp_path / "b.json")
    with pytest.raises(FileNotFoundError, match="has no annotations/instances_train"):  # two files: which is meant?
        load(Data(name="coco", root=str(tmp_path), test_fraction=0.25))


def test_a_column_for_each_class_with_a_single_one(tmp_path):
    labels = np.arange(24) % 3
    for dtype in (np.float32, np.uint8, bool):
        images = np.arange(24, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
        np.savez(tmp_path / "a.npz", X=images, y=np.eye(3)[labels].astype(dtype), class_names=np.array(CLASSES))
        assert labels_of("arrays", tmp_path / "a.npz") == labels.tolist()
    np.savez(tmp_path / "a.npz", X=images, y=np.vstack([np.eye(3)[labels[:-1]], [1, 1, 0]]))
    with pytest.raises(ValueError, match="has 3 labels for each image"):
        load(Data(name="arrays", root=str(tmp_path / "a.npz"), test_fraction=0.25))


def test_training_needs_two_classes(tmp_path, capsys):
    pictures(tmp_path / "VOCdevkit/JPEGImages")
    write_voc(tmp_path / "VOCdevkit/Annotations", [])
    run = ["--data.test_fraction", "0.25", "--data.root", str(tmp_path), "--log.root", str(tmp_path / "runs")]
    assert main(["fit", "--data.name", "folder", *run, "--model.backbone", "convnet"]) == 2
    said = capsys.readouterr().err
    assert f"'{tmp_path}' has a single class, 'VOCdevkit'; at least two are needed; it is a folder in the" in said
    assert "set data.name voc" in said
