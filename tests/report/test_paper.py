"""Panels as figures, made by the page: what they show, as real text and shapes on white, at 300 dots per inch."""

import base64
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from tests.report import panel_run
from tests.report.node import call

pytestmark = pytest.mark.browser
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def index(make_run, tmp_path_factory) -> Path:
    run = panel_run.add_panels(make_run(tmp_path_factory.mktemp("paper") / "a", epochs=6, probes=4))
    return report.build(run)


def save(opened, panel: str, kind: str) -> bytes:
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name=f"{panel} as {kind}").click()
    assert download.value.suggested_filename == f"a-{panel.lower()}.{kind.lower()}"
    return Path(download.value.path()).read_bytes()


def texts(drawing: ET.Element) -> list[str]:
    return ["".join(one.itertext()) for one in drawing.iter(f"{SVG}text")]


def test_curves_are_shapes_and_text_in_light_colours(open_page, index) -> None:
    opened = open_page("", index)
    opened.page.emulate_media(color_scheme="dark")
    drawing = ET.fromstring(save(opened, "Curves", "SVG"))
    known = texts(drawing)
    assert {"Loss", "Accuracy", "Train loss", "Val loss", "epochs trained", "Curves, a"} <= set(known)
    lines = list(drawing.iter(f"{SVG}polyline"))
    assert {one.get("stroke") for one in lines} == {"rgb(0, 114, 178)", "rgb(213, 94, 0)"}
    figure = report.figure(index.parent.parent, panel="curves")
    of_python = [len(line.x) for part in figure.parts for line in part.lines]
    assert [len(one.get("points").split()) for one in lines] == of_python
    values = np.array(figure.parts[1].lines[0].y)  # the accuracy, from left to right and bottom to top
    drawn = np.array([point.split(",") for point in lines[2].get("points").split()], float)
    slope, start = np.polyfit(values, drawn[:, 1], 1)
    np.testing.assert_allclose(drawn[:, 1], slope * values + start, atol=0.1)
    assert drawing.get("width") == "513pt"  # 7 inches and a margin
    background = drawing.find(f"{SVG}rect")
    assert background.get("fill") == "#fff"
    sizes = [float(one.get("font-size").removesuffix("px")) for one in drawing.iter(f"{SVG}text")]
    assert min(sizes) * 0.75 >= 8  # points
    assert opened.page.evaluate("document.querySelector('.on-paper')") is None
    assert opened.page.evaluate("document.documentElement.getAttribute('data-theme')") is None


@pytest.mark.long
def test_figures_asked_for_at_once_leave_the_theme_as_it_was(open_page, index) -> None:
    opened = open_page("", index)
    for kind in ("SVG", "PNG", "SVG"):
        opened.page.get_by_role("button", name=f"Curves as {kind}").dispatch_event("click")
    opened.page.wait_for_timeout(1500)
    assert opened.page.evaluate("document.documentElement.getAttribute('data-theme')") is None
    assert opened.page.locator(".on-paper").count() == 0


def test_every_panel_can_be_saved(open_page, index) -> None:
    opened = open_page("#epoch=5", index)
    for panel in ("Network", "Attention", "Classes", "Faithfulness"):
        drawing = ET.fromstring(save(opened, panel, "SVG"))
        assert f"{panel}, a" + (", epoch 5" if panel == "Attention" else "") in texts(drawing)
        assert not re.search(r"NaN|undefined", ET.tostring(drawing, "unicode"))
    [matrix] = report.figure(index.parent.parent, panel="confusion").parts
    counts = [int(one) for one in texts(ET.fromstring(save(opened, "Classes", "SVG"))) if one.isdigit()]
    assert sorted(counts) == sorted([*matrix.counts[matrix.counts > 0], 0, 100])  # and the ends of the colour bar


def test_a_png_is_white_has_300_dots_per_inch_and_the_pixels_of_the_panel(open_page, index) -> None:
    opened = open_page(f"#epoch=5&opacity=1&smooth=0&sample=1&site={panel_run.PAIRWISE}", index)
    file = save(opened, "Attention", "PNG")
    with Image.open(io.BytesIO(file)) as opened_file:
        assert opened_file.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        picture = np.asarray(opened_file.convert("RGB"))
    assert picture.shape[1] == round(684 * 300 / 96)
    assert (picture[:5] == 255).all()
    drawing = ET.fromstring(save(opened, "Attention", "SVG"))
    height = float(drawing.get("viewBox").split()[3])
    found = [one for one in drawing.iter(f"{SVG}image") if one.get("href").startswith("data:image/png")]
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(one.get("href").split(",")[1]))).convert("RGBA") for one in found
    ]
    opaque = [number for number, one in enumerate(pictures) if one.getextrema()[3] == (255, 255) and one.width < 64]
    place, map_of_svg = found[opaque[0]], pictures[opaque[0]]
    x, y, width, tall = (float(place.get(side)) for side in ("x", "y", "width", "height"))
    scale = picture.shape[0] / height
    cells = np.asarray(map_of_svg)
    for row, column in ((0, 0), (cells.shape[0] - 1, cells.shape[1] // 2)):
        at = (y + (row + 0.5) * tall / cells.shape[0], x + (column + 0.5) * width / cells.shape[1])
        seen = picture[round(at[0] * scale), round(at[1] * scale)]
        assert np.abs(seen.astype(int) - cells[row, column, :3]).max() <= 2


def test_pdf_is_a_page_of_the_figures_size_with_its_text(open_page, index) -> None:
    opened = open_page("", index)
    opened.page.evaluate("() => { window.print = () => { window.printed = true; }; }")
    opened.page.get_by_role("button", name="Faithfulness as PDF").click()
    opened.until("window.printed === true")
    file = opened.page.pdf(prefer_css_page_size=True)
    box = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", file)
    assert float(box[1]) == pytest.approx(513, abs=2)
    assert file.count(b"/Type /Page\n") + file.count(b"/Type /Page ") <= 1 or b"/Count 1" in file
    assert b"/FontFile" in file  # embedded
    opened.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert opened.page.locator(".paper-figure").count() == 0


def test_the_resolution_is_written_as_pillow_reads_it() -> None:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(file, "PNG")
    made = call(f"[...withResolution(new Uint8Array({list(file.getvalue())}), 300)]", "tools/png.js")
    with Image.open(io.BytesIO(bytes(made))) as opened:
        opened.load()
        assert opened.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert opened.getpixel((2, 1)) == (255, 0, 0)
