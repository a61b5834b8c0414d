"""The page in a real browser, opened from ``file://``: controls, names, empty states."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from tests.quick import quick_first

pytestmark = pytest.mark.browser
MakeRun = Callable[..., Path]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", quick_first(["light", "dark"]))
def test_opens_without_faults_and_without_sideways_scrolling(open_page, width: int, scheme: str) -> None:
    opened = open_page(width=width)
    opened.page.emulate_media(color_scheme=scheme)
    assert opened.page.locator("h1").inner_text() == "cbam"
    assert opened.listed() == 4
    assert opened.page.locator(".plot polyline").count() == 4
    for details in opened.page.locator("details").all():
        details.evaluate("(d) => (d.open = true)")
    for panel in ("filters", "display", "columns", "compare", "notes", "export"):
        opened.panel(panel)
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width, panel
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width


def test_keys_move_the_epoch_and_the_nearest_logged_map_is_named(open_page) -> None:
    opened = open_page("#epoch=5")
    note = opened.page.locator(".nearest-note")
    for key, epoch, nearest in [
        ("ArrowLeft", "epoch 4", "maps of epoch 3, the nearest logged"),
        ("ArrowLeft", "epoch 3", None),
        ("End", "epoch 6", "maps of epoch 5, the nearest logged"),
        ("ArrowRight", "epoch 6", "maps of epoch 5, the nearest logged"),
        ("Home", "epoch 1", None),
        ("ArrowLeft", "epoch 1", None),
    ]:
        opened.page.keyboard.press(key)
        assert opened.epoch() == epoch
        assert (note.inner_text() if note.count() else None) == nearest
    opened.page.locator("#epoch").focus()
    opened.page.keyboard.press("ArrowRight")
    assert opened.epoch() == "epoch 2"


@pytest.mark.long
def test_player_goes_through_the_epochs_and_stops(open_page) -> None:
    opened = open_page("#epoch=5")
    opened.page.get_by_role("button", name="Play the epochs").click()
    opened.until("document.querySelector('.epoch-text strong').textContent === 'epoch 6'")
    opened.page.get_by_role("button", name="Play the epochs").wait_for()
    assert opened.epoch() == "epoch 6"


def test_columns_are_hidden_and_shown(open_page, titles: dict[str, str]) -> None:
    opened = open_page()
    assert opened.page.locator(".head").count() == 6
    opened.panel("columns")
    opened.page.get_by_role("button", name="None", exact=True).click()
    assert opened.page.locator(".cell").count() == 0
    opened.page.locator(".chip", has_text="layer1.0").locator("input").check()
    opened.settle()
    assert opened.page.locator(".probe:not([hidden]) .cell").count() == len(opened.order()) > 0
    assert opened.cell(titles["layer1"]).count() == 1
    assert "columns=1" in opened.page.evaluate("location.hash")


def test_images_are_chosen_by_their_prediction(open_page, runs: Path) -> None:
    opened = open_page("#epoch=1")
    opened.panel("filters")
    select = opened.page.locator("select[name=show]")
    counts = []
    for choice in ("all", "correct", "wrong"):
        select.select_option(choice)
        counts.append(opened.listed())
    assert counts[0] == counts[1] + counts[2] == 4
    assert opened.page.locator(".verdict.right").count() == 0


def test_true_box_lies_where_it_was_recorded(open_page, runs: Path) -> None:
    opened = open_page("#size=128")
    frame = opened.page.locator(".sample .frame").first.bounding_box()
    box = opened.page.locator(".sample .true-box").first.bounding_box()
    x0, y0, x1, y1 = json.loads((runs / "cbam/maps/probes.json").read_text())["probes"][0]["box"]
    expected = [frame["x"] + 2 * x0, frame["y"] + 2 * y0, 2 * (x1 - x0), 2 * (y1 - y0)]
    assert [box[side] for side in ("x", "y", "width", "height")] == pytest.approx(expected, abs=0.6)
    opened.panel("display")
    opened.page.locator('input[name="box"]').uncheck()
    assert not opened.page.locator(".true-box").first.is_visible()


def test_curves_tell_values_and_set_the_epoch(open_page) -> None:
    opened = open_page("#epoch=2")
    chart = opened.page.locator(".chart", has_text="Loss").first
    plot = chart.locator("svg")
    size = plot.bounding_box()
    plot.click(position={"x": size["width"] - 14, "y": 60})
    assert opened.epoch() == "epoch 6"
    opened.page.mouse.move(0, 0)
    expected = 2.2 * np.exp(-5 / 3.2) + 0.2
    assert float(chart.locator("output").nth(1).inner_text()) == pytest.approx(expected, abs=6e-4)


def test_theme_is_switched(open_page) -> None:
    opened = open_page()
    shade = "getComputedStyle(document.body).backgroundColor"
    opened.page.emulate_media(color_scheme="light")
    light = opened.page.evaluate(shade)
    button = opened.page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    assert opened.page.evaluate(shade) != light


def test_two_runs_share_curves_and_are_chosen_by_name(open_page, runs: Path) -> None:
    opened = open_page("#run=0", index=runs / "both/index.html")
    assert opened.page.locator(".chart", has_text="Loss").locator("polyline").count() == 4
    opened.page.get_by_role("navigation", name="Runs").get_by_role("button", name="plain").click()
    opened.settle()
    assert opened.listed() == 3
    assert opened.epoch() == "epoch 4" or opened.page.locator(".epoch-text").inner_text().endswith("4")


@pytest.mark.parametrize("address", ["#epoch=-5&opacity=x&columns=99,a,-1&run=7&scale=no", "#%", "#=&&columns="])
def test_senseless_address_does_no_harm(open_page, address: str) -> None:
    assert open_page(address).listed() == 4


def test_incomplete_run_has_friendly_empty_states(open_page, tmp_path: Path) -> None:
    run = tmp_path / "just-started"
    run.mkdir()
    (run / "config.yaml").write_text("model: {backbone: resnet20}")
    opened = open_page(index=report.build(run))
    assert opened.page.locator(".empty").count() == 2
    assert "interrupted or still running" in opened.page.locator(".tiles").inner_text()


def test_names_from_outside_stay_text(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"
    run = make_run(tmp_path / "<b onmouseover=alert(1)>&amp;$title", epochs=2, probes=2, classes=[evil] * 10)
    (run / "config.yaml").write_text(json.dumps({"model": {"backbone": evil, "block": {"name": evil}}}))
    for name in ("epoch-0000.json", "summary.json"):
        path = run / ("maps" if name.startswith("epoch") else ".") / name
        path.write_text(path.read_text().replace("Grad-CAM", "<svg onload=document.title='owned'>")
                        .replace("site   ", "</pre><script>document.title='owned'</script>"))  # fmt: skip
    opened = open_page(index=report.build(run))
    assert opened.page.locator("h1").inner_text() == "<b onmouseover=alert(1)>&amp;$title"
    assert opened.page.title() == "<b onmouseover=alert(1)>&amp;$title · cv_attention"
    assert evil in opened.page.locator(".probe").first.text_content()
    assert opened.page.locator("img[onerror], b, svg[onload], #report script").count() == 0
