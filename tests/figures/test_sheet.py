"""Figures: which colour a value gets in every format, shared scales, real text in embedded fonts, sizes on paper."""

import base64
import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from cv_attention.drawing import COLOURS, Limits
from cv_attention.figures import Sheet, animate
from tests.quick import quick_first

GREY = np.full((48, 64, 3), 120, np.uint8)
SIGNED = np.array([[-2.0, 0.0, 1.0, 0.0]], np.float32)
POSITIVE = np.array([[0.0, 0.25, 0.5, 1.0]], np.float32)


def sheet(**options) -> Sheet:
    maps = {"signed": [SIGNED, SIGNED / 4], "positive": [POSITIVE, POSITIVE * 3]}
    return Sheet([GREY, GREY], maps, ["cat", "$dog$ & <b>"], "a run, epoch 1", opacity=1, **options)


def colours(limits: Limits, table: str, values: np.ndarray) -> np.ndarray:
    places = np.rint(np.clip((values - limits.low) / (limits.high - limits.low), 0, 1) * 255).astype(int)
    return COLOURS[table][places].astype(int)


def test_scales_are_shared_as_asked():
    alone, column, everything = (sheet(scale=scale) for scale in ("image", "column", "all"))
    assert alone.limits(1, "signed") == Limits(-0.5, 0.5, True)
    assert alone.limits(0, "positive") == Limits(0, 1, False)
    assert column.limits(1, "signed") == Limits(-2, 2, True)
    assert column.limits(0, "positive") == Limits(0, 3, False)
    assert everything.limits(0, "positive") == Limits(0, 3, False)  # signed columns have a scale of their own
    assert sheet(low=0, high=4).limits(0, "positive") == Limits(0, 4, False)
    assert alone.bar_of("signed") is None
    assert column.bar_of("signed") == Limits(-2, 2, True)
    both = Sheet([GREY, GREY], {"a": [POSITIVE, SIGNED]}, scale="image")
    assert both.limits(0, "a") == Limits(-1, 1, True)  # one table for the rows of a column


def test_ends_of_narrow_bars_do_not_overlap():
    """Measured with matplotlib: both ends where they fit, else the upper one, with a sign if both are alike."""
    matplotlib = pytest.importorskip("matplotlib")
    from cv_attention.figures.paper import _PARAMETERS, _figure

    heats = [SIGNED, SIGNED * 0.0955, SIGNED * 18.61, POSITIVE * 9.08e-7, POSITIVE * 0.69, SIGNED * 3.55e-8]
    maps = {f"{number}": [heat] for number, heat in enumerate(heats)}
    shown = {}
    for width in (4.0, 5.0, 7.0, 14.0):
        with matplotlib.rc_context(_PARAMETERS):
            figure = _figure(Sheet([GREY], maps), width, 100)
            figure.canvas.draw()
        texts = [text for text in figure.texts if text.get_text()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
        shown[width] = [text for text, _ in boxes]
        for place, (text, box) in enumerate(boxes):
            assert box.x1 <= figure.bbox.x1 + 1, (width, text)
            for other, there in boxes[:place]:
                assert not box.overlaps(there), (width, text, other)
    assert {"±2.00", "±0.191", "9.08e−7", "0.690", "±7.1e−8"} <= set(shown[4.0])
    assert {"9.08e−7", "−2.00"} <= set(shown[14.0])
    assert shown[14.0].count("0") == 7  # and the titles 0 to 5


@pytest.mark.parametrize("column", ["signed", "positive"])
def test_cells_have_the_colours_of_their_values(column):
    drawn = sheet()
    values, limits = (SIGNED if column == "signed" else POSITIVE)[0], drawn.limits(0, column)
    seen = drawn.picture(0, column)[24].astype(int)
    between = np.interp((np.arange(64) + 0.5) / 16 - 0.5, np.arange(4), values)  # bilinear
    expected = colours(limits, "blue-red" if column == "signed" else "inferno", between)
    assert np.abs(seen[[0, 63]] - expected[[0, 63]]).max() <= 2
    assert np.abs(seen - expected).max() <= 7  # where rounding takes the next of 256 colours
    assert (np.abs(seen - expected).max(1) <= 2).mean() > 0.9
    flat = Sheet([GREY], {"zero": [np.zeros((2, 2))]}, signed=True, opacity=1)
    assert np.abs(flat.picture(0, "zero").astype(int) - 245).max() <= 2


def rasters_of_svg(text: str) -> list[np.ndarray]:
    urls = re.findall(r'xlink:href="data:image/png;base64,\s*([^"]+)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(url))).convert("RGB")).astype(int) for url in urls]


def test_svg_holds_the_cells_and_real_text(tmp_path):
    drawn = sheet()
    text = drawn.save(tmp_path / "a.svg").read_text()
    words = re.findall(r"<text [^>]*>(.*?)</text>", text, re.S)
    for word in ("signed", "positive", "cat", "a run, epoch 1", "−2.00", "2.00", "1.00", "$dog$", "&amp; &lt;b&gt;"):
        assert any(word in one for one in words), word
    assert "@font-face" in text
    assert set(re.findall(r"font(?:-size)?: ([\d.]+)px", text)) == {"8"}
    assert re.search(r'<svg [^>]*width="504pt"', text)  # 7 inches
    factor = 2 * 300 // 64
    cell = np.asarray(GREY).repeat(factor, 0).repeat(factor, 1)
    wanted = drawn.picture_over(cell, 0, "signed").astype(int)
    assert any(one.shape == wanted.shape and np.abs(one - wanted).max() <= 2 for one in rasters_of_svg(text))
    assert drawn.rendered("svg") == text.encode()  # the same figure, the same bytes


def test_pdf_embeds_its_fonts_and_keeps_text(tmp_path):
    content = sheet().save(tmp_path / "a.pdf").read_bytes()
    assert content.count(b"/FontFile2") == content.count(b"/Type /FontDescriptor") >= 1
    assert b"DejaVuSans" in content
    streams = [part.split(b"endstream")[0].strip(b"\r\n") for part in content.split(b"stream\n")[1:]]
    pages = b"".join(zlib.decompress(one) for one in streams if one[:1] == b"\x78")
    assert b"Tj" in pages or b"TJ" in pages
    assert re.search(rb"/MediaBox \[ 0 0 504 ", content)


def test_png_is_white_at_its_width_and_has_the_maps_colours(tmp_path):
    drawn = sheet()
    path = drawn.save(tmp_path / "a.png", width=6, dpi=150)
    with Image.open(path) as opened:
        assert opened.width == 900
        assert opened.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    assert (pixels[0] == 255).all()
    limits = drawn.limits(0, "positive")
    for value in (0.0, 1.0):
        wanted = colours(limits, "inferno", np.array([value]))[0]
        assert (np.abs(pixels - wanted).max(2) <= 2).sum() > 200, value


def test_too_many_columns_and_wrong_files_are_refused(tmp_path):
    many = Sheet([GREY], {str(i): [POSITIVE] for i in range(40)})
    with pytest.raises(ValueError, match=r"41 columns do not fit into 3\.4 inches"):
        many.save(tmp_path / "a.pdf", width=3.4)
    with pytest.raises(ValueError, match=r"must end in \.svg, \.pdf, \.png, \.webp, got 'a\.jpg'"):
        sheet().save(tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], {}), "at least one image"),
        (([GREY], {"a": [POSITIVE, POSITIVE]}), "one for each of 1 images, got 2"),
        (([GREY], {"a": [POSITIVE]}, ["x", "y"]), "label for each of 1 images, got 2"),
        (([GREY], {}, [], "", "row"), "scale must be one of image, column, all, got 'row'"),
        (([GREY], {"a": [np.zeros(3)]}), r"heat must be \(h, w\)"),
    ],
)
def test_sheets_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sheet(*arguments)


