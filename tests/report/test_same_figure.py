"""Figures by the page and by Python: the same colours for the same values, the same places on the axes."""

import base64
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention import report
from cv_attention.figures import Sheet
from cv_attention.report.naming import column_name
from tests.report import panel_run

pytestmark = pytest.mark.browser
SVG = "{http://www.w3.org/2000/svg}"
COLUMNS = {0: "grad_cam", 1: "layer1", 2: "layer2", 3: "layer3", 4: "signed", 5: "weights", 6: "flat"}


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps of all kinds: saliency, gates up to one and beyond, signed maps, weights that sum to one, a constant."""
    run = panel_run.add_panels(make_run(tmp_path_factory.mktemp("same") / "a", epochs=6, probes=4))
    rng = np.random.default_rng(0)
    for epoch in (0, 2, 4):
        path = run / f"maps/epoch-{epoch:04d}.npz"
        with np.load(path) as opened:
            arrays = {name: values for name, values in opened.items() if not name.startswith("gate")}
        arrays["layer2"] = np.clip(arrays["layer2"], 0, 1)  # within 0 to 1
        arrays["layer3"] = arrays["layer3"] - np.float16(0.2 * (epoch == 0))  # signed by what came before
        arrays["weights"] = rng.dirichlet(np.ones(64) * 0.3, 4).reshape(4, 8, 8).astype(np.float32)
        arrays["flat"] = np.full((4, 8, 8), 0.25, np.float32)
        arrays["grad_cam"][1, 2, 3] = np.nan
        np.savez(path, **arrays)
        about = path.with_suffix(".json")
        record = json.loads(about.read_text())
        kept = {key: column for key, column in record["columns"].items() if key in arrays}
        kept["layer3"]["kind"] = "spatial"
        kept["weights"] = {"title": "weights.map", "source": "attention", "kind": "spatial"}
        kept["flat"] = {"title": "flat", "source": "saliency", "kind": "flat"}
        about.write_text(json.dumps({**record, "columns": kept}))
    report.build(run)
    return run


def sheet_of(run: Path, titles: list[str], **options) -> Sheet:
    sheet = report.figure(run, rows=["0-3"], columns=titles, **options)
    assert isinstance(sheet, Sheet)
    return sheet


def titles_of(run: Path) -> list[str]:
    columns = json.loads((run / "maps/epoch-0004.json").read_text())["columns"]
    return [columns[key]["title"] for key in COLUMNS.values()]


@pytest.mark.parametrize("colours", ["viridis", "cividis"])
@pytest.mark.parametrize(("of_page", "of_python"), [("natural", "natural"), ("image", "image"), ("column", "column")])
def test_each_value_has_one_colour(open_page, run: Path, of_page: str, of_python: str, colours: str) -> None:
    titles = titles_of(run)
    sheet = sheet_of(run, titles, scale=of_python, opacity=1, colours=colours)
    address = f"#epoch=5&opacity=1&smooth=0&colours={colours}&scale={of_page}&columns=0,1,2,3,4,5,6&box=0"
    opened = open_page(address, run / "report/index.html")
    for title in titles:
        for row in (0, 1):
            drawn = opened.pixels(title, row)
            heat = sheet.maps[column_name(title)][row]
            python = sheet.picture_over(np.zeros((*heat.shape, 3), np.uint8), row, column_name(title)).astype(int)
            opaque = drawn[..., 3] == 255
            np.testing.assert_array_equal(opaque, np.isfinite(heat))
            most = 2 if heat.size <= 32 * 32 else 5  # the page stores larger maps in 256 steps
            assert np.abs(drawn[..., :3].astype(int) - python)[opaque].max() <= most, (title, row)


def test_the_figure_is_drawn_as_the_page_opens(open_page, run: Path) -> None:
    """Of each map the pixels of both figures at the centres of the photograph's pixels: resampled, over the image."""
    titles = titles_of(run)[:5]
    sheet = sheet_of(run, titles)
    opened = open_page("#epoch=5&columns=0,1,2,3,4&selected=0-3&box=0", run / "report/index.html")
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Maps as SVG").first.click()
    drawing = ET.fromstring(Path(download.value.path()).read_bytes())
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Maps as PNG").first.click()
    picture = np.asarray(Image.open(download.value.path()).convert("RGB"), int)
    scale = picture.shape[1] / float(drawing.get("viewBox").split()[2])
    places = [one for one in drawing.iter(f"{SVG}image") if side(one) != 64]
    assert len(places) == 20
    off = []
    for number, place in enumerate(places):
        row, title = divmod(number, 5)
        x, y, width, height = (scale * float(place.get(side)) for side in ("x", "y", "width", "height"))
        centres = [(np.arange(64) + 0.5) / 64 * length + start for start, length in ((y, height), (x, width))]
        seen = picture[np.ix_(*(np.floor(at).astype(int) for at in centres))]
        off.append(np.abs(seen - sheet.picture(row, column_name(titles[title])).astype(int)).max(2)[3:-3, 3:-3])
    differences = np.stack(off)
    print(
        "of 255: mean, median, 95th percentile, largest", differences.mean(), *np.quantile(differences, [0.5, 0.95, 1])
    )
    assert np.median(differences) <= 1
    assert np.percentile(differences, 95) <= 3  # browsers resample small images in their own way


