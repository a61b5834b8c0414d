"""Columns side by side: the same maps of other epochs and other runs, and those that only another run has."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from tests.report.node import call_each
from tests.report.test_pixels import recorded, steps

ADDRESS = "#size=96&scale=image&epoch=5&opacity=1&smooth=0&colours=grey&box=0&columns=0,2&adjacent="
RUNS = """
const column = (index, title, source = "saliency") => ({ index, title, kind: "map", source, bars: false });
const probes = (names) => names.map((name) => ({ name, label: 0 }));
const run = (name, titles, names, epochs = [0, 4]) => ({
    name, folder: name, probes: probes(names), classes: ["class"], series: {},
    columns: titles.map((title, i) => column(i, title)), epochs: epochs.map((epoch) => ({ epoch, maps: [[""], [""]] })),
});
globalThis.location = { hash: "" };
globalThis.cvAttentionReport = { runs: [
    run("A", ["cam", "gradient"], ["x", "y", "z"]), run("B", ["rise", "cam"], ["z", "x"]), run("empty", [], ["x"], []),
] };
"""


def test_every_column_is_followed_by_its_twins_and_what_only_another_run_has_comes_last() -> None:
    files = ("samples/adjacent.js", "core/state.js", "core/report.js")
    places = "placesOf(report.runs[0]).map((place) => `${placeKey(place)} ${placeName(place)}`)"
    set_to = "(Object.assign(state, {{ adjacent: {} }}), {})"
    alone, adjacent, unknown, there = call_each(
        [
            set_to.format("[]", places),
            set_to.format('["epoch:0", "run:1"]', places),
            set_to.format('["epoch:3", "run:0", "run:2", "run:9", "constructor"]', places),
            set_to.format(
                '["run:1"]', "[0, 1, 2].map((i) => sampleAt(placesOf(report.runs[0])[1], report.runs[0], i))"
            ),
        ],
        *files,
        before=RUNS,
    )
    assert alone == unknown == ["/0 CAM", "/1 Gradient"]
    assert adjacent == [
        "/0 CAM, A", "epoch:0/0 CAM, epoch 1", "run:1/1 CAM, B", "/1 Gradient, A", "epoch:0/1 Gradient, epoch 1",
        "run:1/0 RISE, B",
    ]  # fmt: skip
    assert there == [1, None, 0]  # where the images of A lie in B


@pytest.fixture(scope="module")
def twins(runs: Path, make_run: Callable[..., Path]) -> Path:
    """A second run on three of the four images, in another order, with other maps, and one column of its own."""
    shutil.copytree(runs / "cbam", run := runs / "other-run", ignore=shutil.ignore_patterns("report"))
    order = [2, 0, 3]
    content = json.loads((run / "maps/probes.json").read_text())
    for number, probe in enumerate(content["probes"]):
        probe["name"] = f"folder/{number}.png"
    (runs / "cbam-named").exists() or shutil.copytree(runs / "cbam", runs / "cbam-named")
    (runs / "cbam-named/maps/probes.json").write_text(json.dumps(content))
    content["probes"] = [content["probes"][number] for number in order]
    (run / "maps/probes.json").write_text(json.dumps(content))
    for path in run.glob("maps/epoch-*.npz"):
        with np.load(path) as arrays:
            changed = {key: arrays[key][order] * np.float16(0.5) for key in arrays}
        np.savez(path, allow_pickle=False, **changed, own=changed["layer3"][:, ::-1])
        record = json.loads(path.with_suffix(".json").read_text())
        for name in ("predictions", "probabilities"):
            record[name] = [record[name][number] for number in order]
        record["columns"]["own"] = {"title": "rise", "source": "saliency", "kind": "rise"}
        path.with_suffix(".json").write_text(json.dumps(record))
    report.build([runs / "cbam-named", run], runs / "side-by-side")
    return runs / "side-by-side/index.html"


@pytest.mark.browser
def test_runs_and_epochs_are_columns_of_the_same_images(open_page, twins: Path, runs: Path, titles) -> None:
    opened = open_page(f"{ADDRESS}epoch:0|run:1", index=twins)
    heads = opened.page.locator(".heads .head").evaluate_all("(all) => all.map((one) => one.title)")
    whose = ("cbam-named", "epoch 1", "other-run")
    own = [f"{titles[key]} · {one}" for key in ("grad_cam", "layer2") for one in whose]
    assert heads == [*own, "rise · other-run"]
    then, there = recorded(runs, 0, "layer2")[2], recorded(runs, 4, "layer2", "other-run")[0]
    for whose, map in (("epoch 1", then), ("other-run", there)):
        drawn = opened.pixels(f"{titles['layer2']} · {whose}", 2)[..., 0]
        assert np.array_equal(drawn, steps(map, map.min(), map.max())), whose
    only = recorded(runs, 4, "own", "other-run")[0]
    assert np.array_equal(opened.pixels("rise · other-run", 2)[..., 0], steps(only, only.min(), only.max()))
    absent = opened.cell("rise · other-run", 1)  # the second image is not in the other run
    assert absent.evaluate("(cell) => getComputedStyle(cell.querySelector('.frame'), '::after').content") == (
        '"not in this run"'
    )
    absent.locator(".frame").click()
    assert "whose=run:1" in opened.page.url.replace("%3A", ":")
    dialog = opened.page.locator("dialog.large")
    assert dialog.locator(".large-map .cell-whose").inner_text() == "other-run"
    assert dialog.locator(".large-strip .cell").count() == 6
    opened.page.keyboard.press("ArrowDown")
    assert dialog.locator(".large-map .cell-name").inner_text() == "Grad-CAM"


@pytest.mark.browser
def test_they_are_chosen_in_the_panel_and_kept_in_the_table(open_page, twins: Path) -> None:
    opened = open_page(f"{ADDRESS}", index=twins)
    assert opened.page.locator(".heads .head").count() == 2
    opened.panel("compare")
    opened.page.get_by_label("other-run", exact=True).check()
    opened.page.get_by_label("epoch 3", exact=True).check()
    opened.settle()
    assert opened.page.locator(".heads .head").count() == 7
    assert opened.page.evaluate("new URLSearchParams(location.hash.slice(1)).get('adjacent')") == "run:1|epoch:2"
    opened.panel("export")
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Samples as CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    named = {row["file"].split("/")[-1]: row for row in rows}
    known = json.loads((twins.parent.parent / "other-run/maps/epoch-0004.json").read_text())
    for place, file in enumerate(("2.png", "0.png", "3.png")):
        predicted = f"digit {known['predictions'][place]}"
        assert named[file]["predicted class, other-run"] == predicted
    assert named["1.png"]["confidence, other-run"] == ""
    assert any(name.startswith("Grad-CAM, epoch 3: ") and row for row in rows for name in row)


@pytest.mark.browser
def test_an_attention_map_has_one_scale_with_its_twins(open_page, twins: Path, titles) -> None:
    """The other run's values are half of this one's; a saliency map's unit is its network's, so it keeps its own."""
    opened = open_page("#scale=column&epoch=5&columns=0,2&adjacent=run:1", index=twins)

    def ends(key: str, whose: str) -> list[str]:
        cell = opened.cell(f"{titles[key]} · {whose}", 2)
        return cell.locator(".scale:not([hidden]) > span:not(.bar)").all_inner_texts()

    assert ends("layer2", "cbam-named") == ends("layer2", "other-run")
    assert ends("grad_cam", "cbam-named") != ends("grad_cam", "other-run")
