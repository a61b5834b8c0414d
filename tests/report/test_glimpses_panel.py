"""The glimpse panel: boxes, numbers and the path where the glimpses were, a slider, torn and hostile files."""

import numpy as np
import pytest

from cv_attention import report
from cv_attention.rundir.arrays import write_arrays
from tests.report.written import only_run, payload

PLACES = np.array([[[0, 0], [0.5, -0.5], [-1, 1]], [[0, 0], [1, 1], [0.25, 0]]], np.float32)
EXTENTS = np.tile(np.array([[0.25, 0.25], [0.5, 0.5]], np.float32), (2, 3, 1, 1))
ARRAYS = {"places:net.places": PLACES, "extents:net.places": EXTENTS}


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    directory = make_run(tmp_path_factory.mktemp("glimpses") / "run", epochs=3, probes=2, seed=0)
    for epoch in (0, 2):
        write_arrays(directory / f"maps/glimpses-{epoch:04d}.npz", ARRAYS)
    return directory


def test_the_page_gets_fractions_of_the_image(run):
    shown = only_run(report.build(run))
    assert sorted(shown["panels"]["glimpses"]) == ["0", "2"]
    content = payload(next((run / "report/data/run0").glob("e2-glimpses.*.js")))["net.places"]
    assert content["places"][0] == [[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]
    assert content["extents"][1][2] == [[0.125, 0.125], [0.25, 0.25]]


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"places:a": PLACES[:1]},
        {"places:a": PLACES[..., :1]},
        {"places:a": PLACES.astype(object)},
        {"places:a": np.where(PLACES == 1, np.nan, PLACES)},
        {"places:a": PLACES, "extents:a": EXTENTS[:, :2]},
        {"places:a": PLACES, "extents:a": np.full_like(EXTENTS, np.inf)},
        None,
    ],
)
def test_what_cannot_be_shown_is_a_notice(make_run, tmp_path, arrays):
    directory = make_run(tmp_path / "run", epochs=1, probes=2, seed=0)
    path = directory / "maps/glimpses-0000.npz"
    if arrays is None:
        path.write_bytes(b"PK torn")
    else:
        np.savez(path, **arrays)
    shown = only_run(report.build(directory))
    assert shown["panels"]["glimpses"] == {}
    assert shown["notices"] == ["maps/glimpses-0000.npz could not be read and is left out."]


@pytest.mark.browser
def test_boxes_numbers_and_the_path(open_page, run):
    report.build(run)
    opened = open_page("", index=run / "report/index.html")
    opened.until("document.querySelectorAll('.glimpse').length === 3")
    page = opened.page
    assert page.locator(".glimpse-number").all_text_contents() == ["1", "2", "3"]
    assert page.locator(".glimpse-path").get_attribute("d") == "M50.00 50.00 L75.00 25.00 L0.00 100.00"
    sides = [page.locator("[data-step='1'] rect").nth(i) for i in range(2)]
    found = [[float(box.get_attribute(name)) for name in ("x", "y", "width", "height")] for box in sides]
    assert found == [[62.5, 12.5, 25, 25], [50, 0, 50, 50]]
    image, mark = page.locator(".glimpse-frame").bounding_box(), page.locator("[data-step='1'] circle").bounding_box()
    assert mark["x"] + mark["width"] / 2 == pytest.approx(image["x"] + 0.75 * image["width"], abs=1)
    assert mark["y"] + mark["height"] / 2 == pytest.approx(image["y"] + 0.25 * image["height"], abs=1)
    page.locator("input[name=glimpse]").evaluate("(e) => { e.value = 2; e.dispatchEvent(new Event('input')); }")
    opened.until("document.querySelectorAll('.glimpse').length === 2")
    assert "glimpse=2" in page.url
    assert page.locator(".glimpse.now").get_attribute("data-step") == "1"
    assert "75 % from the left, 25 % from the top" in page.locator(".glimpse-words").inner_text()
    page.locator("input[name=glimpse]").evaluate("(e) => { e.value = 3; e.dispatchEvent(new Event('input')); }")
    opened.until("document.querySelectorAll('.glimpse').length === 3")
    assert opened.faults == []


@pytest.mark.browser
def test_a_run_without_glimpses_has_no_panel(open_page, tmp_path, make_run):
    run = make_run(tmp_path / "plain", epochs=1, probes=2, seed=0)
    report.build(run)
    opened = open_page("", index=run / "report/index.html")
    assert opened.page.locator("section[aria-labelledby=glimpses]").is_hidden()