def side(place: ET.Element) -> int:
    return Image.open(io.BytesIO(base64.b64decode(place.get("href").split(",")[1]))).width


@pytest.mark.parametrize(("address", "options"), [
    ("#smoothing=0.6", {"smoothing": 0.6}), ("#log=1&by=step", {"log": True, "by": "step"}),
])  # fmt: skip
def test_curves_lie_in_the_same_place_of_the_axes(open_page, run: Path, address: str, options: dict) -> None:
    chart = report.figure(run, panel="curves", **options)
    opened = open_page(address, run / "report/index.html")
    plots = opened.page.locator(".chart .plot")
    for number, part in enumerate(chart.parts):
        plot = plots.nth(number)
        width, height = plot.evaluate("(svg) => [svg.clientWidth, svg.clientHeight]")
        lines = plot.locator("polyline").evaluate_all("(all) => all.map((one) => one.getAttribute('points'))")
        assert len(lines) == len(part.lines)
        (x0, x1), ends = part.ends_x, np.array(part.ends_y)
        for text, line in zip(lines, part.lines, strict=True):
            seen = np.array([point.split(",") for point in text.split()], float)
            values, (low, high) = (np.log(line.y), np.log(ends)) if part.log else (np.array(line.y), ends)
            np.testing.assert_allclose((seen[:, 0] - 50) / (width - 62), (np.array(line.x) - x0) / (x1 - x0), atol=2e-3)
            np.testing.assert_allclose(
                (height - 36 - seen[:, 1]) / (height - 44), (values - low) / (high - low), atol=2e-3
            )


@pytest.mark.parametrize("errors", [False, True])
def test_confusion_matrices_have_the_same_colours(open_page, run: Path, errors: bool) -> None:
    opened = open_page("#pairs=errors" if errors else "", run / "report/index.html")
    canvas = opened.page.locator("canvas.confusion-map")
    [matrix] = report.figure(run, panel="confusion", errors=errors).parts
    drawn = np.array(canvas.evaluate("(c) => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"))
    drawn = drawn.reshape(10, 10, 4)
    shown = drawn[..., 3] == 255
    np.testing.assert_array_equal(shown, np.isfinite(matrix.shares()))
    assert np.abs(drawn[..., :3] - matrix.pixels().astype(int))[shown].max() <= 2
    tones = [text.get_attribute("class") for text in opened.page.locator(".confusion-counts span").all()]
    light = (matrix.pixels() / 255) ** 2.2 @ (0.2126, 0.7152, 0.0722) > 0.45
    if not errors:
        assert tones == ["on-light" if one else "on-dark" for one in light[matrix.counts > 0]]
