import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from cv_attention.config import Data
from cv_attention.data import ImageError, create, read_image
from cv_attention.data.sources.cache import open_cache

SIZES = [(40, 60), (33, 20), (10, 12), (64, 64), (25, 90)]


def write(folder: Path, count: int = 10) -> list[bytes]:
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        path = folder / f"{number:03}.png"
        cv2.imwrite(str(path), generator.integers(0, 256, (*SIZES[number % len(SIZES)], 3), np.uint8))
        paths.append(os.fsencode(path))
    return paths


def expected(path: bytes, side: int) -> np.ndarray:
    image = read_image(os.fsdecode(path))
    height, width = image.shape[:2]
    if min(height, width) <= side:
        return image
    scale = side / min(height, width)
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def test_holds_every_image_at_its_size(tmp_path):
    paths = write(tmp_path / "images")
    cache = open_cache(tmp_path / "cache", paths, 20)
    for reader in (cache, pickle.loads(pickle.dumps(cache))):
        for row, path in enumerate(paths):
            np.testing.assert_array_equal(reader.read(row), expected(path, 20))
    assert [shape.tolist() for shape in cache.shapes[:3]] == [[20, 30], [33, 20], [10, 12]]


def test_is_made_once_and_again_when_a_file_changes(tmp_path, monkeypatch):
    paths = write(tmp_path / "images")
    first = open_cache(tmp_path / "cache", paths, 20)
    with monkeypatch.context() as patch:
        patch.setattr("cv_attention.data.sources.cache.read_image", None)
        assert open_cache(tmp_path / "cache", paths, 20).path == first.path
    other = np.zeros((30, 30, 3), np.uint8)
    cv2.imwrite(os.fsdecode(paths[3]), other)
    changed = open_cache(tmp_path / "cache", paths, 20)
    assert not changed.read(3).any()
    assert open_cache(tmp_path / "cache", paths, 19).path not in (first.path, changed.path)


def test_leaves_nothing_half_written(tmp_path):
    paths = write(tmp_path / "images")
    (tmp_path / "images/004.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"004\.png"):
        open_cache(tmp_path / "cache", paths, 20)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([], [".lock"])
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"data\.cache: '.*file' cannot be written"):
        open_cache(tmp_path / "file", paths[:2], 20)


def _open(folder: Path, paths: list[bytes]) -> None:
    open_cache(folder, paths, 20)


def test_survives_a_killed_maker(tmp_path):
    paths = write(tmp_path / "images", 2_000)
    maker = multiprocessing.get_context("fork").Process(target=_open, args=(tmp_path / "cache", paths))
    maker.start()
    while not list((tmp_path / "cache").glob("*.partial")):
        time.sleep(0.001)
    os.kill(maker.pid or 0, signal.SIGKILL)
    maker.join()
    assert not list((tmp_path / "cache").glob("*.npz"))
    cache = open_cache(tmp_path / "cache", paths, 20)
    for row in (0, 999, 1_999):
        np.testing.assert_array_equal(cache.read(row), expected(paths[row], 20))


def test_is_one_flag(tmp_path):
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            write(tmp_path / split / name)
    resize = [{"Resize": {"height": 16, "width": 16}}]
    config = Data("folder", str(tmp_path), batch_size=4, cache=32, workers=1)
    config.train_transforms = config.eval_transforms = resize
    module = create(config)
    module.setup()
    batch = next(iter(module.test_dataloader()))
    path = os.fsencode(tmp_path / "test/ant/000.png")
    image = cv2.resize(expected(path, 32), (16, 16), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(batch["image"][0].permute(1, 2, 0), image)
    with pytest.raises(ValueError, match=r"data\.cache .* got 0"):
        create(Data(cache=0))


@pytest.mark.parametrize("suffix", [".npz", ".pixels"])
def test_a_damaged_cache_is_made_once_more(suffix, tmp_path):
    paths = write(tmp_path / "images")
    target = open_cache(tmp_path / "cache", paths, 20).path.with_suffix(suffix)
    target.write_bytes(target.read_bytes()[:-10])
    cache = open_cache(tmp_path / "cache", paths, 20)
    for row, path in enumerate(paths):
        np.testing.assert_array_equal(cache.read(row), expected(path, 20))


def test_a_flipped_bit_of_the_pixels_is_an_image_error(tmp_path):
    paths = write(tmp_path / "images")
    cache = open_cache(tmp_path / "cache", paths, 32)
    pixels = bytearray(cache.path.read_bytes())
    pixels[len(pixels) // 2] ^= 1
    cache.path.write_bytes(pixels)
    cache = open_cache(tmp_path / "cache", paths, 32)
    wrong = []
    for row in range(len(paths)):
        try:
            cache.read(row)
        except ImageError as error:
            wrong.append(str(error))
    assert len(wrong) == 1
    assert f"'{cache.path}' is damaged at image" in wrong[0]
    assert "remove it, and it will be rebuilt" in wrong[0]


@pytest.mark.parametrize(
    "arrays", [{"shapes": np.zeros((10, 2), int)}, {"shapes": 3, "sums": 3}, {"sums": []}], ids=str
)
def test_an_index_of_another_kind_is_made_again(arrays, tmp_path):
    paths = write(tmp_path / "images")
    cache = open_cache(tmp_path / "cache", paths, 32)
    np.savez(cache.path.with_suffix(".npz"), **arrays)
    again = open_cache(tmp_path / "cache", paths, 32)
    assert np.array_equal(again.read(3), expected(paths[3], 32))
