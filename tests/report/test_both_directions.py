"""Names that run from right to left, next to others: each keeps to itself, on the page and in its figures."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cv_attention import report
from cv_attention.rundir.arrays import write_arrays
from cv_attention.rundir.counts.label_counts import LabelCounts
from cv_attention.rundir.layout import RunLayout
from tests.report import panel_run

pytestmark = pytest.mark.browser
LONG = "مركبة فضائية طويلة جدا لا تتسع في سطر واحد ابدا حتى لو حاولنا كثيرا"
NAMES = ["قطة", "כלב (2)", "سيارة BMW 320", "50% חלב", "dog", LONG, "C++ قط", "חתול-בית, שחור", "طائر → 3", "عصفور!"]
TURNED = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]"
# Texts of the page with letters from right to left outside of marks or of an element that isolates them.
LOOSE = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.getElementById("report"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        let text = walker.currentNode.textContent;
        for (let before = null; before !== text; ) {
            before = text;
            text = text.replace(/\\u2068[^\\u2068\\u2069]*\\u2069/g, "");
        }
        if (/TURNED/.test(text) && !walker.currentNode.parentElement.closest("bdi, [dir=auto], pre"))
            found.push(walker.currentNode.textContent);
    }
    return found;
}""".replace("TURNED", TURNED)
# The place of each text of a figure, as the browser draws the file.
PLACES = """() => [...document.querySelectorAll("text")].filter((one) => !one.closest("svg svg")).map((one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    return [one.textContent, left, right, top, bottom];
})"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("directions")
    runs = [make_run(root / name, epochs=6, probes=4, classes=NAMES) for name in ("تجربة-cbam-0", "ניסוי plain (1)")]
    for run in runs:
        panel_run.add_panels(run)
        path = run / "maps/probes.json"
        content = json.loads(path.read_text())
        for i, probe in enumerate(content["probes"]):
            probe["name"] = f"{NAMES[probe['label']]}/صورة {i}.png"
        path.write_text(json.dumps(content))
    bags = {
        "name": np.array(["مريض 12"]), "label": np.array([1]), "predicted": np.array([2]),
        "probability": np.array([0.9], np.float32), "size": np.array([1]), "starts": np.array([0, 1]),
        "image": np.zeros((1, 8, 8, 3), np.uint8), "weight": np.ones(1, np.float32), "key": np.zeros(1, np.int8),
        "class_names": np.array(NAMES),
    }  # fmt: skip
    write_arrays(runs[0] / "bags.npz", bags, compressed=True)
    return report.build(runs, root / "both")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("several") / "run"

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.conv(images).mean((2, 3)) * 0 + torch.tensor([4.0, -4.0, 2.0])

    labels = np.array([[1, 1, 0], [1, 1, 1]])
    with report.Recorder(run, torch.rand(2, 3, 16, 16), labels, [*NAMES[:2], "dog"], several=True) as recorder:
        recorder.log(Fixed(), epoch=0)
    counts = LabelCounts(10, [0.5, 0.4, 0.3], [4, 2, 1], [5, 2, 0], [3, 1, 0], [[0, 1, 2]], [[0, 2, 3], [1, 0, 1]])
    counts.write(RunLayout(run).tested_labels)
    return report.build(run)


@pytest.mark.parametrize("width", [1440, 360])
def test_names_keep_to_themselves(open_page, index: Path, width: int) -> None:
    opened = open_page("#sample=1&label=7&where=confidence<1&versus=run:1&hidden=", index=index, width=width)
    for panel in ("filters", "compare"):
        opened.panel(panel)
    opened.until("document.querySelectorAll('.bag-image').length === 1")
    assert opened.page.evaluate(LOOSE) == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.page.locator(".probe:not([hidden]) .frame").nth(1).click()
    assert opened.page.evaluate(LOOSE) == []
    words = opened.page.locator("dialog.large p.muted").first
    assert "\u2068חתול-בית, שחור/صورة 1.png\u2069 · epoch 5" in words.inner_text()


def test_several_names_of_an_image_stand_in_the_order_of_the_page(open_page, several: Path) -> None:
    opened = open_page("", index=several)
    opened.until("document.querySelectorAll('section[aria-labelledby=labels] tbody tr').length === 3")
    assert opened.page.evaluate(LOOSE) == []
    title = opened.page.locator(".probe:not([hidden]) h3").first
    places = title.evaluate(
        """(title) => [..."קطכ1"].flatMap((letter) => {
            const at = title.firstChild.textContent.indexOf(letter);
            if (at < 0) return [];
            const range = document.createRange();
            range.setStart(title.firstChild, at);
            range.setEnd(title.firstChild, at + 1);
            return [range.getBoundingClientRect().left];
        })"""
    )
    assert places == sorted(places)  # the cat stands left of the dog


def test_figures_have_the_names_where_the_page_has_them(open_page, browser, index: Path, tmp_path: Path) -> None:
    opened = open_page("#sample=1", index=index)
    for panel in ("Curves", "Classes", "Faithfulness", "View"):
        if panel == "View":
            opened.panel("export")
        with opened.page.expect_download() as download:
            opened.page.get_by_role("button", name="Maps as SVG" if panel == "View" else f"{panel} as SVG").last.click()
        file = tmp_path / f"{panel}.svg"
        download.value.save_as(file)
        page = browser.new_page(viewport={"width": 900, "height": 1600})
        page.goto(file.as_uri())
        places = page.evaluate(PLACES)
        page.close()
        assert any(any("\u0590" < letter < "\u08ff" for letter in text) for text, *_ in places)
        for i, (text, left, right, top, bottom) in enumerate(places):
            assert left >= 0
            assert right <= 684
            for other, *box in places[:i]:
                apart = box[1] <= left + 2 or right <= box[0] + 2 or box[3] <= top + 5 or bottom <= box[2] + 5
                assert apart, f"{text!r} lies over {other!r}"
        if panel == "Classes":
            known = [text for text, *_ in places]
            assert f"\u2067{NAMES[2]}\u2069" in known
            cut = [text for text in known if text.endswith("…\u2069")]
            assert len(cut) == 2
            assert all(LONG.startswith(text[1:-2]) and len(text) > 20 for text in cut)
