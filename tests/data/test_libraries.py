"""Data sets as other libraries store them: NumPy's arrays, torchvision's sets, Hugging Face's datasets, COCO and VOC.

Each is written by the library itself or in the layout that it reads, and the images must come back as they were.
"""

import gzip
import inspect
import json
import pickle
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from cv_attention.cli import main
from cv_attention.config import Data, Subset, Table
from cv_attention.data import create

CLASSES = ("ant", "bee", "cat")


def coloured(number: int, side: int = 8) -> np.ndarray:
    return np.full((side, side, 3), (number, 7 * number % 256, 200), np.uint8)


def opened(name: str, root: Path, **options):
    module = create(Data(name=name, root=str(root), **options))
    module.prepare_data()
    module.setup()
    return module


def numbers(module, split: str) -> list[int]:
    """The number of each image, which its red channel holds."""
    images = module.splits[split].images
    return [int(images.read(i)[0, 0, 0]) for i in range(len(images))]


def sizes(module) -> dict[str, int]:
    return {name: len(split) for name, split in module.splits.items()}


# arrays


def medmnist(path: Path, channels: int = 3, **changes) -> Path:
    arrays = {}
    for split, count, first in (("train", 18, 0), ("val", 6, 18), ("test", 6, 24)):
        images = np.stack([coloured(first + i) for i in range(count)])
        arrays[f"{split}_images"] = images if channels == 3 else images[..., 0]
        arrays[f"{split}_labels"] = (np.arange(first, first + count) % 3)[:, None].astype(np.uint8)
    np.savez(path, **{**arrays, **changes})
    return path


@pytest.mark.parametrize("channels", [3, 1])
def test_arrays_as_medmnist_stores_them(channels, tmp_path):
    module = opened("arrays", medmnist(tmp_path / "pathmnist.npz", channels))
    assert sizes(module) == {"train": 18, "val": 6, "test": 6}
    assert module.class_names == ["0", "1", "2"]
    for split, first in (("train", 0), ("val", 18), ("test", 24)):
        assert numbers(module, split) == list(range(first, first + len(module.splits[split])))
        assert module.splits[split].images.labels.tolist() == [n % 3 for n in numbers(module, split)]
    image = module.splits["val"].images.read(0)
    np.testing.assert_array_equal(image, coloured(18) if channels == 3 else np.full((8, 8, 3), 18, np.uint8))


