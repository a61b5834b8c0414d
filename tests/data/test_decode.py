import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from cv_attention.data import ImageError, read_image


def photograph(height: int = 24, width: int = 40, channels: int = 3) -> np.ndarray:
    """A smooth picture, different in every channel and corner."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [y * 5, x * 6, 255 - y * 4 - x * 2, 90 + y + x * 4]
    return np.stack(planes[:channels], -1).clip(0, 255).astype(np.uint8)


def over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha))


RGB = photograph()
RGBA = photograph(channels=4)
GREY = RGB[..., 1]
DEEP = (GREY.astype(np.uint16) << 8) + 200
PALETTE = Image.fromarray(RGB).quantize(16)


def pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def save(image: Image.Image | np.ndarray, **options) -> Callable[[Path], None]:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    return lambda path: image.save(path, **options)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def thrice(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, 2)


# file name, how it is written, what it must decode to (None: what Pillow's own conversion gives), tolerance
WILD = [
    ("plain.jpg", save(RGB, quality=95), None, 2),
    ("subsampled.jpg", save(RGB, quality=80, subsampling=2), None, 3),
    ("progressive.jpg", save(RGB, quality=95, progressive=True), None, 2),
    ("grey.jpg", save(GREY, quality=95), None, 2),
    ("cmyk.jpg", save(Image.fromarray(RGB).convert("CMYK"), quality=95), None, 0),
    (
        "with_profile.jpg",
        save(RGB, quality=95, icc_profile=b"x" * 3000, comment=b"\xff\xc0 no frame"),
        None,
        2,
    ),
    ("plain.png", save(RGB), RGB, 0),
    ("grey.png", save(GREY), thrice(GREY), 0),
    ("two_levels.png", save(Image.fromarray(GREY).convert("1")), None, 0),
    ("palette.png", save(PALETTE), None, 0),
    ("transparent.png", save(RGBA), over_white(RGBA), 1),
    ("deep_grey.png", save(DEEP), thrice(GREY), 0),
    ("deep_rgb.png", lambda path: cv2.imwrite(str(path), RGB[..., ::-1].astype(np.uint16) * 257), RGB, 0),
    ("deep.tif", save(DEEP), thrice(GREY), 0),
    ("cmyk.tif", save(Image.fromarray(RGB).convert("CMYK")), None, 0),
    ("integers.tif", save(Image.fromarray(DEEP.astype(np.int32))), thrice(GREY), 0),
    ("plain.bmp", save(RGB), RGB, 0),
    ("plain.webp", save(RGB, lossless=True), RGB, 0),
    ("transparent.webp", save(RGBA, lossless=True, exact=True), over_white(RGBA), 1),
    ("plain.ppm", save(RGB), RGB, 0),
    ("palette.gif", save(PALETTE), None, 0),
    ("named_wrongly.jpg", save(RGB, format="PNG"), RGB, 0),
    ("no_extension", save(RGB, format="PNG"), RGB, 0),
]


@pytest.mark.parametrize(("name", "write", "expected", "tolerance"), WILD, ids=[row[0] for row in WILD])
def test_wild_images_decode_as_they_look(name, write, expected, tolerance, tmp_path):
    path = tmp_path / name
    write(path)
    image = read_image(path)
    expected = pillow(path) if expected is None else expected
    assert image.dtype == np.uint8
    assert image.shape == (24, 40, 3)
    assert np.abs(image.astype(int) - expected.astype(int)).max() <= tolerance


def test_grey_with_alpha_lies_over_white(tmp_path):
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(RGBA[..., 3])])
    grey_alpha.save(tmp_path / "a.png")
    expected = over_white(np.dstack([thrice(GREY), RGBA[..., 3]]))
    assert np.abs(read_image(tmp_path / "a.png") - expected).max() <= 1


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(mode, tmp_path):
    image = Image.new(mode, (6, 4), 0)
    image.paste(100 if mode != "RGB" else (100, 100, 100), (0, 0, 3, 4))
    image.save(tmp_path / "a.png", transparency=0 if mode != "RGB" else (0, 0, 0))
    decoded = read_image(tmp_path / "a.png")
    assert (decoded[:, 3:] == 255).all()
    assert (decoded[:, :3] < 255).all()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(name, orientation, tmp_path):
    Image.fromarray(RGB).save(tmp_path / name, quality=95, exif=exif(orientation))
    with Image.open(tmp_path / name) as image:
        expected = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    assert expected.shape == ((24, 40, 3) if orientation < 5 else (40, 24, 3))
    decoded = read_image(tmp_path / name)
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected.astype(int)).max() <= 2


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.webp"), RGB)


def noisy() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def cut_and_zeroed(data: bytes) -> bytes:
    return cut(data) + bytes(len(data) - len(cut(data)))


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(200) + data[middle + 200 :]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("a.jpg", cut),
        ("a.png", cut),
        ("a.png", cut_and_zeroed),
        ("a.png", damaged),
        ("a.webp", cut),
        ("a.tif", cut),
        ("a.bmp", cut),
        ("a.jpg", lambda data: data[:30]),
        ("a.jpg", lambda _: b""),
        ("a.jpg", lambda _: b"<html>404 not found</html>"),
    ],
)
def test_a_broken_file_is_named(name, spoil, tmp_path, capfd):
    path = tmp_path / name
    Image.fromarray(noisy()).save(path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match=name) as raised:
        read_image(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_pixels_without_a_range_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif.*floating-point"):
        read_image(tmp_path / "a.tif")
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "b.tif")
    with pytest.raises(ValueError, match=r"b\.tif.*70000"):
        read_image(tmp_path / "b.tif")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_image(tmp_path / "nowhere.jpg")


@pytest.mark.shared
def test_photographs_decode_as_pillow_does(tmp_path):
    import tarfile

    archive = Path(__file__).parents[3] / "shared/data/imagenet_samples.tar"
    if not archive.exists():
        pytest.skip(f"{archive} is not here")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    paths = sorted(tmp_path.rglob("*.jpg"))
    assert len(paths) == 50
    for path in paths:
        difference = np.abs(read_image(path).astype(int) - pillow(path).astype(int))
        assert difference.max() <= 8, path  # the two libraries' own rounding
        assert difference.mean() < 0.5, path


def bomb_png(width: int, height: int) -> bytes:
    """A PNG of one colour with so many pixels, compressed to a thousandth of them."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # Pillow's own, from half the limit on
