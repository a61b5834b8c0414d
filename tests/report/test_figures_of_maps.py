"""The maps as a figure, made by the page: the drawing of all figures, with what is selected, compared and filtered."""

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention import report

pytestmark = pytest.mark.browser
SVG = "{http://www.w3.org/2000/svg}"
PLAIN = "#epoch=5&opacity=1&smooth=0&colours=grey&box=0"


def save(opened, kind: str, button: str = "Maps") -> bytes:
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name=f"{button} as {kind}").first.click()
    assert download.value.suggested_filename == f"cbam-maps.{kind.lower()}"
    return Path(download.value.path()).read_bytes()


def texts(drawing: ET.Element) -> list[str]:
    return ["".join(one.itertext()).replace("\N{NO-BREAK SPACE}", " ").strip() for one in drawing.iter(f"{SVG}text")]


def maps_of(drawing: ET.Element) -> list[tuple[ET.Element, np.ndarray]]:
    """The maps in the drawing with their pixels, without the photographs, which have 64 × 64 here."""
    found = list(drawing.iter(f"{SVG}image"))
    files = [io.BytesIO(base64.b64decode(one.get("href").split(",")[1])) for one in found]
    pixels = [np.asarray(Image.open(file).convert("RGBA")) for file in files]
    return [(one, of_one) for one, of_one in zip(found, pixels, strict=True) if of_one.shape[:2] != (64, 64)]


def recorded(runs: Path, key: str) -> np.ndarray:
    with np.load(runs / "cbam/maps/epoch-0004.npz") as arrays:
        return arrays[key].astype(float)


def test_the_figure_has_the_selected_rows_the_shown_columns_and_their_values(open_page, runs: Path) -> None:
    opened = open_page(f"{PLAIN}&columns=3,4&scale=image&selected=0,2")
    drawing = ET.fromstring(save(opened, "SVG"))
    drawn = maps_of(drawing)
    assert len(drawn) == 4
    of_keys = [(key, sample) for sample in (0, 2) for key in ("layer3", "signed")]
    for (_, pixels), (key, sample) in zip(drawn, of_keys, strict=True):
        values = recorded(runs, key)[sample]
        assert pixels.shape[:2] == values.shape
        if key == "layer3":
            expected = np.floor(255 * (values - values.min()) / (values.max() - values.min()) + 0.5)
            assert np.abs(pixels[..., 0] - expected).max() <= 1
    known = texts(drawing)
    most = recorded(runs, "layer3").max((1, 2))
    assert {f"{most[0]:.3g}", f"{most[2]:.3g}"} <= set(known)
    assert {"layer3.2.bn2.", "relevance"} & {word for text in known for word in text.split()} or "layer3." in known
    assert known[-1] == "Maps, cbam, epoch 5; each map has its own scale"
    assert drawing.get("width") == "513pt"  # 7 inches and a margin
    sizes = [float(one.get("font-size").removesuffix("px")) for one in drawing.iter(f"{SVG}text")]
    assert min(sizes) * 0.75 >= 8  # points


def test_the_png_has_the_pixels_of_the_maps_on_white(open_page, runs: Path) -> None:
    opened = open_page(f"{PLAIN}&columns=3&scale=image&selected=1")
    opened.page.emulate_media(color_scheme="dark")
    opened.panel("export")
    drawing = ET.fromstring(save(opened, "SVG"))
    with opened.page.expect_download() as download:
        opened.page.locator("#panel-export").get_by_text("View as PNG").click()
    with Image.open(download.value.path()) as file:
        assert file.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        picture = np.asarray(file.convert("RGB"), int)
    assert (picture[:5] == 255).all()
    [(place, pixels)] = maps_of(drawing)
    x, y, width, height = (float(place.get(side)) for side in ("x", "y", "width", "height"))
    scale = picture.shape[1] / float(drawing.get("viewBox").split()[2])
    rows, columns = pixels.shape[:2]
    for row in range(1, rows - 1, 3):
        for column in range(1, columns - 1, 3):
            at = (y + (row + 0.5) * height / rows, x + (column + 0.5) * width / columns)
            seen = picture[round(at[0] * scale), round(at[1] * scale)]
            assert np.abs(seen - pixels[row, column, :3]).max() <= 2
    assert opened.page.evaluate("document.documentElement.getAttribute('data-theme')") is None  # still dark
    assert opened.page.locator(".printed").count() == 0


