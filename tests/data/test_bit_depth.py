"""Images of more than 8 bits: one range for a data set, however it is stored, and none is guessed image by image."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.faults.hostile_images import items
from benchmarks.faults.image_files import chunk, png, tiff
from cv_attention.cli import main
from cv_attention.config import Data, Subset
from cv_attention.data import ImageError, create, read_image
from cv_attention.data.decoding.bit_depth import found_bits
from cv_attention.data.decoding.decode import decode_image
from cv_attention.data.sources import decoded, folder, webdataset
from cv_attention.data.sources.cache import CachedFiles

ITEMS = items()


def deep(number: int, most: int = 4095, channels: int = 3) -> np.ndarray:
    shape = (12, 16) if channels == 1 else (12, 16, channels)
    pixels = np.random.default_rng(number).integers(0, most + 1, shape, np.uint16)
    pixels.flat[0] = most
    return pixels


def written(root: Path, most: dict[str, int], form: str = "png", channels: int = 3) -> Path:
    """A folder data set whose splits have values up to `most`."""
    for split, largest in most.items():
        for label, name in enumerate(("ant", "bee")):
            (root / split / name).mkdir(parents=True)
            for number in range(6):
                pixels = deep(10 * label + number, largest, channels)
                colour, photometric = (2, 2) if channels == 3 else (0, 1)
                data = png(pixels, colour) if form == "png" else tiff(pixels, photometric)
                (root / split / name / f"{number}.{form}").write_bytes(data)
    return root


@pytest.mark.parametrize("item", ITEMS, ids=[f"{item.name} {item.bits}" for item in ITEMS])
def test_every_file_shows_its_pixels_or_is_refused(item, capfd):
    if item.shows is None:
        with pytest.raises(ImageError, match=r"^'a file'") as caught:
            decode_image(item.data, "a file", item.bits)
        assert "\n" not in str(caught.value)
        return
    found = decode_image(item.data, "a file", item.bits)
    assert found.dtype == np.uint8
    assert found.shape == item.shows.shape
    assert np.abs(found.astype(int) - item.shows).max() <= item.tolerance


@pytest.mark.parametrize("form", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("most", "bits"), [(200, 8), (1023, 10), (1024, 12), (4095, 12), (9000, 14), (40_000, 16)])
def test_the_range_is_found_once_for_all(most, bits, form, channels, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "LIMIT", 0)
    root = written(tmp_path, {"train": most, "test": most // 4}, form, channels)
    images = folder.load(str(root), Subset())[1]
    assert {part.bits for part in images.values()} == {bits}
    expected = deep(0, most // 4, channels) >> (bits - 8)
    shown = images["test"].read(0)
    np.testing.assert_array_equal(shown, expected if channels == 3 else np.repeat(expected[..., None], 3, 2))


def test_all_ways_to_an_image_are_the_same(tmp_path, monkeypatch):
    root = written(tmp_path / "files", {"train": 4095, "val": 4095, "test": 300})
    kept = folder.load(str(root), Subset())[1]["test"]
    monkeypatch.setattr(decoded, "LIMIT", 0)
    read = folder.load(str(root), Subset())[1]["test"]
    cached = folder.load(str(root), Subset(), 12)[1]["test"]
    for split in ("train", "val", "test"):
        with tarfile.open(tmp_path / f"{split}-0.tar", "w") as tar:
            for number, path in enumerate(sorted((root / split).rglob("*.png"))):
                for name, data in ((f"{number}.png", path.read_bytes()), (f"{number}.cls", b"%d" % (number // 6))):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    sharded = webdataset.load(str(tmp_path), Subset())[1]["test"]
    assert kept.pixels is not None
    assert isinstance(cached.storage, CachedFiles)
    for index in range(12):
        expected = deep(10 * (index // 6) + index % 6, 300) >> 4
        for images in (kept, read, cached, sharded):
            np.testing.assert_array_equal(images.read(index), expected)


def test_another_range_makes_another_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "LIMIT", 0)
    root = written(tmp_path, {"train": 300, "test": 300})
    first, second = (folder.load(str(root), Subset(), 12, bits)[1]["train"].read(0) for bits in (10, 12))
    np.testing.assert_array_equal(first, deep(0, 300) >> 2)
    np.testing.assert_array_equal(second, deep(0, 300) >> 4)


def test_values_beyond_the_range_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "LIMIT", 0)
    root = written(tmp_path, {"train": 4095, "test": 5000})
    with pytest.raises(ImageError, match=r"0\.png.*up to 5000, above the 4095 that data\.bits 12 allows.*13 or more"):
        folder.load(str(root), Subset())[1]["test"].read(0)
    assert folder.load(str(root), Subset(), bits=13)[1]["test"].read(0).max() == 5000 >> 5


def test_what_a_header_says_needs_no_sample():
    grey = deep(0, 700, 1)
    said = [b"P5 16 12 1023\n" + grey.astype(">u2").tobytes(), png(grey, 0, chunk(b"sBIT", bytes([10])))]
    scaled = png(grey << 6, 0, chunk(b"sBIT", bytes([10])))  # as the standard asks for
    plain = png((grey >> 2).astype(np.uint8), 0)
    for files, bits in ((said, 10), ([scaled], 16), ([plain], None), ([plain, *said], 10), ([b"broken"], None)):
        assert found_bits(len(files), lambda index, most, files=files: files[index][:most]) == bits


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_run_keeps_its_range(on_disk, tmp_path, monkeypatch, capsys):
    if on_disk:
        monkeypatch.setattr(decoded, "LIMIT", 0)
    root = written(tmp_path / "data", {"train": 4095, "test": 100})
    options = [f"--data.root={root}", "--data.name=folder", "--data.batch_size=4", "--data.val_fraction=0.3"]
    options += ["--model.options={width: 2}", "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--log.probes=0"]
    options += ["--log.wandb=disabled", f"--log.root={tmp_path}", "--log.name=run", "--trainer.precision=32-true"]
    assert main(["fit", *options]) == 0
    assert "0 is black and 4,095 white (data.bits 12)" in capsys.readouterr().out
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["data"]["bits"] == 12
    from cv_attention import training
    from cv_attention.exporting.sources import find_items
    from cv_attention.training.splits import open_data

    for file in ("checkpoints/best.ckpt", "weights.safetensors"):
        network = training.load(tmp_path / "run" / file)
        dark = written(tmp_path / f"dark {Path(file).stem}", {"train": 100, "test": 100})
        image = open_data(network, str(dark), "test").splits["test"].images.read(0)
        np.testing.assert_array_equal(image, deep(0, 100) >> 4)
        [item] = find_items([dark / "test/ant/0.png"], tmp_path / "out", 2, network.experiment.data.bits)
        np.testing.assert_array_equal(item.read(), image)


@pytest.mark.parametrize("bits", [7, 17, 0, -1])
def test_senseless_ranges_are_refused(bits):
    with pytest.raises(ValueError, match=rf"data\.bits must be in \[8, 16\] or null, got {bits}"):
        create(Data("folder", bits=bits))


def test_one_image_alone_has_the_range_of_its_file(tmp_path):
    (tmp_path / "a.png").write_bytes(png(deep(0), 2))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), deep(0) >> 8)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", bits=12), deep(0) >> 4)


def test_programs_are_not_started_for_images(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)  # a call would be a TypeError
    (tmp_path / "a.jpg").write_bytes(next(item.data for item in ITEMS if item.name == "PostScript.jpg"))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "EPS"  # Pillow alone would take it
    with pytest.raises(ImageError, match=r"a\.jpg' is a PostScript file that"):
        read_image(tmp_path / "a.jpg")
