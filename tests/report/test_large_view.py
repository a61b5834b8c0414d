"""The large view, fingers, paper, other runs, curves, saved views and notes of several tabs."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report

pytestmark = pytest.mark.browser
MakeRun = Callable[..., Path]


def test_a_click_opens_the_large_view_and_keys_walk_through_it(open_page, titles: dict[str, str]) -> None:
    opened = open_page("#epoch=5&columns=0,2,5")
    page = opened.page
    opened.show(0)
    opened.cell(titles["layer2"], 1).locator(".frame").click()
    dialog = page.locator("dialog.large")
    opened.settle()
    assert "sample=1" in page.url
    assert "large=2" in page.url
    frames = dialog.locator(".large-pair .frame")
    assert [round(frames.nth(i).bounding_box()["width"]) for i in (0, 1)] == pytest.approx([522, 522], abs=60)
    assert dialog.locator(".large-strip .cell").count() == 2
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press(",")
    page.keyboard.press("+")
    opened.settle()
    view = page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    assert (view["sample"], view["large"], view["epoch"], view["zoom"]) == ("2", "5", "4", "1.25")
    place = "(image) => image.getBoundingClientRect().width / image.closest('.frame').getBoundingClientRect().width"
    assert dialog.locator(".large-photograph img").evaluate(place) == pytest.approx(1.25)
    again = open_page(page.evaluate("location.hash"))
    assert again.page.locator("dialog.large").is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert "large" not in page.evaluate("location.hash")
    page.keyboard.press("o")  # of the sample that was shown
    assert dialog.is_visible()


FINGERS = """([from, to]) => {
    const frame = document.querySelector(".cell .frame");
    const edge = frame.getBoundingClientRect();
    const send = (type, id, [x, y]) => frame.dispatchEvent(new PointerEvent(type, {
        pointerId: id, pointerType: "touch", bubbles: true, button: type === "pointermove" ? -1 : 0,
        clientX: edge.left + x * edge.width, clientY: edge.top + y * edge.height,
    }));
    from.forEach((at, id) => send("pointerdown", id + 1, at));
    to.forEach((at, id) => send("pointermove", id + 1, at));
    to.forEach((at, id) => send("pointerup", id + 1, at));
    frame.click();
}"""


def test_two_fingers_zoom_and_one_pans(open_page) -> None:
    opened = open_page("#columns=0")
    opened.show(0)
    view = "Object.fromEntries(new URLSearchParams(location.hash.slice(1)))"
    opened.page.evaluate(FINGERS, [[[0.4, 0.5], [0.6, 0.5]], [[0.2, 0.5], [0.8, 0.5]]])
    assert float(opened.page.evaluate(view)["zoom"]) == pytest.approx(3, rel=0.01)
    assert not opened.page.locator("dialog.large").is_visible()  # a pinch is not a click
    before = float(opened.page.evaluate(view).get("x", 0.5))
    opened.page.evaluate("document.querySelector('.frame').setPointerCapture = () => {}")
    opened.page.evaluate("for (const one of document.querySelectorAll('.frame')) one.setPointerCapture = () => {}")
    opened.page.evaluate(FINGERS, [[[0.5, 0.5]], [[0.2, 0.5]]])
    assert float(opened.page.evaluate(view)["x"]) == pytest.approx(
        before + 0.1, abs=0.01
    )  # 0.3 of the frame, at three times
    assert not opened.page.locator("dialog.large").is_visible()
    opened.page.evaluate(FINGERS, [[[0.5, 0.5]], [[0.5, 0.5]]])
    assert opened.page.locator("dialog.large").is_visible()  # a tap is


def test_two_colour_bars_while_swiping(open_page, titles: dict[str, str]) -> None:
    opened = open_page("#epoch=5&columns=0,2&scale=image&versus=column:4&compare=swipe")
    opened.show(0)
    bars = opened.cell(titles["layer2"]).locator(".scale:not([hidden])")
    assert [bars.nth(i).locator(".scale-mark").inner_text() for i in range(bars.count())] == ["A", "B"]
    assert [bars.nth(i).locator(".bar").get_attribute("data-table") for i in (0, 1)] == ["viridis", "blue-red"]
    row = opened.page.locator('.probe[data-sample="0"]')
    below = "(row) => [...row.querySelectorAll('.scale')].map((bar) => bar.getBoundingClientRect().bottom)"
    bottom = row.bounding_box()
    assert max(row.evaluate(below)) <= bottom["y"] + bottom["height"]  # rows are as high as two bars need


def test_predictions_of_other_runs_and_a_right_b_wrong(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    for name in ("a", "b"):
        run = make_run(tmp_path / name, epochs=1, probes=6)
        path = run / "maps/epoch-0000.json"
        record, probes = json.loads(path.read_text()), json.loads((run / "maps/probes.json").read_text())["probes"]
        labels = [probe["label"] for probe in probes]
        wrong = {"a": {0, 1}, "b": {1, 2, 3}}[name]
        record["predictions"] = [(label + (i in wrong)) % 10 for i, label in enumerate(labels)]
        path.write_text(json.dumps(record))
    opened = open_page("#agreement=gained:1", index=report.build([tmp_path / "a", tmp_path / "b"], tmp_path / "both"))
    assert opened.order() == [2, 3]
    twin = opened.page.locator('.probe[data-sample="2"] .twins li')
    assert twin.count() == 1
    assert twin.locator(".twin-name").inner_text() == "b"
    assert twin.locator(".verdict.wrong").count() == 1
    opened.panel("filters")
    opened.page.locator("select[name=agreement]").select_option("lost:1")
    assert opened.order() == [0]
    opened.page.locator("select[name=agreement]").select_option("")
    opened.page.locator("input[name=where]").fill("not right and not [b: right]")
    assert opened.order() == [1]
    opened.page.locator("input[name=where]").fill("not rigt")
    assert opened.page.locator(".fault").inner_text() == 'Not applied: there is no "rigt"; did you mean right?'
    assert opened.listed() == 6
    window = "window.scrollTo(0, document.body.scrollHeight)"
    opened.page.evaluate(window)
    assert opened.page.get_by_role("navigation", name="Runs").bounding_box()["y"] < 60  # always in sight


@pytest.mark.long
def test_curves_are_hidden_averaged_and_drawn_over_steps(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    for seed in range(3):
        run = make_run(tmp_path / f"cbam-seed{seed}", epochs=3, probes=1, seed=seed)
        config = (run / "config.yaml").read_text().replace("seed: 0", f"seed: {seed}")
        (run / "config.yaml").write_text(config)
        csv = run / "metrics/0/metrics.csv"
        head, *rows = csv.read_text().splitlines()
        at = head.split(",").index("val_accuracy")
        cells = [row.split(",") for row in rows]
        for row in cells:
            row[at] = row[at] and str(float(row[at]) - 0.1 * seed)
        csv.write_text("\n".join([head, *(",".join(row) for row in cells)]))
    index = report.build(sorted(tmp_path.glob("cbam-*")), tmp_path / "all")
    opened = open_page(index=index)
    chart = opened.page.locator(".chart", has=opened.page.locator("h3", has_text="Accuracy"))
    assert chart.locator("polyline").count() == 3
    chart.get_by_role("button", name="seed1").click()
    assert chart.locator("polyline").count() == 2
    assert "hidden=1.val_accuracy" in opened.page.evaluate("location.hash")
    opened.page.get_by_label("Mean over seeds").check()
    assert chart.locator("polyline").count() == chart.locator("polygon").count() == 1
    assert chart.locator(".legend-name").inner_text() == "cbam, 3 seeds"
    expected = 0.97 - 0.8 * np.exp(-1 / 2.5) - 0.1  # the last that every run has
    assert chart.locator("output").inner_text() == f"{100 * expected:.1f} %"
    opened.page.locator("select[name=by]").select_option("step")
    assert chart.locator(".axis").text_content() == "steps"
    opened.page.get_by_label("Logarithmic").check()
    assert "log=1" in opened.page.evaluate("location.hash")


@pytest.mark.long
def test_on_paper_there_are_rows_and_no_controls(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    index = report.build(make_run(tmp_path / "many", epochs=1, probes=40))
    opened = open_page(index=index)
    page = opened.page
    pages = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", pages)) < 8
    page.evaluate("window.print = () => (window.printed = true)")
    opened.panel("export")
    page.get_by_role("button", name="Print").click()
    opened.until("window.printed")
    page.emulate_media(media="print")
    rows = page.locator(".printed .probe")
    assert rows.count() == 24
    assert page.locator(".printed > p").inner_text() == "24 of 40 images"
    tops = [rows.nth(i).bounding_box() for i in range(24)]
    assert all(b["y"] >= a["y"] + a["height"] - 1 for a, b in pairwise(tops))
    painted = "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    assert all(canvas.evaluate(painted) for canvas in page.locator(".printed canvas.a").all())
    for name in (".page-bar", ".toolbar", ".more-line", ".panel"):
        assert not page.locator(name).first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".printed").count() == 0


@pytest.mark.long
def test_notes_of_two_tabs_and_of_other_reports(browser, tmp_path: Path, make_run: MakeRun) -> None:
    here, there = (make_run(tmp_path / where / "run", epochs=1, probes=2, seed=seed) for seed, where in enumerate("ab"))
    one, other = report.build(here), report.build(there)
    both = report.build([here, there], tmp_path / "both")
    context = browser.new_context()
    first, second = context.new_page(), context.new_page()

    def note(page, sample: int, tag: str) -> None:
        row = page.locator(f'.probe[data-sample="{sample}"]')
        row.locator(".note-button").click()
        page.get_by_label("Tags").fill(tag)
        page.locator("dialog").get_by_role("button", name="Save").click()

    def tags(index: Path) -> list[str]:
        page = context.new_page()
        page.goto(index.as_uri())
        page.locator(".probe").first.wait_for()
        return [row.inner_text().split(" ")[0] for row in page.locator(".probe:not([hidden]) .flags").all()]

    for page in (first, second):
        page.goto(one.as_uri())
        page.locator(".probe").first.wait_for()
    note(first, 0, "mine")
    note(second, 1, "yours")
    assert tags(one) == ["#mine", "#yours"]
    assert tags(both) == ["#mine", "#yours"]
    assert not any(text.startswith("#") for text in tags(other))  # another run of the same name
    earlier = {"cv_attention_notes": 1, "notes": [{"run": "run", "sample": "1", "note": "", "tags": ["old"]}]}
    second.evaluate(
        "(notes) => { localStorage.clear(); localStorage.setItem('cv_attention.notes.run', notes); }",
        json.dumps(earlier),
    )
    assert tags(one) == ["", "#old"]
    context.close()


@pytest.mark.long
def test_views_are_kept_under_a_name(browser, tmp_path: Path, make_run: MakeRun) -> None:
    index = report.build(make_run(tmp_path / "run", epochs=3, probes=2))
    context = browser.new_context()
    page = context.new_page()
    page.goto(index.as_uri() + "#epoch=1&colours=magma")
    page.locator("[data-panel=views]").click()
    page.get_by_label("Name of this view").fill("first epoch")
    page.get_by_role("button", name="Save", exact=True).click()
    again = context.new_page()
    again.goto(index.as_uri())
    again.locator("[data-panel=views]").click()
    again.get_by_role("link", name="first epoch").click()
    again.wait_for_timeout(100)
    assert again.locator(".epoch-text strong").inner_text() == "epoch 1"
    assert "colours=magma" in again.url
    again.get_by_role("button", name="Forget the view first epoch").click()
    assert again.get_by_role("link", name="first epoch").count() == 0
    context.close()