@pytest.mark.filterwarnings("ignore:.*is taken for white")
def test_arrays_as_scikit_learn_returns_them(tmp_path):
    digits = load_digits()
    np.savez(tmp_path / "digits.npz", data=digits.data, target=digits.target, target_names=list("0123456789"))
    with pytest.warns(UserWarning, match="its largest value 16 is taken for white"):
        module = opened("arrays", tmp_path / "digits.npz", test_fraction=0.2)
    assert module.class_names == list("0123456789")
    assert module.image_size == (8, 8)
    assert sum(sizes(module).values()) == len(digits.target)
    kept = module.splits["test"].images
    row = int(kept.rows[3])
    np.testing.assert_array_equal(kept.read(3)[..., 1], np.rint(digits.images[row] * 255 / 16))
    assert kept.labels[3] == digits.target[row]
    with pytest.raises(ValueError, match=r"has no test images: set data\.test_fraction"):
        opened("arrays", tmp_path / "digits.npz")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("of floats up to 1", lambda images: images / np.float32(255)),
        ("of floats up to 255", lambda images: images.astype(np.float64)),
        ("of 12 bits", lambda images: np.rint(images * (4095 / 255)).astype(np.uint16)),
        ("channels first", lambda images: images.transpose(0, 3, 1, 2)),
    ],
)
def test_other_values_and_layouts(kind, change, tmp_path):
    """As Keras names them, in a folder of files."""
    images = np.stack([coloured(8 * number) for number in range(30)])
    images[:, 0, 0] = 255
    names = np.array(CLASSES)[np.arange(30) % 3]
    for name, array in {
        "x_train": change(images[:20]), "y_train": names[:20], "x_test": change(images[20:]), "y_test": names[20:]
    }.items():  # fmt: skip
        np.save(tmp_path / f"{name}.npy", array)
    module = opened("arrays", tmp_path, val_fraction=0.2, subset=Subset(classes=["ant", "cat"]))
    assert module.class_names == ["ant", "cat"]
    test = module.splits["test"].images
    np.testing.assert_array_equal(test.read(0), images[20 + int(test.rows[0])])
    np.testing.assert_array_equal(test.read(5), images[20 + int(test.rows[5])])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": np.zeros((18, 14))}, "14 labels for each image, but one class"),
        (
            {"train_labels": np.array([{}] * 18)},
            "train_labels holds Python objects, which are not read, since that would run code",
        ),
        ({"train_labels": np.arange(17) % 3}, "18 images in train_images have 17 labels"),
        ({"train_labels": np.full(18, 0.5)}, "must hold whole numbers or texts"),
        ({"test_labels": np.full(6, 9)}, "the class '9' has no training images"),
        ({"train_images": np.zeros((18, 8, 8, 8), np.uint8)}, r"must hold images \(N, H, W\)"),
        ({"train_images": np.full((18, 8, 8), -1.0)}, "values from -1 to -1; images start at 0"),
        ({"train_images": np.full((18, 8, 8), np.nan)}, "images start at 0"),
        ({"train_images": np.full((18, 8, 8), "a")}, "must hold numbers"),
        ({"test_images": np.full((6, 8, 8), 300)}, "expected 0 to 255"),
    ],
)
def test_arrays_that_are_wrong_are_named(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        opened("arrays", medmnist(tmp_path / "a.npz", **changes))


def test_pickles_run_nothing(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "a.npz").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ValueError, match=r"is not an \.npz file"):
        opened("arrays", tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match="holds a single array"):
        opened("arrays", tmp_path / "b.npy")
    with pytest.raises(FileNotFoundError):
        opened("arrays", tmp_path / "none.npz")
    np.savez(tmp_path / "c.npz", first=np.zeros(3), second=np.zeros(3))
    with pytest.raises(ValueError, match=r"and has first, second; name them as data\.table\.image"):
        opened("arrays", tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", first=np.stack([coloured(i) for i in range(12)]), second=np.arange(12) % 2)
    module = opened("arrays", tmp_path / "d.npz", table=Table(image="first", label="second"), test_fraction=0.5)
    assert sizes(module)["test"] == 6
    assert not (tmp_path / "ran").exists()


# torchvision


def idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.with_suffix("").write_bytes(header + array.tobytes())
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_a_set_of_torchvision_with_train_and_test(tmp_path):
    raw = tmp_path / "FashionMNIST/raw"
    for split, count, first in (("train", 30, 0), ("t10k", 20, 30)):
        images = np.stack([np.full((28, 28), first + i, np.uint8) for i in range(count)])
        idx(raw / f"{split}-images-idx3-ubyte.gz", images)
        idx(raw / f"{split}-labels-idx1-ubyte.gz", (np.arange(count) % 10).astype(np.uint8))
    module = opened("torchvision/FashionMNIST", tmp_path, val_fraction=0.34)
    assert sizes(module) == {"train": 20, "val": 10, "test": 20}
    assert module.class_names[9] == "Ankle boot"
    assert numbers(module, "test") == list(range(30, 50))
    assert sorted(numbers(module, "train") + numbers(module, "val")) == list(range(30))
    assert module.splits["test"].images.pixels is not None  # in memory


def test_a_set_of_torchvision_with_names_of_splits(tmp_path):
    """DTD, whose photographs have several sizes."""
    base = tmp_path / "dtd/dtd"
    for split, first in (("train", 0), ("val", 9), ("test", 18)):
        listed = []
        for i in range(9):
            name = f"{CLASSES[i % 3]}/{first + i}.png"
            (base / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(coloured(first + i, 8 + i % 2)).save(base / "images" / name)
            listed.append(name)
        (base / "labels").mkdir(exist_ok=True)
        (base / f"labels/{split}1.txt").write_text("\n".join(listed))
    resize = [{"Resize": {"height": 8, "width": 8}}]
    module = opened("torchvision/DTD", tmp_path, eval_transforms=resize, train_transforms=resize)
    assert module.class_names == list(CLASSES)
    assert numbers(module, "val") == list(range(9, 18))
    assert module.splits["train"].images.pixels is None
    again = pickle.loads(pickle.dumps(module.splits["train"].images))
    np.testing.assert_array_equal(again.read(3), coloured(3, 9))
    assert (
        module.fingerprint()
        == opened("torchvision/DTD", tmp_path, eval_transforms=resize, train_transforms=resize).fingerprint()
    )
    (base / "images/ant/0.png").write_bytes(b"broken")
    with pytest.warns(UserWarning, match=r"1 of 9 train images are left out: 'torchvision/DTD, train', image 0"):
        module = opened("torchvision/DTD", tmp_path, eval_transforms=resize, train_transforms=resize, on_error="skip")
    assert len(module.left_out["train"]) == 1
    assert numbers(module, "train") == list(range(1, 9))


def test_a_set_of_torchvision_without_splits(tmp_path):
    for number in range(20):
        name = CLASSES[number % 2]
        (tmp_path / f"eurosat/2750/{name}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(coloured(number)).save(tmp_path / f"eurosat/2750/{name}/{number}.png")
    with pytest.raises(ValueError, match=r"set data\.test_fraction"):
        opened("torchvision/EuroSAT", tmp_path)
    module = opened("torchvision/EuroSAT", tmp_path, test_fraction=0.2, val_fraction=0.25)
    assert sizes(module) == {"train": 12, "val": 4, "test": 4}


def test_mistakes_with_sets_of_torchvision(tmp_path, monkeypatch):
    from cv_attention.data.libraries import torchvision_sets

    with pytest.raises(ValueError, match=r"no data set torchvision/Flower102 .*did you mean .*Flowers102"):
        opened("torchvision/Flower102", tmp_path)
    with pytest.raises(ValueError, match="CocoDetection"):
        opened("torchvision/CocoDetection", tmp_path)
    with pytest.raises(ValueError, match=r"torchvision/EMNIST has no option 'splitt'; did you mean 'split'"):
        opened("torchvision/EMNIST", tmp_path, options={"splitt": "letters"})
    monkeypatch.setattr(torchvision_sets, "download", lambda *_: None)
    with pytest.raises(FileNotFoundError, match=r"torchvision/Flowers102 was not found in"):
        opened("torchvision/Flowers102", tmp_path)
    with pytest.raises(ValueError, match=r"data\.cache works only with images in files"):
        opened("torchvision/Flowers102", tmp_path, cache=64)


def test_every_name_is_a_class_of_torchvision():
    from torchvision import datasets

    from cv_attention.data.libraries import torchvision_sets

    for name in torchvision_sets.NAMES:
        kinds = getattr(datasets, name).__mro__
        accepted = {option for kind in kinds for option in inspect.signature(kind).parameters}
        for own in torchvision_sets._arguments(name).values():
            assert own.keys() <= accepted, name


# Hugging Face


@pytest.fixture
def library():
    return pytest.importorskip("datasets")


def saved(library, root: Path, splits=("train", "validation", "test"), label="label", **columns):
    features = library.Features({"image": library.Image(), label: library.ClassLabel(names=list(CLASSES))})
    found = {}
    for place, split in enumerate(splits):
        own = range(9 * place, 9 * place + 9)
        rows = {"image": [Image.fromarray(coloured(n, 8 + n % 2)) for n in own], label: [n % 3 for n in own]}
        found[split] = library.Dataset.from_dict(rows, features=features)
    (library.DatasetDict(found) if len(splits) > 1 else found[splits[0]]).save_to_disk(str(root))
    return root


RESIZE = [{"Resize": {"height": 8, "width": 8}}]


def test_datasets_on_disk(library, tmp_path):
    root = saved(library, tmp_path / "saved")
    module = opened("datasets", root, eval_transforms=RESIZE, train_transforms=RESIZE)
    assert module.class_names == list(CLASSES)
    assert sizes(module) == {"train": 9, "val": 9, "test": 9}
    for split, first in (("train", 0), ("val", 9), ("test", 18)):
        assert numbers(module, split) == list(range(first, first + 9))
        assert module.splits[split].images.labels.tolist() == [n % 3 for n in range(first, first + 9)]
    again = pickle.loads(pickle.dumps(module.splits["test"].images))
    np.testing.assert_array_equal(again.read(0), coloured(18))
    loader = create(Data(name="datasets", root=str(root), eval_transforms=RESIZE, train_transforms=RESIZE,
                         batch_size=4, workers=1))  # fmt: skip
    loader.setup()
    assert next(iter(loader.test_dataloader()))["label"].tolist() == [0, 1, 2, 0]


def test_one_split_and_other_columns(library, tmp_path):
    root = saved(library, tmp_path / "saved", ("train",), label="kind")
    module = opened(
        "datasets", root, test_fraction=0.34, val_fraction=0.34, eval_transforms=RESIZE, train_transforms=RESIZE
    )
    assert sizes(module) == {"train": 3, "val": 3, "test": 3}
    with pytest.raises(ValueError, match=r"data\.table\.label: no column 'knd'; did you mean 'kind'"):
        opened("datasets", root, table=Table(label="knd"))
    with pytest.raises(ValueError, match="kind must be a column of images"):
        opened("datasets", root, table=Table(image="kind"))


def test_what_is_not_a_saved_data_set(library, tmp_path):
    with pytest.raises(FileNotFoundError):
        opened("datasets", tmp_path / "none")
    with pytest.raises(ValueError, match="is not a data set that save_to_disk"):
        opened("datasets", tmp_path)
    features = library.Features({"image": library.Image(), "label": library.List(library.ClassLabel(names=["a", "b"]))})
    rows = {"image": [Image.fromarray(coloured(n)) for n in range(4)], "label": [[0], [1], [0, 1], []]}
    library.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "several"))
    with pytest.raises(ValueError, match="label has several classes for each image, but one is needed"):
        opened("datasets", tmp_path / "several", test_fraction=0.5)
    rows = {"image": [{"bytes": None, "path": "/etc/hostname"}] * 4, "label": [0, 1, 0, 1]}
    plain = library.Features({"image": {"bytes": library.Value("binary"), "path": library.Value("string")},
                              "label": library.Value("int64")})  # fmt: skip
    library.Dataset.from_dict(rows, features=plain).save_to_disk(str(tmp_path / "paths"))
    with pytest.raises(ValueError, match="image must be a column of images"):
        opened("datasets", tmp_path / "paths", test_fraction=0.5)


# annotations of objects


def coco(file: Path, names: list[str], classes: list[list[str]], first: int = 0) -> None:
    categories = [{"id": 10 + number, "name": name} for number, name in enumerate(CLASSES)]
    images = [{"id": first + i, "file_name": name, "width": 8, "height": 8} for i, name in enumerate(names)]
    objects = [
        {"id": 100 * j + i, "image_id": first + i, "category_id": 10 + CLASSES.index(name), "bbox": [0, 0, 1, 1]}
        for i, own in enumerate(classes) for j, name in enumerate(own)
    ]  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))


