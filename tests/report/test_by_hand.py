"""What readers do with mouse and keyboard, and what it changes: opacity, order, smoothing, parts of an axis, tables."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from cv_attention.report.curve_plots import smoothed
from tests.report.test_several_runs import configured

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    """Two seeds of one network and another network."""
    root = tmp_path_factory.mktemp("by-hand")
    for name, seed, block in [("cbam-0", "0", "cbam"), ("cbam-1", "1", "cbam"), ("se, =1", "0", "se")]:
        run = make_run(root / name, epochs=4, probes=1, seed=int(seed))
        configured(run, seed=seed, block=block)
        path = run / "metrics/0/metrics.csv"
        lines = path.read_text().splitlines()
        dropped = {"cbam-0": 4, "cbam-1": len(lines) - 1}  # values that only the other runs logged
        path.write_text("\n".join(line for i, line in enumerate(lines) if i != dropped.get(name)))
    return report.build(sorted(root.iterdir()), root / "all")


def series(run: Path, metric: str) -> dict[int, float]:
    """What was logged, by step."""
    texts = [path.read_text() for path in sorted(run.glob("metrics/*/*.csv"))]
    rows = [row for text in texts for row in csv.DictReader(text.splitlines())]
    return {int(row["step"]): float(row[metric]) for row in rows if row.get(metric)}


def points(opened, number: int = 0) -> np.ndarray:
    drawn = opened.page.locator(".chart .curve").nth(number).get_attribute("points").split()
    return np.array([point.split(",") for point in drawn], float)


def table(opened) -> list[dict[str, str]]:
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Curves as CSV").click()
    assert download.value.suggested_filename.endswith("-curves.csv")
    text = Path(download.value.path()).read_bytes().decode()
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_opacity_follows_mouse_and_keys(open_page) -> None:
    opened = open_page("#epoch=5")
    page = opened.page
    page.get_by_role("button", name="Display").click()
    slider = page.get_by_label("Opacity")
    shown = "Number(getComputedStyle(document.querySelector('.cell canvas.a')).opacity)"
    assert page.evaluate(shown) == 0.65
    edge = slider.bounding_box()
    page.mouse.click(edge["x"] + edge["width"] * 0.25, edge["y"] + edge["height"] / 2)
    assert page.evaluate(shown) == pytest.approx(0.25, abs=0.05)
    slider.press("End")
    assert page.evaluate(shown) == 1
    slider.press("Home")
    assert page.evaluate(shown) == 0
    assert "opacity=0" in page.evaluate("location.hash")
    photograph, cell = page.locator(".shown-picture .frame").first, page.locator(".cell .frame").first
    difference = np.abs(opened.screenshot(photograph) - opened.screenshot(cell))[8:-8, 8:-8]
    assert difference.max() <= 2  # the map has left the image


def test_an_order_is_chosen_and_turned_by_clicks_and_keys(open_page, runs: Path) -> None:
    content = json.loads((runs / "cbam/maps/epoch-0004.json").read_text())
    confidence = [max(row) for row in content["probabilities"]]
    opened = open_page("#epoch=5")
    page = opened.page
    page.get_by_label("Sort by").select_option(label="confidence")
    falling = sorted(range(4), key=lambda i: -confidence[i])
    assert opened.order() == falling
    page.get_by_role("button", name="Largest first").click()
    assert opened.order() == falling[::-1]
    page.get_by_role("button", name="Smallest first").press("Enter")
    assert opened.order() == falling
    assert "sort=confidence" in page.evaluate("location.hash")
    page.get_by_label("Sort by").focus()
    page.keyboard.press("Home")  # the first of the list
    assert opened.order() == [0, 1, 2, 3]


def test_smoothing_moves_the_curve_to_the_moving_average(open_page, runs: Path) -> None:
    opened = open_page("#epoch=5")
    logged = series(runs / "cbam", "train_loss")
    values = np.array([logged[step] for step in sorted(logged)])
    before = points(opened)[:, 1]
    slope, start = np.polyfit(values, before, 1)
    slider = opened.page.get_by_label("Smoothing")
    slider.scroll_into_view_if_needed()
    edge = slider.bounding_box()
    opened.page.mouse.click(edge["x"] + edge["width"] * 0.8, edge["y"] + edge["height"] / 2)
    weight = float(slider.input_value())
    assert weight == pytest.approx(0.8, abs=0.06)
    assert opened.page.locator("label", has=slider).inner_text().split()[-1] == f"{weight:.2f}"
    drawn, soft = points(opened)[:, 1], np.array(smoothed(values.tolist(), weight))
    slope, start = np.polyfit(soft, drawn, 1)  # the upright axis fits the curve
    np.testing.assert_allclose(drawn, slope * soft + start, atol=0.1)
    slider.press("Home")
    assert points(opened)[:, 1] == pytest.approx(before)


def test_a_part_of_the_axis_is_entered_by_keys(open_page, index: Path) -> None:
    opened = open_page(index=index)
    page = opened.page
    page.get_by_label("Axis from", exact=True).fill("1.5")
    page.keyboard.press("Tab")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    assert "span=1.5%3A3" in page.evaluate("location.hash")
    ticks = page.locator(".chart").first.locator("text.tick[text-anchor=middle]").all_text_contents()
    assert ticks[-1] == "3"
    assert float(ticks[0]) >= 1.5
    page.get_by_label("Axis to", exact=True).fill("")
    page.keyboard.press("Enter")
    assert "span=1.5%3A3.75" in page.evaluate("location.hash")  # where the longest curve ends
    page.get_by_role("button", name="Whole axis").press("Enter")
    assert "span" not in page.evaluate("location.hash")
    assert page.get_by_label("Axis from", exact=True).input_value() == ""
    page.get_by_label("Axis to", exact=True).fill("-1")
    page.keyboard.press("Enter")
    assert "span" not in page.evaluate("location.hash")


def test_the_table_of_curves_has_what_was_logged(open_page, index: Path) -> None:
    opened = open_page(index=index)
    rows = table(opened)
    assert list(rows[0])[:5] == ["epoch", "step", "cbam-0: train_loss", "cbam-0: val_loss", "cbam-1: train_loss"]
    steps = [(float(row["epoch"]), int(row["step"])) for row in rows]
    assert steps == sorted(steps)
    assert len(set(steps)) == len(steps)
    for name in ("cbam-0", "cbam-1", "se, =1"):
        for metric in ("train_loss", "val_accuracy", "lr"):
            found = {int(row["step"]): float(row[f"{name}: {metric}"]) for row in rows if row[f"{name}: {metric}"]}
            assert found == pytest.approx(series(index.parent.parent / name, metric)), (name, metric)


def test_the_table_of_curves_follows_what_is_shown(open_page, index: Path) -> None:
    opened = open_page("#hidden=run:2|0.val_accuracy&span=1:2&smoothing=0.5", index=index)
    rows = table(opened)
    assert list(rows[0]) == [
        "epoch", "step", *(f"{run}: {metric}{soft}" for run, metrics in [
            ("cbam-0", ["train_loss", "val_loss"]), ("cbam-1", ["train_loss", "val_loss", "val_accuracy"]),
            ("cbam-0", ["lr"]), ("cbam-1", ["lr"]),
        ] for metric in metrics for soft in ("", ", smoothed 0.5")),
    ]  # fmt: skip
    assert {1 <= float(row["epoch"]) <= 2 for row in rows} == {True}
    logged = series(index.parent.parent / "cbam-0", "train_loss")
    soft = dict(zip(sorted(logged), smoothed([logged[step] for step in sorted(logged)], 0.5), strict=True))
    for row in rows:
        if row["cbam-0: train_loss"]:
            assert float(row["cbam-0: train_loss"]) == pytest.approx(logged[int(row["step"])])
            assert float(row["cbam-0: train_loss, smoothed 0.5"]) == pytest.approx(soft[int(row["step"])])


def test_the_table_of_means_has_their_deviations(open_page, index: Path) -> None:
    opened = open_page("#band=1", index=index)
    rows = table(opened)
    assert {"cbam, 2 seeds: val_accuracy: mean", "cbam, 2 seeds: val_accuracy: standard deviation"} <= set(rows[0])
    assert "se, =1: val_accuracy" in rows[0]
    both = [series(index.parent.parent / name, "val_loss") for name in ("cbam-0", "cbam-1")]
    for step in set(both[0]) & set(both[1]):
        values = [one[step] for one in both]
        [row] = [row for row in rows if int(row["step"]) == step and row["cbam, 2 seeds: val_loss: mean"]]
        assert float(row["cbam, 2 seeds: val_loss: mean"]) == pytest.approx(np.mean(values))
        assert float(row["cbam, 2 seeds: val_loss: standard deviation"]) == pytest.approx(np.std(values, ddof=1))


def test_a_click_that_trembles_chooses_the_epoch(open_page, index: Path) -> None:
    opened = open_page("#epoch=1", index=index)
    mouse = opened.page.mouse
    plot = opened.page.locator(".chart .plot").first
    plot.scroll_into_view_if_needed()
    edge = plot.bounding_box()
    x, y = edge["x"] + edge["width"] * 0.9, edge["y"] + edge["height"] / 2
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 2, y + 1)
    mouse.up()
    assert opened.epoch() == "epoch 4"
