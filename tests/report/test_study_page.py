"""The page of a study in a browser: its charts, the images of two arms, and their maps side by side."""

import json
import re

import numpy as np
import pytest

from cv_attention.report.studies.page import DifferingImage, DifferingImages, ShownRun, write_study_page
from tests.report.node import call
from tests.report.test_accessibility import violations

NONE = {"low": None, "high": None, "interval": None, "difference": None, "signed": None, "unfinished": 0, "flops": 2e6}


def row(arm, **values):
    """A row of a table."""
    return {**NONE, "arm": arm, "runs": 2, "value": "71.00 ± 1.00", "verdict": "none", "words": "the reference",
            "parameters": 1000, "cost": 1.0, "useful": True, **values}  # fmt: skip


ROWS = [
    row("plain"),
    row("se", difference=4.0, low=2.0, high=6.0, signed="+4.00", interval="[+2.00, +6.00]", verdict="better",
        words="better by at least 2.00 points", cost=1.3),
    row("cbam", difference=-0.5, low=-2.5, high=1.5, signed="-0.50", interval="[-2.50, +1.50]", verdict="unresolved",
        words="unresolved: about 9 more seeds", cost=1.9),
    row("eca", runs=0, unfinished=2, words="no run has a result", useful=True, cost=None),
]  # fmt: skip
TABLE = {"title": "", "reference": "plain", "rows": ROWS, "below": ["unresolved means that these runs cannot decide"]}
STUDY = {
    "name": "toy", "sealed": False, "split": "test", "metric": "accuracy", "points": "points", "reference": "plain",
    "confidence": "95 %", "margin": 1.0, "higher": True, "arms": ["plain", "se", "cbam", "eca"],
    "recipes": [{"name": "", "tables": [TABLE], "controls": {"se": [TABLE]}, "honest": ["A/A: equals plain"]}],
    "interaction": None, "failed": [{"arm": "eca", "words": "eca, seed 1", "reason": "the loss is nan", "run": "0123"}],
    "notes": ["changed"], "status": "Test results of 2 blocks.", "measured": "training step, relative to plain",
    "matched": [], "tuned": [],
    "methods": "# Methods of toy\n\nA paragraph.\n\n```sh\ncv-attention study toy.yaml\n```\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory, make_run):
    root = tmp_path_factory.mktemp("study")
    runs = [
        ShownRun(make_run(root / f"{arm}{seed}", epochs=2, every=1, probes=6, seed=seed), arm, "", seed)
        for seed in (0, 1)
        for arm in ("plain", "se")
    ]
    # Of the maps of validation images, se's are always right, and plain's never.
    for shown in runs:
        for path in sorted((shown.directory / "maps").glob("epoch-*.json")):
            content = json.loads(path.read_text())
            labels = [probe["label"] for probe in json.loads((path.parent / "probes.json").read_text())["probes"]]
            content["predictions"] = labels if shown.arm == "se" else [(label + 1) % 10 for label in labels]
            path.write_text(json.dumps(content))
    images = [DifferingImage(f"cat/{i}.png", "cat", np.full((16, 16, 3), 40 * i, np.uint8)) for i in range(3)]
    answers = {"plain0": ["dog", None, "dog"], "plain1": ["dog", None, None],
               "se0": [None, "owl", None], "se1": [None, None, None]}  # fmt: skip
    pairs = {"": {"se": {"plain": 1.5}, "plain": {"se": 0.5}}}
    write_study_page(root / "out/index.html", STUDY, runs, DifferingImages(images, answers, 40, pairs))
    return root / "out/index.html"


def shown_runs(page):
    """The runs that the page gets at the start."""
    found = re.search(r"<script>window\.cvAttentionReport=(.*);</script>", page.read_text())
    return json.loads(found[1])["runs"]


def test_runs_share_their_images_and_show_their_last_maps(tmp_path, make_run):
    first = make_run(tmp_path / "a", epochs=4, probes=3)
    second = make_run(tmp_path / "b", epochs=4, probes=3)
    runs = [ShownRun(first, "plain", "", 0), ShownRun(second, "se", "long", 1)]
    write_study_page(tmp_path / "out/index.html", STUDY, runs, None)
    page, found = (tmp_path / "out/index.html").read_text(), shown_runs(tmp_path / "out/index.html")
    assert [run["group"] for run in found] == ["plain", "se · long"]
    assert [run["pictureFolder"] for run in found] == ["run0", "run0"]
    assert [[epoch["epoch"] for epoch in run["epochs"]] for run in found] == [[2], [2]]
    assert page.count('data-shard="run0/images-0.') == 1
    assert 'data-shard="run1/images-' not in page
    assert "0.9715" not in page  # the run's test accuracy


def test_a_run_that_cannot_be_read_is_left_out(tmp_path, make_run):
    good = make_run(tmp_path / "a", epochs=2, probes=2)
    (tmp_path / "empty").mkdir()
    runs = [ShownRun(tmp_path / "empty", "se", "", 0), ShownRun(good, "plain", "", 0)]
    write_study_page(tmp_path / "index.html", STUDY, runs, None)
    assert [run["arm"] for run in shown_runs(tmp_path / "index.html")] == ["plain"]


def test_the_front(page):
    rows = [{"useful": True, "cost": c, "difference": d, "verdict": "unresolved", "arm": a}
            for a, c, d in (("plain", 1, None), ("a", 1.5, 2), ("b", 2, 1), ("c", 3, 4), ("d", 0.8, -1))]  # fmt: skip
    rows[0]["verdict"] = "none"
    kept = call(f"frontOf(costed({json.dumps(rows)}, true)).map((row) => row.arm)", "study/charts.js")
    assert kept == ["d", "plain", "a", "c"]  # by hand: b costs more than a and gains less
    kept = call(f"frontOf(costed({json.dumps(rows)}, false)).map((row) => row.arm)", "study/charts.js")
    assert kept == ["d"]  # the lowest error and the cheapest


@pytest.mark.browser
def test_verdicts_and_charts(open_page, page):
    opened = open_page(index=page)
    texts = opened.page.locator("section[aria-labelledby=results] tbody tr").all_inner_texts()
    assert "better by at least 2.00 points" in texts[1]
    assert "0 + 2 without a result" in texts[3]
    assert opened.page.locator("svg.study-plot").count() == 3  # that of the controls is folded
    forest = opened.page.locator("svg.study-plot").first
    assert forest.locator(".mark-better").count() == forest.locator(".mark-unresolved").count() == 1
    # The interval of se goes from +2 to +6, with its mark in the middle, right of zero.
    ends = forest.locator("line.interval-better").first.evaluate("(l) => [l.x1, l.x2].map((x) => x.baseVal.value)")
    zero = forest.locator("line.zero").evaluate("(l) => l.x1.baseVal.value")
    assert ends[0] - zero == pytest.approx((ends[1] - zero) / 3, rel=1e-3)
    assert "eca, seed 1: the loss is nan trials/0123" in opened.page.locator("main").inner_text()
    assert "A paragraph." in opened.page.locator("section[aria-labelledby=methods]").inner_text()


@pytest.mark.browser
def test_curves_are_means_of_arms(open_page, page):
    opened = open_page(index=page)
    names = opened.page.locator(".chart", has_text="Accuracy").last.locator(".legend-name").all_inner_texts()
    assert names == ["plain, 2 seeds", "se, 2 seeds"]
    assert opened.page.locator("polygon.curve-band").count() > 0


@pytest.mark.browser
def test_test_images_of_two_arms(open_page, page):
    opened = open_page(index=page)
    section = opened.page.locator("section[aria-labelledby=tested]")
    assert "se is right and plain wrong on 1.5 of 40 test images, the other way round on 0.5" in section.inner_text()
    cards = section.locator(".pair-card")
    # By hand: image 0 is right in 2 of 2 seeds of se and none of plain, image 2 in 2 and 1.
    assert [("cat/0" in text, "cat/2" in text) for text in cards.all_inner_texts()] == [(True, False), (False, True)]
    assert "right in 0 of 2, else dog (2×)" in cards.first.inner_text()
    section.locator("select[name=tested]").select_option("b")
    assert [text.count("right in 1 of 2, else owl") for text in cards.all_inner_texts()] == [1]
    section.locator("select[name=a]").select_option("cbam")
    assert cards.count() == 0
    assert section.locator(".empty").is_visible()


@pytest.mark.browser
def test_maps_of_both_arms_side_by_side(open_page, page):
    opened = open_page(index=page)
    section = opened.page.locator("section[aria-labelledby=compared]")
    section.scroll_into_view_if_needed()
    opened.settle()
    assert section.locator(".pair-card").count() == 12  # six images of two seeds
    first = section.locator(".pair-card").first
    assert "seed 0" in first.inner_text()
    assert first.locator(".pair-side .verdict.right").count() == first.locator(".pair-side .verdict.wrong").count() == 1
    painted = "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v)"
    assert all(canvas.evaluate(painted) for canvas in first.locator("canvas.a").all())
    section.locator("select[name=seed]").select_option("1")
    assert section.locator(".pair-card").count() == 6
    section.locator("select[name=maps]").select_option("b")
    assert section.locator(".pair-card").count() == 0
    address = opened.page.url
    assert "maps=b" in address
    assert "seed=1" in address


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.parametrize(
    ("scheme", "width"),
    [("light", 1440), ("dark", 360), ("dark", 1440)],
)
def test_no_rule_of_accessibility_is_broken(open_page, page, scheme, width):
    opened = open_page(index=page, width=width)
    opened.page.emulate_media(color_scheme=scheme)
    opened.page.locator("details").evaluate_all("(all) => all.forEach((one) => (one.open = true))")
    opened.settle()
    assert violations(opened) == []
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