def test_what_is_compared_and_hidden_by_the_threshold_is_in_the_figure(open_page, titles: dict[str, str]) -> None:
    opened = open_page(f"{PLAIN}&columns=0,5&versus=epoch:0&compare=swipe&split=0.25&threshold=0.3&selected=0")
    drawing = ET.fromstring(save(opened, "SVG"))
    known = texts(drawing)
    assert {"A", "B", "epoch 5", "epoch 1"} <= set(known)
    assert known[-1] == "Maps, cbam, epoch 5, A epoch 5, B epoch 1, swipe; the natural scale of each kind of map"
    clips = {clip.get("id"): clip.find(f"{SVG}rect") for clip in drawing.iter(f"{SVG}clipPath")}
    groups = {group: group.get("clip-path")[5:-1] for group in drawing.iter(f"{SVG}g") if group.get("clip-path")}
    (place, _) = maps_of(drawing)[0]
    own = next(clips[name] for group, name in groups.items() if place in list(group))
    assert float(own.get("width")) == pytest.approx(float(place.get("width")) / 4, rel=0.02)  # A, left of the line
    assert float(own.get("x")) == pytest.approx(float(place.get("x")), abs=0.1)
    boxes = [(one.get("width"), one.get("fill")) for one in drawing.iter(f"{SVG}rect")]
    assert boxes.count(("2", "rgb(255, 255, 255)")) == 2  # the line in each map
    assert (maps_of(drawing)[0][1][..., 3] == 0).any()  # below the threshold


def test_drawings_have_the_inks_of_light_paper(open_page) -> None:
    opened = open_page("#epoch=5&columns=5&selected=0")
    light = maps_of(ET.fromstring(save(opened, "SVG")))[0][1]
    opened.page.emulate_media(color_scheme="dark")
    opened.settle()
    before = opened.pixels("layer2.2.bn2.attention.channel.map")
    dark = maps_of(ET.fromstring(save(opened, "SVG")))[0][1]
    np.testing.assert_array_equal(dark, light)
    after = opened.pixels("layer2.2.bn2.attention.channel.map")
    np.testing.assert_array_equal(after, before)
    assert {tuple(one) for one in before[before[..., 3] == 255]} != {tuple(one) for one in light[light[..., 3] == 255]}


def test_many_columns_go_below_each_other_and_pdf_is_one_page(open_page) -> None:
    opened = open_page("#epoch=5&columns=0,1,2,3,4,5,6&selected=0-1")
    drawing = ET.fromstring(save(opened, "SVG"))
    drawn = [(float(place.get("x")), float(place.get("y"))) for place, _ in maps_of(drawing)]
    assert len(drawn) == 14
    assert len({x for x, _ in drawn}) == 4
    assert len({y for _, y in drawn}) == 4  # two rows of maps for each image
    right = float(drawing.get("viewBox").split()[2])
    assert max(float(one.get("x")) for one in drawing.iter(f"{SVG}text") if one.get("x")) < right
    opened.page.evaluate("() => { window.print = () => { window.printed = true; }; }")
    opened.page.get_by_role("button", name="Maps as PDF").first.click()
    opened.until("window.printed === true")
    file = opened.page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", file)) == 1
    opened.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert opened.page.locator(".paper-figure").count() == 0


@pytest.mark.long
def test_the_first_images_are_drawn_however_many_there_are(
    open_page, tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    opened = open_page("#columns=0,1,2,3,4", index=report.build(make_run(tmp_path / "cbam", epochs=1, probes=40)))
    drawn = maps_of(ET.fromstring(save(opened, "SVG")))
    assert len(drawn) == 24 * 5
    assert all(pixels[..., 3].any() for _, pixels in drawn)  # none is empty


def test_a_dark_page_is_printed_in_light_inks(open_page) -> None:
    opened = open_page("#epoch=5&columns=5&selected=0")
    page = opened.page
    inks = "(canvas) => [...canvas.getContext('2d').getImageData(0, canvas.height - 9, 1, 1).data].join()"
    light = page.locator(".probe:not([hidden]) canvas.a").first.evaluate(inks)
    page.emulate_media(color_scheme="dark")
    opened.settle()
    assert page.locator(".probe:not([hidden]) canvas.a").first.evaluate(inks) != light
    page.evaluate("() => { window.print = () => { window.printed = true; }; }")
    opened.panel("export")
    page.get_by_role("button", name="Print").click()
    opened.until("window.printed === true")
    assert page.locator(".printed canvas.a").first.evaluate(inks) == light
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.getAttribute('data-theme')") is None
    assert page.locator(".printed").count() == 0
