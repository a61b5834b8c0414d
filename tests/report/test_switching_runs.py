"""What was chosen on one run stays chosen on another one that has the same images, wherever they stand there."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cv_attention import report
from tests.report.node import call

LABELS = [3, 1, 4, 1, 5]
REPORT = """
globalThis.location = { hash: "" };
const run = (folder, classes, titles, names) => ({
  folder, classes, epochs: [], probes: [...names].map((name) => ({ name, label: 0 })),
  columns: [...titles].map((title, index) => ({ index, title, kind: "k", bars: false })),
});
const runs = [run("a", ["cat", "dog", "owl"], "abc", "vwxyz"), run("b", ["owl", "cat"], "ca", "zyxw")];
globalThis.cvAttentionReport = { runs };
"""
CHOSEN = {
    "selected": [0, 1, 4], "sample": 2, "large": 1, "label": 0, "predicted": 1, "columns": [0, 1], "sort": "0:spread",
    "versus": "run:1",
}  # fmt: skip


def carried(before: int, after: int, **values: object) -> dict[str, object]:
    run = f"report.runs[{before}], report.runs[{after}], {json.dumps(CHOSEN | values)}"
    return call(f"carryChoices({run})", "samples/carrying.js", "core/report.js", before=REPORT)


def test_numbers_become_those_of_the_same_things_in_the_other_run() -> None:
    assert carried(0, 1) == {
        "selected": [0, 3], "sample": 2, "large": None, "label": 1, "predicted": None, "columns": [1],
        "sort": "1:spread", "versus": "run:0",
    }  # fmt: skip
    back = {"selected": [0, 3], "sample": 3, "label": 0, "predicted": None, "columns": [0], "sort": ""}
    assert carried(1, 0, **back, versus="column:0") == {
        "selected": [1, 4], "sample": 1, "large": None, "label": 2, "predicted": None, "columns": [2],
        "sort": "", "versus": "column:2",
    }  # fmt: skip
    gone = carried(0, 1, selected=[0], sample=0, label=1, columns=[1], sort="1:spread", versus="column:1")
    assert [gone[name] for name in ("selected", "sample", "label", "columns")] == [[], None, None, None]
    assert [gone[name] for name in ("sort", "versus")] == ["-:spread", "column:-"]  # which no run has
    assert carried(0, 1, columns=[])["columns"] == []  # all were taken away


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("switching")
    for name in ("a", "b"):
        path = make_run(root / name, epochs=5, probes=5) / "maps/probes.json"
        content = json.loads(path.read_text())
        for i, probe in enumerate(content["probes"]):
            which = i if name == "a" else (i + 1) % 5
            probe.update(name=f"{which}.png", label=LABELS[which])
        path.write_text(json.dumps(content))
    return report.build([root / "a", root / "b"], root / "both")


@pytest.mark.browser
def test_a_selection_and_what_limits_the_list_outlast_other_runs_and_epochs(open_page, index: Path) -> None:
    opened = open_page("#scale=image&show=all&sort=loss&label=1&columns=1,0", index=index)
    page = opened.page
    for name in ("1.png", "3.png"):
        page.get_by_role("checkbox", name=f"Select {name}").check()

    def chosen() -> list[str]:
        opened.settle()
        boxes = page.locator(".probe:not([hidden]) input.pick:checked")
        return sorted(boxes.evaluate_all("(all) => all.map((one) => one.ariaLabel)"))

    both = ["Select 1.png", "Select 3.png"]
    titles = page.locator(".head-name").all_inner_texts()
    assert chosen() == both
    page.keyboard.press("ArrowLeft")
    assert chosen() == both
    page.locator(".tabs button").filter(has_text="b").first.click()
    assert chosen() == both
    assert opened.listed() == 2
    assert page.locator(".active .in-use").all_inner_texts()[0].startswith("true class: digit 1")
    assert page.locator("select[name=sort]").input_value() == "loss"
    assert page.locator(".head-name").all_inner_texts() == titles
    assert "scale=image" in page.evaluate("location.hash")
    assert "selected=0,2" in page.evaluate("location.hash")
