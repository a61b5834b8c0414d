"""The panels of reading, memory, glimpses and bags, saved as figures: what they show, also where fonts are missing."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from cv_attention.rundir.arrays import write_arrays
from tests.report.test_glimpses_panel import ARRAYS
from tests.report.test_reading import write_run as write_reading

pytestmark = pytest.mark.browser
STEPS = 21
PLACES = """() => [...document.querySelectorAll("text")].map((one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    return [one.textContent, left, right, top, bottom];
})"""
TEXTS = {
    "reading": {
        "One heatmap per character, epoch 2, 2 × 6 positions",
        "Steps × columns, rows summed: a diagonal is reading in order",
        "Reading, reading",
    },
    "memory": {"Read weights: 3 slots × 21 steps", "0.5", "Memory, memory"},
    "glimpses": {"net.places, epoch 1", "3", "Glimpses, glimpses"},
    "bags": {"60.0 %", "30.0 %", "Bags, bags"},
}


def write_memory(run: Path) -> None:
    weights = np.zeros((1, STEPS, 3), np.float16)
    weights[0, 1, 2] = 0.5
    image = np.zeros((1, STEPS, 8, 8, 3), np.uint8)
    zeros = np.zeros((1, STEPS), int)
    found = {"index": np.array([0]), "kind": np.array("classify"), "image": image, "place": np.arange(STEPS)[None],
             "answer": zeros, "given": zeros + 1, "nth": zeros, "read": weights, "write": weights}  # fmt: skip
    write_arrays(run / "memory.npz", found, compressed=True)


def write_bags(run: Path) -> None:
    found = {
        "name": np.array(["first"]), "label": np.array([1]), "predicted": np.array([1]), "size": np.array([3]),
        "probability": np.array([0.9], np.float32), "starts": np.array([0, 3]), "key": np.array([0, 1, 0], np.int8),
        "image": np.zeros((3, 8, 8, 3), np.uint8), "weight": np.array([0.1, 0.6, 0.3], np.float32),
        "class_names": np.array(["a", "b"]),
    }  # fmt: skip
    write_arrays(run / "bags.npz", found, compressed=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("tasks")
    writers = {
        "memory": write_memory, "bags": write_bags,
        "glimpses": lambda run: write_arrays(run / "maps/glimpses-0000.npz", ARRAYS),
    }  # fmt: skip

    def build(panel: str) -> Path:
        run = root / panel
        if run.exists():
            return run / "report/index.html"
        if panel == "reading":
            write_reading(run)
        else:
            writers[panel](make_run(run, epochs=1, probes=2))
        return report.build(run)

    return build


@pytest.mark.parametrize("panel", TEXTS)
def test_a_panel_is_a_figure_with_any_font(open_page, browser, built, tmp_path: Path, panel: str) -> None:
    opened = open_page("#sample=1&epoch=2", index=built(panel))
    section = opened.page.locator(f"section[aria-labelledby={panel}]")
    opened.until(f"document.querySelectorAll('section[aria-labelledby={panel}] figure, .bag-image').length > 0")
    if panel in ("reading", "glimpses"):
        tools = section.locator(".panel-tools > *")
        last, following = tools.nth(0).locator("button").last.bounding_box(), tools.nth(1).bounding_box()
        assert last["x"] + last["width"] + 10 <= following["x"]
    with opened.page.expect_download() as download:
        section.get_by_role("button", name="SVG").click()
    text = Path(download.value.path()).read_text()
    page = browser.new_page(viewport={"width": 900, "height": 1600})
    file = tmp_path / "figure.svg"
    for family in ("sans-serif", "monospace"):
        file.write_text(re.sub(r'font-family="[^"]*"', f'font-family="{family}"', text))
        page.goto(file.as_uri())
        places = page.evaluate(PLACES)
        assert {words for words, *_ in places} >= TEXTS[panel]
        for i, (words, left, right, top, bottom) in enumerate(places):
            assert left >= 0
            assert right <= 684, words
            for other, *box in places[:i]:
                apart = box[1] <= left + 1 or right <= box[0] + 1 or box[3] <= top + 5 or bottom <= box[2] + 5
                assert apart, f"{words!r} lies over {other!r}"
    page.close()


def test_no_box_covers_the_number_of_a_glimpse(open_page, built) -> None:
    opened = open_page("#sample=0", index=built("glimpses"))
    opened.until("document.querySelectorAll('.glimpse-number').length === 3")
    shapes = opened.page.locator(".glimpse-marks *").evaluate_all("(all) => all.map((one) => one.tagName)")
    assert max(i for i, name in enumerate(shapes) if name == "rect") < shapes.index("circle")
    image = opened.page.locator(".glimpse-frame").bounding_box()
    for mark in opened.page.locator(".glimpse-place").all():  # also that of a place at the edge of the image
        box = mark.bounding_box()
        assert box["x"] >= image["x"] - 1
        assert box["y"] + box["height"] <= image["y"] + image["height"] + 1