@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "deep.png", "gif"])
def test_too_many_pixels_are_refused_by_every_decoder(kind, tmp_path, monkeypatch):
    path = tmp_path / f"large.{kind}"
    pixels = np.zeros((40, 60), np.uint16) if kind.startswith("deep") else np.zeros((40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60 // 2)
    assert read_image(path).shape == (40, 60, 3)  # the limit itself is allowed
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60 // 2 - 1)
    with pytest.raises(ImageError, match=r"large\..*2[,]?400|large\..*60x40"):
        read_image(path)


@pytest.mark.parametrize("kind", ["webp", "jp2", "deep.png"])
def test_half_as_many_pixels_where_decoding_takes_more_memory(kind, tmp_path, monkeypatch):
    path = tmp_path / f"large.{kind}"
    pixels = np.zeros((40, 60, 3), np.uint16 if kind.startswith("deep") else np.uint8)
    cv2.imwrite(str(path), pixels) if kind.startswith("deep") else Image.fromarray(pixels).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60)
    assert read_image(path).shape == (40, 60, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60 - 1)
    with pytest.raises(ImageError, match=r"large\..*60x40 pixels; at most 2,399 are decoded"):
        read_image(path)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_png(30_000, 300))
    assert read_image(path).shape == (300, 30_000, 3)
    header = bytearray(path.read_bytes())
    header[20:24] = (30_000).to_bytes(4, "big")  # promises 900 million pixels
    path.write_bytes(header)
    with pytest.raises(ImageError, match=r"bomb\.png' has 30000x30000 pixels; at most 178,956,970"):
        read_image(path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    for name, kind in (("pipe", "a named pipe"), ("zero", "a device"), ("folder", "a folder")):
        with pytest.raises(ImageError, match=rf"{name}\.jpg' is {kind}, not a regular file"):
            read_image(tmp_path / f"{name}.jpg")
    with open(tmp_path / "sparse.jpg", "wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(ImageError, match=r"sparse\.jpg' has 5,368,709,120 bytes"):
        read_image(tmp_path / "sparse.jpg")
