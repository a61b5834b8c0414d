"""Image files that are hard to read, written byte by byte, each with the pixels that it shows."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from benchmarks.faults.image_files import chunk, grey_rgb, png, saved, tiff

HEIGHT, WIDTH = 48, 64


def _loads(data: bytes) -> bool:
    """Whether Pillow reads a file that it has written."""
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Item:
    """A file.

    Attributes:
        name: What it is, and its suffix.
        data: Its content.
        shows: uint8 (H, W, 3) that it must decode to; None if it must be refused.
        bits: What ``data.bits`` is.
        tolerance: Largest difference of lossy or blended pixels.
    """

    name: str
    data: bytes = field(repr=False)
    shows: np.ndarray | None = field(repr=False)
    bits: int | None = None
    tolerance: int = 1


def items(seed: int = 0) -> list[Item]:
    """Makes all files."""
    rng = np.random.default_rng(seed)
    return [*_deep_grey(rng), *_deep_colour(rng), *_odd(rng), *_turned(rng), *_bombs(), *_broken(rng)]


def _deep_grey(rng: np.random.Generator) -> Iterator[Item]:
    grey = rng.integers(0, 4096, (HEIGHT, WIDTH), np.uint16)
    grey[0, :2] = 0, 4095
    shows, faint = grey_rgb(grey >> 4), grey_rgb(grey >> 8)
    one = int(grey[5, 5])
    yield Item("12 of 16 bits.png", png(grey, 0), shows, 12)
    yield Item("16 bits, nothing declared.png", png(grey, 0), faint)
    yield Item("10 declared, 12 there.png", png(grey, 0), None, 10)
    yield Item("8 of 16 bits.png", png(grey >> 4, 0), shows, 8)
    yield Item(
        "a transparent grey.png",
        png(grey, 0, chunk(b"tRNS", struct.pack(">H", one))),
        np.where((grey == one)[..., None], 255, shows),
        12,
    )
    yield Item("12 of 16 bits.tif", tiff(grey, 1), shows, 12)
    yield Item("12 of 16 bits, Motorola.tif", tiff(grey, 1, order=">"), shows, 12)
    yield Item("white is zero.tif", tiff(65535 - grey, 0), shows, 12)
    yield Item("signed.tif", tiff(grey.astype(np.int16), 1, kind=2), shows, 12)
    yield Item("signed and negative.tif", tiff(grey.astype(np.int16) - 100, 1, kind=2), None, 12)
    yield Item("32 bits, small.tif", tiff(grey.astype(np.uint32), 1, bits=32), shows, 12)
    yield Item("32 bits, large.tif", tiff(grey.astype(np.uint32) * 900_000, 1, bits=32), None)
    yield Item("32 bits, negative.tif", tiff(grey.astype(np.int32) - 100, 1, bits=32, kind=2), None)
    yield Item("signed bytes.tif", tiff(grey.astype(np.int8), 1, bits=8, kind=2), None)
    yield Item("floats.tif", tiff(grey.astype(np.float32), 1, bits=32, kind=3), None)
    yield Item(
        "floats and NaN.tif", tiff(np.where(grey > 9, np.nan, grey).astype(np.float32), 1, bits=32, kind=3), None
    )
    yield Item("half floats.tif", tiff(grey.astype(np.float16), 1, bits=16, kind=3), None)
    yield Item("doubles.tif", tiff(grey.astype(np.float64), 1, bits=64, kind=3), None)
    pairs = grey.reshape(-1, 2).astype(np.uint32)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    for bits in (None, 12, 16):
        yield Item(
            f"12 packed bits ({bits}).tif", tiff(grey, 1, bits=12, data=packed.astype(np.uint8).tobytes()), shows, bits
        )
    for bits in (None, 12, 16):
        yield Item(f"4095 is white ({bits}).pgm", b"P5 64 48 4095\n" + grey.astype(">u2").tobytes(), shows, bits)
    yield Item(
        "4095 is white, as text.pgm", b"P2 64 48 4095\n" + b" ".join(b"%d" % v for v in grey.flat) + b"\n", shows
    )
    yield Item("65535 is white.pgm", b"P5 64 48 65535\n" + grey.astype(">u2").tobytes(), shows, 12)
    yield Item("16 bits.jp2", _jpeg2000(grey), shows, 12)
    shifted = bytearray(_jpeg2000((grey.astype(np.int32) + 32768 - 2048).astype(np.uint16)))
    shifted[shifted.find(b"\xff\x51") + 40] = 11
    yield Item("12 bits.jp2", bytes(shifted), shows)


def _deep_colour(rng: np.random.Generator) -> Iterator[Item]:
    four = rng.integers(0, 4096, (HEIGHT, WIDTH, 4), np.uint16)
    four[..., 3] *= 16
    four[0, 0, :3], four[0, 1, :3] = 0, 4095
    rgb, shows = four[..., :3], (four[..., :3] >> 4).astype(np.uint8)
    alpha = four[..., 3:] / 65535
    over = np.rint(shows * alpha + 255 * (1 - alpha))
    one = rgb[5, 5]
    clear = chunk(b"tRNS", struct.pack(">HHH", *one.tolist()))
    yield Item("12 of 16 bits, colour.png", png(rgb, 2), shows, 12)
    yield Item("16 bits, colour, nothing declared.png", png(rgb, 2), rgb >> 8)
    yield Item("11 declared, 12 there, colour.png", png(rgb, 2), None, 11)
    yield Item("with alpha.png", png(four, 6), over, 12)
    yield Item(
        "grey with alpha.png",
        png(four[..., [0, 3]], 4),
        np.rint(grey_rgb(shows[..., 0]) * alpha + 255 * (1 - alpha)),
        12,
    )
    yield Item(
        "a transparent colour.png", png(rgb, 2, clear), np.where((rgb == one).all(2, keepdims=True), 255, shows), 12
    )
    yield Item("with gamma.png", png(rgb, 2, chunk(b"gAMA", struct.pack(">I", 45455))), shows, 12)
    yield Item("12 of 16 bits, colour.tif", tiff(rgb, 2), shows, 12)
    yield Item("12 of 16 bits, colour, Motorola.tif", tiff(rgb, 2, order=">"), shows, 12)
    yield Item("with alpha.tif", tiff(four, 2, extra=2), over, 12)
    yield Item("with a fourth sample.tif", tiff(four, 2, extra=0), shows, 12)
    yield Item("alpha multiplied.tif", tiff(four, 2, extra=1), np.rint(np.minimum(shows + 255 * (1 - alpha), 255)), 12)
    yield Item("planes.tif", tiff(rgb, 2, planar=2), None, 12)
    yield Item("CMYK of 16 bits.tif", tiff(four, 5), None, 12)
    yield Item("Lab of 16 bits.tif", tiff(rgb, 8), None, 12)
    yield Item("colour floats.tif", tiff(rgb.astype(np.float32), 2, bits=32, kind=3), None)
    yield Item("4095 is white.ppm", b"P6 64 48 4095\n" + rgb.astype(">u2").tobytes(), shows)
    yield Item("65535 is white.ppm", b"P6 64 48 65535\n" + rgb.astype(">u2").tobytes(), shows, 12)
    yield Item("16 bits, colour.jp2", _jpeg2000(np.ascontiguousarray(rgb[..., ::-1])), shows, 12)


def _odd(rng: np.random.Generator) -> Iterator[Item]:
    rgb = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    smooth = np.dstack(list(np.mgrid[0:HEIGHT, 0:WIDTH])).astype(np.uint8) * 3
    photo = np.dstack([smooth, 255 - smooth[..., 0]])
    bilevel = rgb[..., 0] > 127
    yield Item("1 bit.tif", saved(Image.fromarray(bilevel), "TIFF"), grey_rgb(bilevel * 255))
    yield Item("1 bit.png", saved(Image.fromarray(bilevel), "PNG"), grey_rgb(bilevel * 255))
    yield Item("1 bit.pbm", saved(Image.fromarray(bilevel), "PPM"), grey_rgb(bilevel * 255))
    yield Item("fax.tif", saved(Image.fromarray(bilevel), "TIFF", compression="group4"), grey_rgb(bilevel * 255))
    palette = Image.fromarray(rgb).quantize(16)
    shows = np.array(palette.convert("RGB"))
    index = np.array(palette)
    yield Item("palette.png", saved(palette, "PNG"), shows)
    yield Item(
        "palette with a transparent colour.png",
        saved(palette, "PNG", transparency=3),
        np.where((index == 3)[..., None], 255, shows),
    )
    yield Item("palette.gif", saved(palette, "GIF"), shows, tolerance=0)
    others = [Image.fromarray(255 - rgb)]
    yield Item("animated.webp", saved(rgb, "WEBP", save_all=True, append_images=others, lossless=True), rgb)
    yield Item("animated.png", saved(rgb, "PNG", save_all=True, append_images=others), rgb)
    yield Item("animated.gif", saved(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]), shows)
    yield Item("two pages.tif", saved(rgb, "TIFF", save_all=True, append_images=others), rgb)
    cmyk = Image.fromarray(photo).convert("CMYK")
    yield Item("CMYK.jpg", saved(cmyk, "JPEG", quality=100), np.array(cmyk.convert("RGB")), tolerance=8)
    yield Item("CMYK.tif", saved(cmyk, "TIFF"), np.array(cmyk.convert("RGB")))
    ycbcr = saved(Image.fromarray(photo).convert("RGB").convert("YCbCr"), "TIFF")
    yield Item("YCbCr.tif", ycbcr, photo if _loads(ycbcr) else None, tolerance=4)  # Pillow 12.3 cannot read its own
    neutral = np.dstack([photo[..., 0], np.zeros((HEIGHT, WIDTH, 2), np.uint8)])
    lab = np.dstack([photo[..., 0] * np.float32(100 / 255), np.zeros((HEIGHT, WIDTH, 2), np.float32)])
    yield Item("Lab of 8 bits.tif", tiff(neutral, 8, bits=8), cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255, tolerance=3)
    yield Item("grey.jpg", saved(photo[..., 0], "JPEG", quality=100), grey_rgb(photo[..., 0]), tolerance=4)
    yield Item("named wrongly.jpg", saved(rgb, "PNG"), rgb)
    yield Item("8 planes.tif", tiff(rgb, 2, bits=8, planar=2), rgb)
    yield Item(
        "PostScript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\nshowpage\n", None
    )
    yield Item("SVG.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", None)
    yield Item("FITS.tif", b"SIMPLE  =                    T".ljust(2880) + bytes(2880), None)


def _turned(rng: np.random.Generator) -> Iterator[Item]:
    rgb = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    views = {2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.transpose(1, 0, 2), 6: np.rot90(rgb, -1)}
    views |= {7: np.rot90(rgb, 2).transpose(1, 0, 2), 8: np.rot90(rgb), 9: rgb}
    for number, shows in views.items():
        exif = Image.Exif()
        exif[0x0112] = number
        deep = rgb.astype(np.uint16) << 4
        yield Item(f"turned {number}.png", saved(rgb, "PNG", exif=exif), shows)
        yield Item(f"turned {number}, 16 bits.png", png(deep, 2, chunk(b"eXIf", exif.tobytes()[6:])), shows, 12)
        yield Item(f"turned {number}, 16 bits.tif", tiff(deep, 2, orientation=number), shows, 12)
        yield Item(
            f"turned {number}, grey of 16 bits.tif",
            tiff(deep[..., 0], 1, orientation=number),
            grey_rgb(shows[..., 0]),
            12,
        )
        yield Item(f"turned {number}.webp", saved(rgb, "WEBP", exif=exif, lossless=True), shows)


def _bombs() -> Iterator[Item]:
    small = np.zeros((4, 4, 3), np.uint8)
    sides = struct.pack("<II", 60_000, 60_000)
    jpeg = bytearray(saved(small, "JPEG"))
    at = jpeg.find(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    gif = bytearray(saved(small, "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    bmp = bytearray(saved(small, "BMP"))
    bmp[18:26] = sides
    wide = bytearray(tiff(small, 2, bits=8))
    for number in (256, 257):
        at = wide.find(struct.pack("<HHI", number, 4, 1))
        wide[at + 8 : at + 12] = sides[:4]
    canvas = (59_999).to_bytes(3, "little")
    content = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas * 2
    yield Item("bomb.png", png(small, 2, size=(60_000, 60_000)), None)
    yield Item("deep bomb.png", png(small.astype(np.uint16), 2, size=(60_000, 60_000)), None)
    yield Item("palette bomb.png", png(small[..., 0], 3, size=(60_000, 60_000)), None)
    yield Item("bomb.jpg", bytes(jpeg), None)
    yield Item("bomb.gif", bytes(gif), None)
    yield Item("bomb.bmp", bytes(bmp), None)
    yield Item("bomb.tif", bytes(wide), None)
    yield Item("bomb.webp", b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content, None)
    yield Item("bomb.ppm", b"P6 60000 60000 255\n" + bytes(99), None)
    yield Item("deep bomb.pgm", b"P5 60000 60000 65535\n" + bytes(99), None)
    yield Item("bomb as text.pbm", b"P1 60000 60000\n0 1", None)
    yield Item(
        "bomb.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 60_000, 60_000, 24, 0) + bytes(99), None
    )
    yield Item(
        "bomb in an icon.ico",
        struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, 99, 22) + png(small, 2, size=(60_000, 60_000)),
        None,
    )
    jp2 = bytearray(_jpeg2000(np.zeros((HEIGHT, WIDTH), np.uint16)))
    at = jp2.find(b"ihdr")
    jp2[at + 4 : at + 12] = struct.pack(">II", 60_000, 60_000)
    at = jp2.find(b"\xff\x51")
    jp2[at + 6 : at + 14] = struct.pack(">II", 60_000, 60_000)
    yield Item("bomb.jp2", bytes(jp2), None)
    text = zlib.compress(bytes(80_000_000), 9)
    yield Item("bomb of text.png", png(small, 2, chunk(b"zTXt", b"k\0\0" + text)), np.zeros((4, 4, 3), np.uint8))
    yield Item("bomb of a profile.png", png(small, 2, chunk(b"iCCP", b"k\0\0" + text)), np.zeros((4, 4, 3), np.uint8))


def _broken(rng: np.random.Generator) -> Iterator[Item]:
    rgb = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "PPM", "TGA", "AVIF"):
        data = saved(rgb, kind, **({"irreversible": False} if kind == "JPEG2000" else {}))
        yield Item(f"cut.{kind.lower()}", data[: len(data) * 6 // 10], None)
    deep = png(rgb.astype(np.uint16) * 16, 2)
    yield Item("cut, deep.png", deep[: len(deep) * 6 // 10], None)
    yield Item("cut, deep.tif", tiff(rgb.astype(np.uint16), 2)[:3000], None)
    middle = len(deep) // 2
    yield Item("damaged, deep.png", deep[:middle] + bytes(99) + deep[middle + 99 :], None)
    yield Item("nothing.png", b"", None)
    yield Item("zeros.png", bytes(3000), None)
    yield Item("page of an error.jpg", b"<html>404 not found</html>", None)
    yield Item("0 x 0.png", png(rgb[:0], 2), None)
    yield Item("0 x 0.ppm", b"P6 0 0 255\n", None)
    yield Item("random.png", rng.bytes(5000), None)


def _jpeg2000(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".jp2", pixels, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes()
