"""Columns, zoom and rendering, against the maps that were written."""

from pathlib import Path

import numpy as np
import pytest

from tests.quick import quick_first, quick_only
from tests.report.test_pixels import EPOCHS, recorded, steps

pytestmark = pytest.mark.browser


def heads(opened) -> list[str]:
    return opened.page.locator(".head-name").all_inner_texts()


def test_columns_are_chosen_and_reordered(open_page, titles: dict[str, str]) -> None:
    opened = open_page("#columns=0,1,2")
    opened.panel("columns")
    assert heads(opened) == ["Grad-CAM", "layer1.0.bn2.attention.spatial", "layer2.2.bn2.attention.spatial"]
    opened.page.get_by_role("button", name="Move Grad-CAM to the right").click()
    assert heads(opened)[1] == "Grad-CAM"
    assert opened.page.evaluate("document.activeElement.ariaLabel") == "Move Grad-CAM to the right"
    opened.page.keyboard.press("Enter")
    assert heads(opened)[2] == "Grad-CAM"
    assert "columns=1,2,0" in opened.page.evaluate("location.hash")
    ordered = opened.page.locator(".ordered")
    ordered.nth(2).drag_to(ordered.nth(0))
    assert heads(opened)[0] == "Grad-CAM"
    assert "columns=0,1,2" in opened.page.evaluate("location.hash")
    opened.page.locator(".chip", has_text="layer3.2").first.locator("input").check()
    assert heads(opened)[3].startswith("layer3.2")
    cells = opened.page.locator('.probe[data-sample="0"] .cell')
    assert [int(cell.get_attribute("data-column")) for cell in cells.all()][:3] == [0, 1, 2]


def test_column_that_was_not_logged_shows_its_nearest_epoch(open_page, run_directory: Path) -> None:
    import json

    from cv_attention import report

    path = run_directory / "maps/epoch-0004.json"
    content = json.loads(path.read_text())
    del content["columns"]["layer3"]
    path.write_text(json.dumps(content))
    opened = open_page("#scale=image&epoch=5&smooth=0&colours=grey&columns=0,3", index=report.build(run_directory))
    title = "layer3.2.bn2.attention.spatial.map"
    with np.load(run_directory / "maps/epoch-0002.npz") as arrays:
        values = arrays["layer3"][0].astype(float)
    assert np.array_equal(opened.pixels(title)[..., 0], steps(values, values.min(), values.max()))
    assert opened.cell(title).locator(".elsewhere:not(.target)").inner_text() == "epoch 3"
    assert not opened.cell("Grad-CAM").locator(".elsewhere:not(.target)").is_visible()


