"""The reading panel: what it shows of texts, weights and errors, compared with what was recorded."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchmetrics.functional.text import char_error_rate

from cv_attention import report
from cv_attention.alignment import align
from cv_attention.report.read.readings import by_length, confused
from cv_attention.rundir.contents import ProbeEntry, Probes
from cv_attention.rundir.readings import ReadEpoch, ReadProbe, ReadText, write_readings
from tests.quick import quick_first
from tests.report.written import only_run, payload

TEXTS = {0: ["", "11", "1 9"], 1: ["7", "12", "1 2"], 3: ["7", "12", "1 23"]}
TRUTHS = ["7", "12", "1 23"]
GRID = (2, 6)


def weights(epoch: int) -> np.ndarray:
    """Random weights of two heads, 0 behind the end of each text."""
    longest = max(map(len, TEXTS[epoch]))
    values = np.random.default_rng(epoch).random((3, 2, longest, *GRID)).astype(np.float16)
    for row, text in zip(values, TEXTS[epoch], strict=True):
        row[:, len(text) :] = 0
    return values


def read_probe(text: str, truth: str) -> ReadProbe:
    sure = tuple(round(0.9 - 0.1 * step, 6) for step in range(len(text)))
    return ReadProbe(text, 0.5, tuple(text), sure, truth, tuple(truth), tuple(align(text, truth)))


def write_run(run: Path) -> Path:
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(
        "data: {name: digit_strings}\nmodel: {backbone: convnet, head: {name: gru, width: 32}}"
    )
    (run / "summary.json").write_text(json.dumps({"parameters": 10, "test": {"cer": 0.125, "exact": 0.5}}))
    entries = []
    for number in range(3):
        (run / "maps/images").mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(run / f"maps/images/{number:04d}.png")
        entries.append(ProbeEntry(f"images/{number:04d}.png", f"word {number}"))
    Probes((), tuple(entries)).write(run / "maps/probes.json")
    for epoch, texts in TEXTS.items():
        probes = tuple(read_probe(*both) for both in zip(texts, TRUTHS, strict=True))
        ReadEpoch(epoch, 10 * epoch, "character", True, probes).write(run / f"maps/reading-{epoch:04d}.json")
        np.savez_compressed(run / f"maps/reading-{epoch:04d}.npz", weights=weights(epoch))
    write_readings(run / "readings.csv", TESTED)
    return run


TESTED = [
    ReadText("a", "12", 0.9, "12", 0.0),
    ReadText("b", "17", 0.9, "12", 0.5),
    ReadText("c", "127", 0.9, "12", 0.5),
    ReadText("d", "1", 0.9, "1", 0.0),
    ReadText("e", "", 0.9, "2", 1.0),
    ReadText("f", "7", 0.9, "2", 1.0),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "reading")


def test_tables_count_errors_by_length_and_by_character() -> None:
    rows = by_length(TESTED)
    assert [(row["length"], row["images"], row["exact"]) for row in rows] == [(1, 3, 1), (2, 3, 1)]
    for row in rows:
        group = [one for one in TESTED if len(one.truth or "") == row["length"]]
        expected = char_error_rate([one.text for one in group], [one.truth or "" for one in group])
        assert row["cer"] == pytest.approx(float(expected))
    assert confused(TESTED)[0] == ("2", "7", 2, 5)
    assert sorted(confused(TESTED)[1:]) == [("", "7", 1, 0), ("2", "", 1, 5)]
    assert by_length([ReadText("a", "1", 0.5)]) == confused([ReadText("a", "1", 0.5)]) == []


def test_an_empty_truth_has_a_length_too() -> None:
    [row] = by_length([ReadText("a", "12", 0.5, "", 2.0), ReadText("b", "", 0.5, "", 0.0)])
    assert row == {"length": 0, "images": 2, "errors": 2, "cer": 2.0, "exact": 1}


def test_the_page_gets_all_epochs(run: Path) -> None:
    shown = only_run(report.build(run))
    assert sorted(shown["panels"]["reading"]) == ["0", "1", "3"]
    assert not shown["notices"]
    assert ["Head", "gru (width=32)"] in shown["facts"]
    content = payload(next((run / "report/data/run0").glob("e3-reading.*.js")))
    assert [probe["text"] for probe in content["probes"]] == TEXTS[3]
    assert content["weights"]["steps"] == 4
    assert content["weights"]["shape"] == list(GRID)


def spoil_arrays(run: Path) -> None:
    path = run / "maps/reading-0003.npz"
    path.write_bytes(path.read_bytes()[:100])


def spoil_record(run: Path) -> None:
    path = run / "maps/reading-0003.json"
    path.write_text(path.read_text()[:100])


def of_other_texts(run: Path) -> None:
    np.savez_compressed(run / "maps/reading-0003.npz", weights=weights(1))


def of_other_images(run: Path) -> None:
    ReadEpoch(3, None, "character", False, ()).write(run / "maps/reading-0003.json")


WITHOUT = "maps/reading-0003.npz could not be read; the texts of this epoch are shown without weights."
LEFT_OUT = "maps/reading-0003.json could not be read and is left out."


@pytest.mark.parametrize(
    ("spoil", "notice", "epochs"),
    [
        (spoil_arrays, WITHOUT, 3),
        (lambda run: (run / "maps/reading-0003.npz").unlink(), WITHOUT, 3),
        (of_other_texts, WITHOUT, 3),
        (spoil_record, LEFT_OUT, 2),
        (of_other_images, LEFT_OUT, 2),
        (lambda run: (run / "readings.csv").write_text("torn"), "readings.csv could not be read and is left out.", 3),
        (lambda run: (run / "maps/probes.json").write_text("torn"), "maps/probes.json could not be read.", 0),
    ],
)
def test_what_is_torn_is_noted(run: Path, spoil: Callable[[Path], object], notice: str, epochs: int) -> None:
    spoil(run)
    shown = only_run(report.build(run))
    assert notice in shown["notices"]
    assert len(shown["panels"]["reading"]) == epochs


@pytest.fixture
def opened(open_page, run: Path):
    report.build(run)

    def open_one(address: str = "", width: int = 1280):
        page = open_page(address, index=run / "report/index.html", width=width)
        page.until("document.querySelector('.units')")
        return page

    return open_one


def pixels(locator) -> np.ndarray:
    height, width, values = locator.evaluate(
        "(c) => [c.height, c.width, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
    )
    return np.array(values, dtype=np.uint8).reshape(height, width, 4)


@pytest.mark.browser
def test_boxes_show_characters_errors_and_confidence(opened) -> None:
    page = opened("#sample=2&epoch=2").page  # 1 2, of which the truth is 1 23
    section = page.locator("section[aria-labelledby=reading]")
    boxes = section.locator(".unit")
    assert boxes.count() == 4
    kinds = [boxes.nth(i).get_attribute("class").split()[1] for i in range(4)]
    assert kinds == [pair.kind for pair in align("1 2", "1 23")] == ["match", "match", "match", "deletion"]
    assert [boxes.nth(i).get_attribute("aria-label") for i in (0, 1, 3)] == [
        "1: right, confidence 90.0 %", "␣: right, confidence 80.0 %", "3: not read",
    ]  # fmt: skip
    assert "1 error; the truth is 1 23" in section.inner_text()
    assert boxes.nth(0).evaluate("(one) => one.style.getPropertyValue('--sure')") == "41%"  # 0.45 of 90 %
    section.get_by_label("Next image").click()
    page.wait_for_timeout(150)
    assert "read without an error" in section.inner_text()


@pytest.mark.browser
def test_maps_are_the_mean_over_heads_and_the_matrix_sums_their_rows(opened) -> None:
    opened_page = opened("#scale=image&sample=2&epoch=4&smooth=0&colours=grey&opacity=1")
    page, mean = opened_page.page, weights(3).astype(np.float32).mean(1)[2]
    frames = page.locator(".step-map")
    assert frames.count() == 4
    for step in range(4):
        drawn = pixels(frames.nth(step).locator("canvas"))[..., 0].astype(float)
        expected = 255 * (mean[step] - mean.min()) / (mean.max() - mean.min())  # all steps at one scale
        assert np.abs(drawn - expected).max() <= 1.5
    columns = mean.sum(1)
    drawn = pixels(page.locator(".alignment-matrix"))[..., 0].astype(float)
    assert np.abs(drawn - 255 * columns / columns.max()).max() <= 1.5
    page.locator("select[name=positions]").select_option("all")
    page.wait_for_timeout(150)
    drawn = pixels(page.locator(".alignment-matrix"))[..., 0].astype(float)
    assert np.abs(drawn - 255 * mean.reshape(4, -1) / mean.max()).max() <= 1.5
    assert not opened_page.faults


@pytest.mark.browser
def test_hovering_shows_a_step_over_the_image(opened) -> None:
    page = opened("#scale=image&sample=2&epoch=4&smooth=0&colours=grey").page
    large = page.locator(".reading-large")
    assert large.locator("canvas").count() == 0
    for step, locator in ((1, page.locator(".step-map").nth(1)), (2, page.locator(".unit[data-step='2']"))):
        locator.hover()
        text = ["1", "␣", "2", "3"][step]
        assert large.locator("figcaption").inner_text() == f"Where {text} was read ({90 - 10 * step} %)"
        small = pixels(page.locator(".step-map").nth(step).locator("canvas"))
        assert np.array_equal(pixels(large.locator("canvas")), small)
        assert page.locator(".looked-at").count() == 2  # its box and its map
    page.locator(".step-map").nth(0).focus()
    assert large.locator("figcaption").inner_text().startswith("Where 1 was read")


@pytest.mark.browser
def test_the_slider_goes_through_the_epochs(opened) -> None:
    opened_page = opened("#sample=1")
    page = opened_page.page
    for epoch, text in ((0, "11"), (1, "12"), (3, "12")):
        page.locator("#epoch").evaluate(
            "(one, at) => { one.value = at; one.dispatchEvent(new Event('input', { bubbles: true })); }", epoch
        )
        opened_page.until(f"document.querySelector('.units').ariaLabel === 'Read: {text}'")
        assert f"epoch {epoch + 1}," in page.locator("section[aria-labelledby=reading]").inner_text()
    assert page.locator(".ticks i").count() == 3


@pytest.mark.browser
def test_tables_of_the_test(opened) -> None:
    page = opened().page
    rows = page.locator(".by-length tbody tr")
    shown = [text.split() for text in rows.all_inner_texts()]
    assert shown == [["1", "3", "2", "66.67", "%", "33.3", "%"], ["2", "3", "2", "33.33", "%", "33.3", "%"]]
    first = page.locator(".confused tbody tr").first
    assert first.inner_text().split("\t") == ["2", "7", "2", "40.0 %"]


@pytest.mark.browser
@pytest.mark.parametrize("theme", quick_first(["light", "dark"]))
def test_nothing_is_inaccessible(opened, theme: str) -> None:
    axe_core = pytest.importorskip("axe_core_python")
    opened_page = opened("#sample=2&epoch=2")
    page = opened_page.page
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    page.evaluate((Path(axe_core.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document).then((result) => result.violations)")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.browser
def test_a_narrow_page_does_not_scroll_sideways(opened) -> None:
    page = opened("#sample=2&epoch=4", width=380).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


@pytest.mark.browser
def test_texts_without_weights_are_shown(open_page, run: Path) -> None:
    spoil_arrays(run)
    report.build(run)
    opened_page = open_page("#sample=2&epoch=4", index=run / "report/index.html")
    opened_page.until("document.querySelector('.units')")
    text = opened_page.page.locator("section[aria-labelledby=reading]").inner_text()
    assert "No attention weights were recorded." in text
    assert WITHOUT in opened_page.page.locator("main").inner_text()
    assert not opened_page.faults
