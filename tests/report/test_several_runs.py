"""Several runs: what their configurations differ in, which the curves show, means by a setting, parts of the axis."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cv_attention import report
from cv_attention.report.read.facts import facts, settings
from cv_attention.report.read.run_directory import read_run


def configured(run: Path, **values: str) -> None:
    text = (run / "config.yaml").read_text()
    for old, new in values.items():
        text = text.replace(*{"seed": ("seed: 0", f"seed: {new}"), "block": ("name: cbam", f"name: {new}")}[old])
    (run / "config.yaml").write_text(text)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("several")
    for name, seed, block in [("cbam-0", "0", "cbam"), ("cbam-1", "1", "cbam"), ("se-0", "0", "se")]:
        configured(make_run(root / name, epochs=4, probes=1), seed=seed, block=block)
    return report.build(sorted(root.iterdir()), root / "all")


def test_settings_are_named_as_on_the_command_line() -> None:
    config = {"seed": 3, "model": {"block": None, "at": ["a", "b"], "options": {}}, "name": "ü", "on": True}
    assert settings(config) == {
        "seed": "3", "model.block": "null", "model.at": '["a", "b"]', "model.options": "{}", "name": "ü", "on": "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5 s"), (42, "42 s"), (303, "5 min 3 s"), (7625, "2 h 7 min"), (None, None)]
)
def test_the_machine_and_the_time_of_a_run_are_among_its_facts(
    tmp_path: Path, make_run: Callable[..., Path], seconds: float | None, text: str | None
) -> None:
    run = make_run(tmp_path / "run", epochs=1, probes=1)
    summary = json.loads((run / "summary.json").read_text())
    hardware = {"accelerator": "cpu", "device": "AMD EPYC", "devices": 1, "threads": 2, "precision": "32-true"}
    (run / "summary.json").write_text(json.dumps({**summary, "hardware": hardware, "training_seconds": seconds}))
    told = dict(facts(read_run(run)))
    assert told["Trained on"] == "AMD EPYC, 2 threads"
    assert told.get("Training time") == text
    several = {"accelerator": "cuda", "device": "NVIDIA A", "devices": 4, "threads": 2}
    (run / "summary.json").write_text(json.dumps({**summary, "hardware": several}))
    assert dict(facts(read_run(run)))["Trained on"] == "4 × NVIDIA A"
    (run / "summary.json").write_text(json.dumps(summary))
    assert "Trained on" not in dict(facts(read_run(run)))


@pytest.mark.browser
def test_what_the_configurations_differ_in_is_listed(open_page, index: Path) -> None:
    opened = open_page(index=index)
    rows = opened.page.locator(".differences tbody tr")
    assert [row.split() for row in rows.all_inner_texts()] == [
        ["seed", "0", "1", "0"], ["model.block.name", "cbam", "cbam", "se"],
    ]  # fmt: skip


@pytest.mark.browser
def test_one_check_mark_takes_a_run_out_of_every_curve(open_page, index: Path) -> None:
    opened = open_page(index=index)
    page = opened.page
    assert page.locator(".legend-name", has_text="cbam-1").count() > 1
    page.get_by_role("checkbox", name="Show cbam-1 in the curves").uncheck()
    assert page.locator(".legend-name", has_text="cbam-1").count() == 0
    assert page.locator(".legend-name", has_text="cbam-0").count() > 1
    again = open_page(page.evaluate("location.hash"), index=index)
    assert again.page.locator(".legend-name", has_text="cbam-1").count() == 0
    again.page.get_by_role("checkbox", name="Show cbam-1 in the curves").check()
    assert again.page.locator(".legend-name", has_text="cbam-1").count() > 1


@pytest.mark.browser
def test_runs_are_averaged_by_a_setting(open_page, index: Path) -> None:
    opened = open_page("#grouped=no.such.setting", index=index)
    page = opened.page
    names = page.locator(".chart", has=page.get_by_text("Accuracy", exact=True)).locator(".legend-name")
    page.get_by_label("Mean over seeds ± standard deviation", exact=True).check()
    assert names.all_inner_texts() == ["cbam, 2 seeds", "se-0"]
    page.get_by_label("Mean over seeds ± standard deviation", exact=True).uncheck()
    page.locator("select[name=grouped]").select_option("model.block.name")
    assert page.get_by_label("Mean over the runs that share model.block.name ±", exact=False).is_checked()
    assert names.all_inner_texts() == ["model.block.name cbam, 2 runs", "se-0"]


@pytest.mark.browser
def test_a_mean_is_offered_where_runs_belong_together(open_page, tmp_path: Path, make_run: Callable[..., Path]) -> None:
    for name, seed, block in [("cbam-0", "0", "cbam"), ("cbam-1", "1", "cbam"), ("se-1", "1", "se")]:
        configured(make_run(tmp_path / "runs" / name, epochs=2, probes=1), seed=seed, block=block)
        config = tmp_path / "runs" / name / "config.yaml"
        config.write_text(f"{config.read_text()}note: {name}\n")  # so that no two differ in their seed alone
    opened = open_page(index=report.build(sorted((tmp_path / "runs").iterdir()), tmp_path / "all"))
    mean = opened.page.locator("input[name=band]")
    assert not mean.is_visible()
    opened.page.locator("select[name=grouped]").select_option("model.block.name")
    assert mean.is_visible()
    names = opened.page.locator(".chart", has=opened.page.get_by_text("Accuracy", exact=True)).locator(".legend-name")
    assert names.all_inner_texts() == ["model.block.name cbam, 2 runs", "se-1"]


@pytest.mark.browser
def test_a_drag_over_a_curve_enlarges_a_part_of_the_axis(open_page, index: Path) -> None:
    opened = open_page("#epoch=2", index=index)
    page = opened.page
    plot = page.locator(".chart .plot").first
    plot.scroll_into_view_if_needed()
    whole = page.get_by_role("button", name="Whole axis")
    assert not whole.is_visible()
    edge = plot.bounding_box()
    middle = edge["y"] + edge["height"] / 2
    page.mouse.move(edge["x"] + edge["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(edge["x"] + edge["width"] * 0.7, middle, steps=4)
    page.mouse.move(edge["x"] + edge["width"] * 0.9, middle, steps=4)
    page.mouse.up()
    low, high = (float(x) for x in page.evaluate("new URLSearchParams(location.hash.slice(1)).get('span')").split(":"))
    assert 1 < low < 2.5 < high < 4
    assert opened.epoch() == "epoch 2"  # a drag chooses no epoch
    lines = page.locator(".chart .curve").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('points').split(' '))"
    )
    left, right = lines[0][0].split(",")[0], lines[0][-1].split(",")[0]
    assert float(left) == pytest.approx(50, abs=1)
    assert float(right) == pytest.approx(edge["width"] - 12, abs=1.5)
    whole.click()
    assert "span" not in page.evaluate("location.hash")


@pytest.mark.browser
def test_a_drag_to_the_left_is_shown_and_one_that_returns_chooses_nothing(open_page, index: Path) -> None:
    opened = open_page("#epoch=2", index=index)
    page = opened.page
    plot = page.locator(".chart .plot").first
    plot.scroll_into_view_if_needed()
    edge = plot.bounding_box()
    middle = edge["y"] + edge["height"] / 2
    start, left = edge["x"] + edge["width"] * 0.8, edge["x"] + edge["width"] * 0.5
    page.mouse.move(start, middle)
    page.mouse.down()
    page.mouse.move(left, middle, steps=4)
    mark = page.locator(".dragged").bounding_box()
    assert (mark["x"], mark["x"] + mark["width"]) == (pytest.approx(left, abs=1), pytest.approx(start, abs=1))
    page.mouse.move(start, middle, steps=4)
    page.mouse.up()
    assert "span" not in page.evaluate("location.hash")
    assert opened.epoch() == "epoch 2"


@pytest.mark.browser
def test_tabs_of_runs_with_long_names_tell_them_apart(open_page, tmp_path: Path, make_run: Callable[..., Path]) -> None:
    names = ["cluttered_digits-resnet20-cbam-seed0", "cluttered_digits-resnet20-se-seed0"]
    for name in names:
        make_run(tmp_path / "runs" / name, epochs=1, probes=1)
    opened = open_page(index=report.build(sorted((tmp_path / "runs").iterdir()), tmp_path / "all"), width=360)
    tabs = opened.page.get_by_role("navigation", name="Runs").get_by_role("button")
    assert tabs.all_inner_texts() == ["cbam-seed0", "se-seed0"]
    assert [tab.get_attribute("title") for tab in tabs.all()] == names
    assert tabs.evaluate_all("(all) => all.every((one) => one.scrollWidth <= one.clientWidth)")
    assert opened.page.locator(".probe:not([hidden]) .twin-name").first.inner_text() == "se-seed0"


@pytest.mark.browser
def test_a_curve_of_one_value_is_a_dot(open_page, tmp_path: Path, make_run: Callable[..., Path]) -> None:
    opened = open_page(index=report.build(make_run(tmp_path / "a", epochs=2, every=1, probes=1)))
    chart = opened.page.locator(".chart", has=opened.page.get_by_text("Accuracy", exact=True))
    dot = chart.locator("circle.alone")
    assert dot.bounding_box()["width"] >= 5
    assert dot.evaluate("(one) => getComputedStyle(one).fill") == "rgb(0, 114, 178)"
