"""What the reader takes away or comes back to: the address, keys, notes, pictures and tables."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.browser


def test_a_view_comes_back_from_its_address(open_page, titles: dict[str, str]) -> None:
    opened = open_page("#size=128")
    opened.panel("display")
    page = opened.page
    page.locator("select[name=colours]").select_option("cividis")
    page.locator("input[name=threshold]").fill("0.3")
    page.locator("input[name=zoom]").fill("3")
    page.locator("input[name=x]").fill("0.6")
    page.locator("#epoch").fill("2")
    page.locator("select[name=sort]").select_option("loss")
    page.keyboard.press("j")
    opened.panel("compare")
    page.locator("select[name=versus]").select_option("epoch:0")
    opened.settle()
    address = page.evaluate("location.hash")
    again = open_page(address)
    assert again.page.evaluate("location.hash") == address
    sample = opened.order()[0]
    assert again.order()[0] == sample
    assert np.array_equal(again.pixels(titles["layer3"], sample), opened.pixels(titles["layer3"], sample))
    assert again.epoch() == "epoch 3"
    assert again.page.evaluate("getComputedStyle(document.querySelector('.probes')).getPropertyValue('--zoom')") == "3"


def test_keys_do_what_the_list_of_keys_says(open_page) -> None:
    opened = open_page("#epoch=3")
    page = opened.page
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    listed = [row.locator("kbd").all_inner_texts() for row in dialog.locator("dl > div").all()]
    told = zip(listed, dialog.locator("dd").all_inner_texts(), strict=True)
    guide = (Path(__file__).parents[2] / "docs/report.md").read_text()
    for keys, words in told:
        assert f"| {', '.join(f'`{key}`' for key in keys)} | {words} |" in guide
    assert guide.count("\n| `") == len(listed)
    page.keyboard.press("ArrowLeft")  # not while the dialog is open
    assert opened.epoch() == "epoch 3"
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    for key, panel in [("f", "filters"), ("d", "display"), ("c", "columns"), ("v", "compare")]:
        page.keyboard.press(key)
        assert page.locator(f"#panel-{panel}").is_visible()
    page.keyboard.press("m")
    assert "scale=image" in page.evaluate("location.hash")
    for _ in range(8):
        page.keyboard.press("+")
    page.keyboard.press("Shift+D")
    assert "zoom=5.96" in page.evaluate("location.hash")
    assert "x=0.51" in page.evaluate("location.hash")
    page.keyboard.press("/")
    page.keyboard.type("s4d")
    assert page.get_by_role("searchbox").input_value() == "s4d"
    assert "zoom=5.96" in page.evaluate("location.hash")


def test_everything_is_reached_by_tab_and_seen_to_be(open_page) -> None:
    opened = open_page("#columns=0")
    opened.panel("display")
    reached = set()
    for _ in range(75):
        opened.page.keyboard.press("Tab")
        name, outline = opened.page.evaluate(
            """(() => {
                const at = document.activeElement;
                const style = getComputedStyle(at);
                return [at.name || at.dataset.panel || at.id || at.className || at.tagName,
                        style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
            })()"""
        )
        assert outline or name == "BODY", name
        reached.add(name)
    wanted = {"filters", "display", "columns", "compare", "notes", "export", "search", "sort", "opacity", "colours",
              "scale", "threshold", "zoom", "x", "y", "smooth", "contour", "play", "epoch", "pick"}  # fmt: skip
    assert wanted - reached == set()


def test_notes_are_kept_and_taken_over(open_page, tmp_path: Path) -> None:
    opened = open_page("#columns=0")
    page = opened.page
    page.keyboard.press("j")
    page.keyboard.press("n")
    page.get_by_label("Note", exact=True).fill('two "digits" <b>here</b>')
    page.get_by_label("Tags").fill("#odd, ask-anna")
    page.get_by_role("button", name="Save").click()
    row = page.locator('.probe[data-sample="0"]')
    assert row.locator(".flags").inner_text().startswith("#odd · #ask-anna")
    page.locator('.probe[data-sample="1"] .pick').check()
    opened.panel("notes")
    page.get_by_label("Tag for the selection").fill("odd")
    page.get_by_role("button", name="Tag", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save notes to a file").click()
    kept = json.loads(Path(download.value.path()).read_text())["notes"]
    assert kept[0] == {"run": "cbam", "sample": "0", "note": 'two "digits" <b>here</b>', "tags": ["odd", "ask-anna"]}
    assert kept[1] == {"run": "cbam", "sample": "1", "note": "", "tags": ["odd"]}
    opened.panel("filters")
    page.locator("select[name=flag]").select_option("tag:odd")
    assert opened.listed() == 2

    fresh = open_page("#columns=0")  # another browser: nothing is known there
    assert fresh.page.locator(".has-note").count() == 0
    file = tmp_path / "notes.json"
    file.write_text(json.dumps({"cv_attention_notes": 1, "notes": kept}))
    fresh.panel("notes")
    fresh.page.locator('input[type="file"]').set_input_files(file)
    fresh.until("document.querySelectorAll('.has-note').length === 2")
    file.write_text('{"no": "notes"}')
    fresh.page.locator('input[type="file"]').set_input_files(file)
    status = fresh.page.locator("#panel-notes [role=status]")
    fresh.until("document.querySelector('#panel-notes [role=status]').textContent.startsWith('Not')")
    assert status.inner_text() == "Not imported: this is not a notes file."


def test_selection_as_csv(open_page, runs: Path) -> None:
    opened = open_page("#epoch=5&columns=0")
    page = opened.page
    for sample in (0, 2):
        opened.show(sample)
        page.locator(f'.probe[data-sample="{sample}"] .pick').check()
    page.locator('.probe[data-sample="2"] .note-button').click()
    page.get_by_label("Note", exact=True).fill('=cmd|"x", twice')
    page.get_by_role("button", name="Save").click()
    opened.panel("export")
    with page.expect_download() as download:
        page.get_by_role("button", name="Samples as CSV").click()
    assert download.value.suggested_filename == "cbam-epoch-5.csv"
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    content = json.loads((runs / "cbam/maps/epoch-0004.json").read_text())
    labels = [p["label"] for p in json.loads((runs / "cbam/maps/probes.json").read_text())["probes"]]
    assert [row["sample"] for row in rows] == ["1", "3"]
    for row, i in zip(rows, (0, 2), strict=True):
        assert row["predicted class"] == f"digit {content['predictions'][i]}"
        assert float(row["loss"]) == pytest.approx(-np.log(content["probabilities"][i][labels[i]]), rel=1e-3)
        assert 0 <= float(row["Grad-CAM: sparseness"]) <= 1
    assert rows[1]["note"] == '\'=cmd|"x", twice'  # no formula
