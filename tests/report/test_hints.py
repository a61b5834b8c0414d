"""What the page says where a map cannot follow, a list is empty, or an address asks for what is not there."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from tests.quick import quick_first, quick_only
from tests.report import panel_run

pytestmark = pytest.mark.browser
ISOLATES = {0x2066: None, 0x2067: None, 0x2068: None, 0x2069: None}  # around names, which may run either way
ALL = "scale=image&columns=0,1,2,3,4,5,6"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    directory = panel_run.add_panels(make_run(tmp_path_factory.mktemp("hints") / "a", epochs=6, probes=4))
    report.build(directory)
    return directory


@pytest.fixture
def opened(open_page, run: Path) -> Callable[..., object]:
    def open_one(address: str = "", width: int = 1280):
        return open_page(address, index=run / "report/index.html", width=width)

    return open_one


def labels_and_predictions(run: Path, epoch: int) -> tuple[list[int], list[int]]:
    probes = json.loads((run / "maps/probes.json").read_text())["probes"]
    about = json.loads((run / f"maps/epoch-{epoch:04d}.json").read_text())
    return [probe["label"] for probe in probes], about["predictions"]


@pytest.mark.long
def test_class_switch_says_what_each_map_explains(opened, run: Path, titles: dict[str, str]) -> None:
    page = opened(f"#epoch=5&target=difference&opacity=1&smooth=0&{ALL}")
    page.show(0)
    labels, predicted = labels_and_predictions(run, 4)
    assert any(a == b for a, b in zip(labels, predicted, strict=True))
    for sample, (label, guess) in enumerate(zip(labels, predicted, strict=True)):
        drawn = page.pixels(titles["grad_cam"], sample)
        badge = page.cell(titles["grad_cam"], sample).locator(".target").inner_text()
        if label == guess:
            assert badge == "same class"
            assert (drawn[..., :3] > 235).all()
        else:
            assert badge.translate(ISOLATES) == f"digit {guess} − digit {label}"
        assert page.cell(titles["layer2"], sample).locator(".target").inner_text() == "any class"
        assert (
            page.cell(titles["signed"], sample).locator(".target").inner_text().translate(ISOLATES)
            == f"for digit {guess}"
        )
    page.panel("display")
    page.page.locator("select[name=target]").select_option("predicted")
    page.settle()
    assert page.page.locator(".target").filter(visible=True).count() == 0


def test_escape_empties_the_search_and_leaves_it(opened) -> None:
    page = opened()
    page.page.keyboard.press("/")
    page.page.keyboard.type("nothing like this")
    assert page.listed() == 0
    page.page.keyboard.press("Escape")
    assert page.listed() == 4
    assert page.page.get_by_role("searchbox").input_value() == ""
    assert page.page.evaluate("document.activeElement.id") != "search"
    page.page.keyboard.press("j")
    assert page.page.locator('.probe[aria-current="true"]').count() == 1


def test_classes_link_to_recorded_images_alone(opened, run: Path) -> None:
    page = opened("#epoch=5")
    labels, predicted = labels_and_predictions(run, 4)
    rows = page.page.locator(".per-class tbody tr")
    rows.first.wait_for()
    linked = {int(row.get_attribute("data-class")) for row in rows.all() if row.locator("button").count()}
    assert linked == set(labels)
    pairs = page.page.locator(".pairs li")
    known = {(f"digit {a}", f"digit {b}") for a, b in zip(labels, predicted, strict=True)}
    assert pairs.count() > 0
    for pair in pairs.all():
        name = pair.locator(":scope > :first-child").inner_text()
        assert (pair.locator("button").count() == 1) == (tuple(name.split(" → ")) in known)
    box = page.page.locator(".confusion-map").bounding_box()
    away = next(i for i in range(10) if i not in labels)
    page.page.locator(".confusion-map").click(
        position={"x": box["width"] * 0.75, "y": box["height"] * (away + 0.5) / 10}
    )
    told = page.page.locator(".probes .empty").inner_text()
    assert told.startswith("No image matches the filters at this epoch.")
    assert "the 4 images that were recorded" in told
    page.page.get_by_role("searchbox").fill("x")
    page.page.evaluate("location.hash = 'search=nothing'")
    page.settle()
    assert page.page.locator(".probes .empty").inner_text() == "No image matches the filters at this epoch."


@pytest.mark.parametrize("nonsense", quick_only(["sort=nonsense", "columns=999", "versus=epoch:77"], [
    "sort=nonsense", "sort=99:change", "columns=999", "versus=epoch:77",
    "versus=run:0", "versus=column:99", "flag=nonsense", "label=99",
]))  # fmt: skip
def test_unknown_values_of_the_address_fall_back(opened, nonsense: str) -> None:
    page = opened(f"#{nonsense}")
    name = nonsense.partition("=")[0]
    page.page.keyboard.press("s")  # writes the address again
    assert name not in page.page.evaluate("location.hash")
    assert page.listed() == 4
    assert page.page.locator("select[name=sort]").evaluate("(field) => field.selectedOptions[0]?.text") == "as recorded"
    assert page.page.locator(".head").count() > 1
    assert not page.page.locator(".versus").is_visible()


@pytest.mark.parametrize("theme", quick_first(["light", "dark"]))
@pytest.mark.parametrize("name", [".per-class", ".faith-table", ".contents"])
def test_what_scrolls_sideways_has_a_shadow_where_it_goes_on(opened, name: str, theme: str) -> None:
    page = opened(width=360)
    page.page.emulate_media(color_scheme=theme)
    frame = page.page.locator(name if name == ".contents" else f".table-frame:has({name})")
    frame.scroll_into_view_if_needed()
    assert frame.evaluate("(one) => one.scrollWidth > one.clientWidth + 20")

    def shades() -> tuple[float, float]:
        """How far the median colours of the outermost columns of pixels lie from that of the card."""
        frame.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        drawn = np.median(page.screenshot(frame)[6:-6], 0)
        card = page.page.evaluate(
            "getComputedStyle(document.querySelector('.page-bar')).backgroundColor.match(/\\d+/g).map(Number)"
        )
        return tuple(float(np.abs(drawn[at] - card).max()) for at in (3, -4))

    left, right = shades()
    assert left < 6
    assert right > 15
    frame.evaluate("(one) => one.scrollTo(one.scrollWidth, 0)")
    left, right = shades()
    assert left > 15
    assert right < 6


def test_pointing_is_explained(open_page, run: Path) -> None:
    path = run / "summary.json"
    content = json.loads(path.read_text())
    content["test"] |= {"pointing": 0.9, "pointing_chance": 0.2}
    path.write_text(json.dumps(content))
    page = open_page(index=report.build(run))
    for name, words in {"Test pointing": "Grad-CAM", "Test pointing chance": "random"}.items():
        tile = page.page.locator(".tile", has=page.page.get_by_text(name, exact=True))
        assert words in tile.get_attribute("title")