def test_zoom_and_pan_are_linked(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page("#scale=image&epoch=3&opacity=1&smooth=0&colours=grey&box=0&size=128&columns=0,2")
    frame = opened.cell(titles["layer2"]).locator(".frame")
    frame.scroll_into_view_if_needed()
    place = frame.bounding_box()
    opened.page.mouse.move(place["x"] + 34.5, place["y"] + 98.5)
    opened.page.keyboard.down("Control")
    for _ in range(4):
        opened.page.mouse.wheel(0, -100)
    opened.page.keyboard.up("Control")
    opened.until("location.hash.includes('zoom=4')")
    # The cell of 32 x 32 under the pointer, (24, 8), now covers 16 pixels and stays under the pointer.
    values = recorded(runs, 2, "layer2")[0]
    level = steps(values, values.min(), values.max())
    seen = opened.screenshot(frame)[..., 0]
    assert abs(seen[98, 35] - level[24, 8]) <= 1
    assert abs(seen[98, 46] - level[24, 9]) <= 1
    cam = recorded(runs, 2, "grad_cam")[0]
    linked = opened.screenshot(opened.cell(titles["grad_cam"]).locator(".frame"))[..., 0]
    assert abs(linked[98, 35] - steps(cam, cam.min(), cam.max())[6, 2]) <= 1
    shown = opened.page.locator(".readout")
    opened.page.mouse.move(place["x"] + 50.5, place["y"] + 96.5)
    assert shown.inner_text().endswith("row 24, column 9 of 32 × 32")
    opened.page.mouse.down()
    opened.page.mouse.move(place["x"] + 18.5, place["y"] + 80.5, steps=4)
    opened.page.mouse.up()
    opened.page.mouse.move(place["x"] + 18.4, place["y"] + 80.5)
    assert shown.inner_text().endswith("row 24, column 9 of 32 × 32")  # it was dragged there
    opened.page.keyboard.press("0")
    assert "zoom" not in opened.page.evaluate("location.hash")


@pytest.mark.parametrize("key", quick_only(["signed"], ["layer3", "signed"]))
def test_threshold_and_contour(open_page, runs: Path, titles: dict[str, str], key: str) -> None:
    opened = open_page("#scale=image&epoch=3&opacity=1&smooth=0&columns=3,4")
    opened.panel("display")
    opened.page.locator("input[name=threshold]").fill("0.6")
    values = recorded(runs, 2, key)[0]
    most = np.abs(values).max()
    share = np.abs(values) / most if key == "signed" else (values - values.min()) / np.ptp(values)
    alpha = opened.pixels(titles[key])[..., 3]
    clear = np.abs(share - 0.6) > 1e-3
    assert np.array_equal(alpha[clear] > 0, share[clear] >= 0.6)
    opened.page.get_by_role("checkbox", name="Contour").check()
    drawn = opened.pixels(titles[key]).astype(int)
    factor = drawn.shape[0] // 16
    assert factor == 8
    inside = (share >= 0.6).repeat(factor, 0).repeat(factor, 1)
    padded = np.pad(inside, 1, mode="edge")
    neighbours = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
    edge = np.any([near != inside for near in neighbours], axis=0)
    assert edge.any()
    assert (drawn[edge & inside] == 255).all()
    assert (drawn[edge & ~inside] == [0, 0, 0, 255]).all()
    assert (drawn[~inside & ~edge][:, 3] == 0).all()


def test_global_normalisation_and_the_colour_bar(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page("#scale=image&epoch=3&opacity=1&smooth=0&colours=grey&columns=0,2,3")
    opened.panel("display")
    opened.page.locator("select[name=scale]").select_option("global")
    every = [recorded(runs, epoch, key) for epoch in EPOCHS for key in ("grad_cam", "layer2", "layer3")]
    lo, hi = min(a.min() for a in every), max(a.max() for a in every)
    for key in ("grad_cam", "layer3"):
        expected = steps(recorded(runs, 2, key)[1], lo, hi)
        assert np.abs(opened.pixels(titles[key], 1)[..., 0] - expected).max() <= 1
        ends = opened.cell(titles[key], 1).locator(".scale:not([hidden]) > span")
        assert [float(ends.nth(i).inner_text()) for i in (0, 2)] == pytest.approx([lo, hi], abs=6e-3)
        bar = opened.screenshot(opened.cell(titles[key], 1).locator(".scale:not([hidden]) .bar"))
        assert bar[3, -5, 0] > 230
        assert bar[3, 4, 0] < 40


def test_signed_maps_in_purple_and_green(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page("#epoch=3&opacity=1&smooth=0&columns=4")
    opened.panel("display")
    opened.page.locator("select[name=signed]").select_option("purple-green")
    values = recorded(runs, 2, "signed")[0]
    drawn = opened.pixels(titles["signed"]).astype(int)
    most = np.abs(values).max()
    high, low = drawn[values > 0.4 * most], drawn[values < -0.4 * most]
    assert len(high)
    assert len(low)
    assert (high[:, 1] > high[:, [0, 2]].max(1) + 20).all()
    assert (low[:, 1] < low[:, [0, 2]].min(1) - 20).all()


@pytest.mark.parametrize(
    "address", quick_first(["#versus=epoch:x", "#versus=column:99&compare=blink", "#sort=9:no&flag=none", "#zoom=4"], 2)
)
def test_strange_choices_do_no_harm(open_page, address: str) -> None:
    opened = open_page(address)
    opened.page.keyboard.press("ArrowLeft")
    opened.settle()
    assert opened.listed() == 4
    assert "epoch=4" in opened.page.url  # the key still works