def write_images(folder: Path, images: range) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in images:
        cv2.imwrite(str(folder / f"{number}.png"), coloured(number)[..., ::-1])
    return [f"{number}.png" for number in images]


def test_coco(tmp_path):
    for split, own in (("train2017", range(12)), ("val2017", range(12, 18))):
        names = write_images(tmp_path / split, own)
        classes = [[CLASSES[n % 3]] * (1 + n % 2) for n in own]  # several objects of one class
        if split == "train2017":
            names += write_images(tmp_path / split, range(50, 51))
            classes += [[]]
        coco(tmp_path / f"annotations/instances_{split}.json", names, classes)
    with pytest.warns(UserWarning, match=r"1 images without objects are left out, such as '50\.png'"):
        module = opened("coco", tmp_path, val_fraction=0.25)
    assert module.class_names == list(CLASSES)
    assert sizes(module) == {"train": 9, "val": 3, "test": 6}
    assert numbers(module, "test") == list(range(12, 18))
    assert module.splits["test"].images.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_coco_as_roboflow_exports_it_and_one_file(tmp_path):
    for split, own in (("train", range(9)), ("valid", range(9, 15)), ("test", range(15, 18))):
        names = write_images(tmp_path / split, own)
        coco(tmp_path / split / "_annotations.coco.json", names, [[CLASSES[n % 3]] for n in own])
    module = opened("coco", tmp_path)
    assert sizes(module) == {"train": 9, "val": 6, "test": 3}
    assert numbers(module, "val") == list(range(9, 15))
    names = write_images(tmp_path / "one", range(12))
    coco(tmp_path / "one/all.json", names, [[CLASSES[n % 3]] for n in range(12)])
    assert sizes(opened("coco", tmp_path / "one/all.json", test_fraction=0.25))["test"] == 3
    coco(tmp_path / "one/all.json", names, [["ant", "bee"] if n == 4 else ["ant"] for n in range(12)])
    with pytest.raises(ValueError, match=r"'4\.png' must have one class, got ant;bee"):
        opened("coco", tmp_path / "one/all.json", test_fraction=0.25)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "not in COCO's format of objects: lacks 'categories'"),
        ("[1]", "not in COCO's format"),
        ("{", "not in COCO's format"),
        ("[" * 100_000, "not in COCO's format"),
        ('{"images": [{"id": 1, "file_name": "../../etc/passwd"}], "annotations": [{"image_id": 1, "category_id": 1}], '
         '"categories": [{"id": 1, "name": "a"}]}', "leads out of the data set's folder"),
    ],
)  # fmt: skip
def test_hostile_annotations(content, message, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        opened("coco", tmp_path / "a.json", test_fraction=0.5)


def voc(root: Path, number: int, names: list[str], difficult: str = "0") -> None:
    objects = "".join(f"<object><name>{n}</name><difficult>{difficult}</difficult></object>" for n in names)
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    (root / f"Annotations/{number}.xml").write_text(f"<annotation><filename>x</filename>{objects}</annotation>")


def test_voc(tmp_path):
    root = tmp_path / "VOCdevkit/VOC2012"
    write_images(root / "JPEGImages", range(18))
    for number in range(18):
        voc(root, number, [CLASSES[number % 3]] * 2)
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/train.txt").write_text("\n".join(map(str, range(12))) + "\n")
    (root / "ImageSets/Main/val.txt").write_text("\n".join(map(str, range(12, 18))) + "\n")
    module = opened("voc", tmp_path, val_fraction=0.25)
    assert sizes(module) == {"train": 9, "val": 3, "test": 6}
    assert numbers(module, "test") == list(range(12, 18))
    assert module.splits["test"].images.labels.tolist() == [0, 1, 2, 0, 1, 2]
    voc(root, 3, ["ant", "cat"])
    with pytest.raises(ValueError, match=r"must have one class, got ant;cat"):
        opened("voc", root)
    voc(root, 3, ["cat"], difficult="1")
    with pytest.warns(UserWarning, match="1 images without objects are left out"):
        opened("voc", root)
    bomb = '<!DOCTYPE a [<!ENTITY b "' + "c" * 100 + '">]><annotation>&b;</annotation>'
    (root / "Annotations/3.xml").write_text(bomb)
    with pytest.raises(ValueError, match="declares entities"):
        opened("voc", root)
    (root / "Annotations/3.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"3\.xml' is not a valid annotation"):
        opened("voc", root)
    with pytest.raises(FileNotFoundError, match=r"data\.root: folder not found"):
        opened("voc", tmp_path / "none")


def test_trained_from_the_command_line(tmp_path):
    medmnist(tmp_path / "a.npz")
    network = ["--model.backbone", "convnet", "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"]
    data = ["--data.name", "arrays", "--data.root", str(tmp_path / "a.npz"), "--data.batch_size", "8"]
    quiet = ["--log.saliency", "[]", "--log.wandb", "disabled", "--log.root", str(tmp_path), "--log.name", "run"]
    assert main(["fit", *data, *network, *quiet]) == 0
    assert main(["test", str(tmp_path / "run")]) == 0
    assert main(["data", "check", *data]) in (0, 1)