def test_animations_hold_a_frame_for_each_sheet(tmp_path):
    frames = [Sheet([GREY], {"a": [POSITIVE * k]}, caption=f"epoch {k}", low=0, high=3, opacity=1) for k in (1, 2, 3)]
    with Image.open(animate(frames, tmp_path / "a.webp", width=2, dpi=100, seconds=0.5)) as opened:
        assert (opened.n_frames, opened.width) == (3, 200)
        seen = []
        for number in range(3):
            opened.seek(number)
            seen.append(np.asarray(opened.convert("RGB")).astype(int))
            assert opened.info["duration"] == (1500 if number == 2 else 500)
    assert np.abs(seen[0] - seen[2]).max() > 50
    with pytest.raises(ValueError, match="at least one frame"):
        animate([], tmp_path / "b.webp")
    for others in ([frames[0], frames[0]], [frames[0]]):  # of one size, and one more of another
        wide = Sheet([np.repeat(GREY, 2, axis=1)], {"a": [POSITIVE]}, low=0, high=3)
        with pytest.raises(ValueError, match="frames of an animation must have one size"):
            animate([*others, wide], tmp_path / "b.webp", width=2, dpi=50)
    for name, seconds, message in [("b.gif", 1, "must end in .webp"), ("b.webp", 0, "seconds must be"),
                                   ("b.webp", 60.5, "seconds must be")]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            animate(frames, tmp_path / name, seconds=seconds)
    assert not (tmp_path / "b.webp").exists()


def test_missing_maps_leave_the_image_bare():
    drawn = Sheet([GREY, GREY], {"a": [None, POSITIVE]}, scale="column")
    assert (drawn.picture(0, "a") == GREY).all()
    assert drawn.limits(0, "a") is None
    assert drawn.rendered("png", width=2, dpi=50)


@pytest.mark.parametrize(
    "name",
    quick_first(["a\x07b\x00", "\udcff", "$\\frac{", "", "\u202eabc", "x" * 300, "猫", "قطة", "a\nb\nc\nd"], 4),
)
def test_hostile_names_are_drawn_in_every_format(name):
    import xml.etree.ElementTree as ElementTree

    drawn = Sheet([GREY], {name: [POSITIVE]}, [name], name)
    assert drawn.rendered("png", width=2, dpi=50).startswith(b"\x89PNG")
    assert drawn.rendered("pdf", width=2).startswith(b"%PDF")
    ElementTree.fromstring(drawn.rendered("svg", width=2))
    drawn._repr_html_().encode()
