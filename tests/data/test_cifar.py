import hashlib
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from cv_attention.config import Data, Subset
from cv_attention.data import create

NAMES = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def pixels(count: int, start: int) -> np.ndarray:
    return np.random.default_rng(start).integers(0, 256, (count, 3072), np.uint8)


@pytest.fixture(params=["cifar10", "cifar100"])
def archive(request, tmp_path, monkeypatch):
    """A tiny archive in CIFAR's own format, as if just downloaded; torchvision is told its sums."""
    kind = NAMES[request.param]
    fine = request.param == "cifar100"
    classes = 10
    folder = tmp_path / "made" / kind.base_folder
    folder.mkdir(parents=True)
    for number, (name, _) in enumerate([*kind.train_list, *kind.test_list]):
        labels = [(i + number) % classes for i in range(20)]
        entry = {"data": pixels(20, number), "fine_labels" if fine else "labels": labels}
        (folder / name).write_bytes(pickle.dumps(entry))
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: [f"class {i}" for i in range(classes)]}))
    packed = tmp_path / "made" / kind.filename
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(folder, kind.base_folder)
    for listed in ("train_list", "test_list"):
        monkeypatch.setattr(kind, listed, [[name, md5(folder / name)] for name, _ in getattr(kind, listed)])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(meta)})
    monkeypatch.setattr(kind, "tgz_md5", md5(packed))
    (tmp_path / "data").mkdir()
    shutil.copy(packed, tmp_path / "data")
    return request.param


def test_downloaded_checked_and_divided(archive, tmp_path, capsys):
    module = create(Data(name=archive, root=str(tmp_path / "data"), batch_size=10))
    module.prepare_data()
    module.setup()
    total = 20 * len(NAMES[archive].train_list)
    assert {k: len(v) for k, v in module.splits.items()} == {"train": total - 10, "val": 10, "test": 20}
    assert module.num_classes == 10
    assert module.class_names[3] == "class 3"
    assert module.image_size == (32, 32)
    assert module.mean[0] == pytest.approx(0.5, abs=0.02)
    images = np.concatenate([b["image"].numpy() for b in module.test_dataloader()])
    expected = pixels(20, len(NAMES[archive].train_list)).reshape(20, 3, 32, 32)
    np.testing.assert_array_equal(images, expected)


def test_the_held_out_images_are_not_trained_on(archive, tmp_path, capsys):
    config = Data(name=archive, root=str(tmp_path / "data"), val_fraction=0.3)
    module = create(config)
    module.prepare_data()
    module.setup()

    def contents(split):
        images = module.splits[split].images
        return {images.read(i).tobytes() for i in range(len(images))}

    total = 20 * len(NAMES[archive].train_list)
    assert not contents("train") & contents("val")
    assert len(contents("train") | contents("val")) == total
    assert np.bincount(module.splits["val"].images.labels).tolist() == [round(total / 10 * 0.3)] * 10


def test_classes_are_chosen_in_every_split(archive, tmp_path, capsys):
    subset = Subset(classes=["class 7", "class 2"], per_class=1)
    module = create(Data(name=archive, root=str(tmp_path / "data"), subset=subset))
    module.prepare_data()
    module.setup()
    assert module.class_names == ["class 2", "class 7"]
    assert module.splits["train"].images.labels.tolist() in ([0, 1], [1, 0])
    assert sorted(module.splits["test"].images.labels) == [0, 0, 1, 1]


def test_a_failed_download_says_where_the_files_go(archive, tmp_path, monkeypatch, capsys):
    kind = NAMES[archive]
    (tmp_path / "data" / kind.filename).unlink()
    monkeypatch.setattr(kind, "url", (tmp_path / "absent.tar.gz").as_uri())
    module = create(Data(name=archive, root=str(tmp_path / "data")))
    expected = rf"{archive} could not be downloaded .*absent\.tar\.gz.*unpack it in '{tmp_path}/data'"
    with pytest.raises(FileNotFoundError, match=expected) as raised:
        module.prepare_data()
    assert kind.base_folder in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(FileNotFoundError, match=f"{archive} was not found"):
        module.setup()


def test_a_damaged_file_is_not_used(archive, tmp_path, capsys):
    root = tmp_path / "data"
    module = create(Data(name=archive, root=str(root)))
    module.prepare_data()
    batch = root / NAMES[archive].base_folder / NAMES[archive].test_list[0][0]
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(FileNotFoundError, match="corrupted"):
        module.setup()
