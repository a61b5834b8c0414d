"""What a reader sees first: long and right-to-left names, maps before everything else, scales with their ends."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from tests.report.test_pixels import recorded, steps

pytestmark = pytest.mark.browser
MakeRun = Callable[..., Path]
NAMES = ["red-backed sandpiper", "American Staffordshire terrier", "طائر كبير جدا", "x" * 90, "שׁוּעָל", "7", *"abcd"]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    run = make_run(tmp_path_factory.mktemp("named") / "run", epochs=4, probes=12, classes=NAMES)
    counts = [[true, guess, 1 + 9 * (true == guess)] for true in range(10) for guess in range(10)]
    (run / "confusion").mkdir()
    (run / "confusion/test.json").write_text(json.dumps({"classes": 10, "counts": counts}))
    return report.build(run)


@pytest.mark.parametrize("width", [1280, pytest.param(360, marks=pytest.mark.long)])
def test_long_names_leave_room_for_numbers_and_maps(open_page, named: Path, width: int) -> None:
    opened = open_page(index=named, width=width)
    opened.show(0)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    outside = opened.page.evaluate(
        """[...document.querySelectorAll(".probe:not([hidden]) .about *")].filter((part) => {
            const [inner, outer] = [part, part.closest(".about")].map((one) => one.getBoundingClientRect());
            return inner.width && inner.right > outer.right + 1;
        }).map((part) => part.textContent)"""
    )
    assert outside == []
    numbers = opened.page.locator(".probe:not([hidden]) .verdict .number")
    assert numbers.count() > 0
    assert all(number.bounding_box()["width"] > 15 for number in numbers.all())


def test_names_keep_their_direction_and_any_comes_first(open_page, named: Path) -> None:
    opened = open_page(index=named)
    pair = opened.page.locator(".pairs li", has=opened.page.locator("bdi", has_text=NAMES[2])).first
    first, second = (pair.locator("bdi").nth(i).bounding_box()["x"] for i in (0, 1))
    assert first < second or pair.bounding_box()["height"] > 30  # the true class on the left, whatever its script
    opened.panel("filters")
    options = opened.page.locator("select[name=label] option").all_inner_texts()
    assert options == ["any", *NAMES]
    assert opened.page.locator("h2").all_inner_texts()[0] == "Maps"
    assert opened.page.locator(".probe:not([hidden])").first.get_attribute("aria-setsize") == "8"
    opened.page.get_by_role("button", name="Show all 12 images").click()
    opened.show(11)
    assert 11 in opened.order()


def test_every_control_has_a_name(open_page, runs: Path) -> None:
    opened = open_page(index=runs / "both/index.html")
    for panel in ("filters", "display", "columns", "compare", "views", "notes", "export"):
        opened.panel(panel)
    nameless = opened.page.evaluate(
        """[...document.querySelectorAll("input, select, textarea")]
            .filter((field) => !field.labels?.length && !field.ariaLabel && !field.hidden)
            .map((field) => field.name || field.outerHTML)"""
    )
    assert nameless == []
    labelled = opened.page.evaluate(
        "[...document.querySelectorAll('input[type=range]')].map((one) => one.labels.length)"
    )
    assert len(labelled) >= 10


def test_gates_have_an_absolute_scale_in_the_list_and_in_the_panel(open_page, runs: Path, titles: dict) -> None:
    title = titles["layer2"]
    address = f"#epoch=3&opacity=1&smooth=0&colours=grey&columns=2&site={title}"
    opened = open_page(address)
    values = recorded(runs, 2, "layer2")[0]
    assert max(recorded(runs, epoch, "layer2").max() for epoch in (0, 2, 4)) > 1  # these synthetic ones end at 2
    drawn = opened.pixels(title)
    assert np.abs(drawn[..., 0] - steps(values, 0, 2)).max() <= 1
    ends = opened.cell(title).locator(".scale:not([hidden]) > span")
    assert [ends.nth(i).inner_text() for i in (0, 2)] == ["0", "2"]
    panel, film = (
        opened.page.locator(f".attention-body {where} canvas") for where in (".panel-figure > .overlaid", ".film")
    )
    for canvas in (panel, film.nth(1)):
        assert np.array_equal(pixels_of(canvas), drawn)


def pixels_of(canvas) -> np.ndarray:
    height, width, values = canvas.evaluate(
        "(c) => [c.height, c.width, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
    )
    return np.array(values, dtype=np.uint8).reshape(height, width, 4)


@pytest.mark.long
@pytest.mark.parametrize(
    "choices",
    [{"scale": "image"}, {"scale": "image", "clip": "5"}, {"scale": "column"}, {"scale": "run", "clip": "2"},
     {"scale": "global"}, {"scale": "manual", "low": "0.25", "high": "0.75"}],
    ids=str,
)  # fmt: skip
def test_scales_of_the_list_are_those_of_the_panel_and_numpys(
    open_page, runs: Path, titles: dict, choices: dict
) -> None:
    title, address = titles["layer2"], "&".join(f"{name}={value}" for name, value in choices.items())
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours=grey&columns=2&site={title}&{address}")
    values, cut = recorded(runs, 2, "layer2"), float(choices.get("clip", 0))
    every = {"image": [values[0]], "column": [values]}.get(
        choices["scale"], [recorded(runs, e, "layer2") for e in (0, 2, 4)]
    )
    lo = min(np.percentile(one, cut) for one in every)
    hi = max(np.percentile(one, 100 - cut) for one in every)
    if choices["scale"] == "manual":
        lo, hi = 0.25, 0.75
    drawn = opened.pixels(title)
    assert np.abs(drawn[..., 0] - steps(values[0], lo, hi)).max() <= 2
    assert np.array_equal(pixels_of(opened.page.locator(".attention-body .panel-figure > .overlaid canvas")), drawn)


@pytest.mark.long
def test_threshold_contour_and_zoom_reach_the_attention_panel(open_page, runs: Path, titles: dict) -> None:
    title = titles["layer2"]
    opened = open_page(f"#epoch=3&site={title}")
    opened.panel("display")
    canvas = opened.page.locator(".attention-body .panel-figure > .overlaid canvas")
    before = pixels_of(canvas)
    opened.page.locator("input[name=threshold]").fill("0.3")
    opened.page.locator("input[name=contour]").check()
    opened.page.locator("input[name=zoom]").fill("2")
    opened.settle()
    after, scale = pixels_of(canvas), canvas.evaluate("(c) => c.getBoundingClientRect().width / c.offsetWidth")
    assert not np.array_equal(after, before)
    assert scale == pytest.approx(2)
    again = open_page(opened.page.evaluate("location.hash"))
    assert np.array_equal(pixels_of(again.page.locator(".attention-body .panel-figure > .overlaid canvas")), after)


def test_nearly_constant_maps_and_blocks_hardly_used_are_marked(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", epochs=1, probes=2)
    path = run / "maps/epoch-0000.npz"
    arrays = dict(np.load(path))
    arrays["layer2"] = 0.486 + 0.002 * np.random.default_rng(0).uniform(-1, 1, arrays["layer2"].shape)
    np.savez(path, **arrays)
    summary = json.loads((run / "summary.json").read_text())
    summary["network"] = [{"name": "layer2", "type": "Stage", "parameters": 9}]
    summary["sites"] = [{"name": "layer2.2.bn2", "block": "layer2.2.bn2.attention", "label": "cbam", "place": "after"}]
    spreads = {"over_images": 0.0, "over_channels": 0.3, "over_positions": 0.004}
    summary["in_use"] = {"blocks": [{"block": "layer2.2.bn2.attention", "change": 0.5, **spreads}], "images": 2}
    (run / "summary.json").write_text(json.dumps(summary))
    opened = open_page("#columns=2,3,5", index=report.build(run))
    flat = opened.page.locator(".probe:not([hidden]) .flat:not([hidden])")
    cells = flat.locator("xpath=ancestor::*[contains(concat(' ', @class, ' '), ' cell ')]")
    assert {cell.get_attribute("data-column") for cell in cells.all()} == {"2", "5"}  # gates begin at a half
    heads = opened.page.locator(".head")
    assert heads.nth(0).locator(".usage.little").inner_text() == "changes 50.0 %, varies 0.4 %"
    assert heads.nth(1).locator(".usage").count() == 0
    assert heads.nth(2).locator(".usage:not(.little)").inner_text() == "changes 50.0 %, varies 30.0 %"
    assert "50.0 %" in opened.page.locator(".usage-table tbody tr").inner_text()


@pytest.mark.long
def test_a_run_that_was_stopped_is_not_called_untested(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", epochs=1, probes=2)
    summary = {"class_names": ["a"], "provenance": {"version": "0"}}
    (run / "summary.json").write_text(json.dumps(summary))
    assert "interrupted or still running" in open_page(index=report.build(run)).page.locator(".tiles").inner_text()
    (run / "summary.json").write_text(json.dumps({**summary, "finished": True}))
    assert "not tested" in open_page(index=report.build(run)).page.locator(".tiles").inner_text()
    shutil.rmtree(run / "metrics")
    shutil.rmtree(run / "maps")
    opened = open_page(index=report.build(run))
    assert not opened.page.locator(".player").is_visible()  # no epoch is known
