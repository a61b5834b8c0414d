"""A walk through the whole page by keyboard: everything is reached, every field follows its keys, every panel opens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cv_attention import report
from tests.report import panel_run

pytestmark = pytest.mark.browser
PANELS = ("filters", "display", "columns", "compare", "views", "notes", "export")
CONTROLS = "button, input, select, textarea, summary, a[href], [tabindex='0'], [role=button]"
# Marks what can be seen and operated, except one of several radio buttons and what only a pointer needs.
MARK = f"""(root) => {{
    const shown = (one) => one.checkVisibility({{ visibilityProperty: true }});
    const seen = [...document.querySelectorAll(`${{root}} :is({CONTROLS})`)].filter((one) =>
        !one.disabled && one.tabIndex >= 0 && shown(one) && one.type !== "file");
    seen.forEach((one, i) => (one.dataset.walk = i));
    return seen.length;
}}"""
HERE = "delete document.activeElement.dataset.walk"
WORDS = """[...document.querySelectorAll("[data-walk]")].map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def index(make_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with all panels of a classifier; they differ in a setting."""
    root = tmp_path_factory.mktemp("keyboard")
    for number, name in enumerate(("a", "b", "c")):
        run = panel_run.add_panels(make_run(root / name, epochs=6, probes=4, seed=number // 2), seed=number)
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(
            config.replace("seed: 0", f"seed: {number}").replace("cbam", "cbam" if number else "se")
        )
    return report.build(sorted(root.iterdir()), root / "all")


def walk(opened, root: str) -> None:
    """Presses Tab until every control below `root` had the focus."""
    expected = opened.page.evaluate(MARK, root)
    assert expected
    for _ in range(expected + 40):
        opened.page.keyboard.press("Tab")
        opened.page.evaluate(HERE)
    assert opened.page.evaluate(WORDS) == []


@pytest.mark.long
@pytest.mark.parametrize("panel", PANELS)
def test_all_controls_of_a_panel_are_reached_by_tab(open_page, index: Path, panel: str) -> None:
    opened = open_page("#adjacent=run:1&selected=0", index=index)
    button = opened.page.locator(f"[data-panel={panel}]")
    button.focus()
    opened.page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    for details in opened.page.locator(f"#panel-{panel} details").all():
        details.evaluate("(one) => (one.open = true)")
    walk(opened, f"#panel-{panel}")
    button.focus()
    opened.page.keyboard.press("Space")
    assert button.get_attribute("aria-expanded") == "false"


@pytest.mark.long
@pytest.mark.parametrize("section", ["runs", "curves", "network", "attention", "classes", "faithfulness"])
def test_all_controls_of_a_section_are_reached_by_tab(open_page, index: Path, section: str) -> None:
    opened = open_page("#epoch=5", index=index)
    title = opened.page.locator(f"#{section}")
    title.evaluate("(one) => { one.tabIndex = -1; one.focus(); }")
    opened.settle()
    walk(opened, f"section[aria-labelledby={section}]")


# Field -> keys that change it, and what the address then says.
FIELDS = {
    "filters": {
        "label": ["ArrowDown"], "predicted": ["ArrowDown"], "show": ["ArrowDown"], "least": ["ArrowRight"],
        "most": ["ArrowLeft"], "flag": ["ArrowDown"], "agreement": ["ArrowDown"],
        "where": ["l", "o", "s", "s", ">", "1"],
    },
    "display": {
        "opacity": ["ArrowRight"], "colours": ["ArrowDown"], "signed": ["ArrowDown"], "scale": ["ArrowDown"],
        "clip": ["ArrowDown"], "threshold": ["ArrowRight"], "contour": ["Space"], "smooth": ["Space"], "box": ["Space"],
        "size": ["ArrowRight"], "zoom": ["ArrowRight"],
    },
    "compare": {"versus": ["ArrowDown"], "compare": ["ArrowDown"]},
    "": {
        "sort": ["ArrowDown"], "search": ["x"], "by": ["ArrowDown"], "smoothing": ["ArrowRight"], "log": ["Space"],
        "grouped": ["ArrowDown"], "to": ["2", "Enter"], "site": ["ArrowUp"], "query": ["ArrowRight"],
    },
}  # fmt: skip


@pytest.mark.parametrize("panel", FIELDS)
def test_fields_follow_the_keyboard(open_page, index: Path, panel: str) -> None:
    opened = open_page("#epoch=5", index=index)
    page = opened.page
    if panel:
        opened.panel(panel)
    for name, keys in FIELDS[panel].items():
        field = page.locator(f"[name={name}], #{name}").locator("visible=true").first
        if not field.count():
            continue  # not of this run
        before = page.evaluate("location.hash")
        field.focus()
        for key in keys:
            page.keyboard.press(key)
        opened.until(f"location.hash !== {before!r}")


def test_rows_are_selected_noted_and_opened_by_keys(open_page, index: Path) -> None:
    opened = open_page("#epoch=5", index=index)
    page = opened.page
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert "selected=0" in page.evaluate("location.hash")
    page.keyboard.press("n")
    page.keyboard.type("a note")
    page.keyboard.press("Tab")
    page.keyboard.type("odd")
    page.keyboard.press("Enter")
    opened.until("!document.querySelector('dialog[open]')")
    assert page.locator('.probe[data-sample="0"] .flags').inner_text().startswith("#odd")
    page.keyboard.press("Enter")
    assert page.locator("dialog.large").is_visible()
    before = page.evaluate("location.hash")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("location.hash") != before  # another map
    page.keyboard.press("ArrowRight")
    assert "sample=1" in page.evaluate("location.hash")
    page.keyboard.press(",")
    opened.until("location.hash.includes('epoch=') && !location.hash.includes('epoch=5')")
    page.keyboard.press("Escape")
    assert not page.locator("dialog.large").is_visible()
    assert page.evaluate("document.activeElement !== document.body")  # the focus is back in the list


def test_a_line_a_run_and_a_table_are_operated_by_keys(open_page, index: Path) -> None:
    opened = open_page("#epoch=5", index=index)
    page = opened.page
    page.get_by_role("checkbox", name="Show a in the curves").press("Space")
    assert "hidden=run%3A0" in page.evaluate("location.hash")
    page.locator(".legend button").first.press("Enter")
    assert page.evaluate("location.hash").count("hidden=") == 1
    page.get_by_role("button", name="Parameters", exact=True).press("Enter")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Parameters")
    page.get_by_role("navigation", name="Runs").get_by_role("button", name="b", exact=True).press("Enter")
    assert "run=1" in page.evaluate("location.hash")
    with page.expect_download() as download:
        page.get_by_role("button", name="Curves as CSV").press("Enter")
    assert download.value.suggested_filename == "b-curves.csv"
