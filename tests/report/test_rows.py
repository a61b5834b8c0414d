"""Rows of the maps that come back into sight: as high as before, and showing what is chosen now."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from tests.quick import quick_only
from tests.report import panel_run
from tests.report.test_pixels import recorded, steps

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def long_page(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    """Two runs with all panels: their maps lie far below what is in sight at first."""
    root = tmp_path_factory.mktemp("rows")
    for seed, name in enumerate(("a", "b")):
        panel_run.add_panels(make_run(root / name, epochs=6, probes=4, seed=seed), seed)
    report.build([root / "a", root / "b"], root / "both")
    return root


def heights(opened) -> list[int]:
    opened.settle()
    return [round(row.bounding_box()["height"]) for row in opened.page.locator(".probe:not([hidden])").all()]


def press(opened, *keys: str) -> None:
    for key in keys:
        opened.page.keyboard.press(key)
        opened.settle()


def change_by_address(opened) -> None:
    opened.page.evaluate("location.hash += '&least=0.01'")
    opened.settle()
    press(opened, "g")


def list_a_class(opened) -> None:
    opened.page.locator(".per-class tbody button").first.click()
    opened.page.evaluate("location.hash = location.hash.replace(/label=\\d+/, '')")
    press(opened, "g")


def count_on_validation(opened) -> None:
    opened.page.locator("select[name=counted]").select_option("validation")
    opened.page.evaluate("document.activeElement.blur()")
    press(opened, "g")


WAYS = {
    "epoch": lambda opened: press(opened, "ArrowLeft", "g"),
    "there and back": lambda opened: press(opened, "g", "t", "Home", "g"),
    "address": change_by_address,
    "class": list_a_class,
    "counted on": count_on_validation,
}


@pytest.mark.parametrize("way", quick_only(["there and back", "address"], WAYS))
def test_rows_keep_their_height_after_a_change_out_of_sight(open_page, long_page: Path, way: str) -> None:
    opened = open_page(index=long_page / "both/index.html")
    WAYS[way](opened)
    found = heights(opened)
    assert len(found) > 1
    assert min(found) > 150
    tops = sorted(row.bounding_box()["y"] for row in opened.page.locator(".probe:not([hidden])").all())
    assert (np.diff(tops) >= found[0] - 1).all()


def test_row_shows_the_epoch_that_was_chosen_while_it_was_out_of_sight(
    open_page, long_page: Path, titles: dict[str, str]
) -> None:
    opened = open_page(
        "#scale=image&epoch=5&opacity=1&smooth=0&colours=grey&columns=3", index=long_page / "both/index.html"
    )
    for keys, epoch in ((("g",), 4), (("t", "Home", "g"), 0)):
        press(opened, *keys)
        values = recorded(long_page, epoch, "layer3", "a")[0]
        assert np.array_equal(opened.pixels(titles["layer3"])[..., 0], steps(values, values.min(), values.max()))


@pytest.mark.long
def test_another_run_of_the_table_has_all_its_rows(open_page, long_page: Path, titles: dict[str, str]) -> None:
    opened = open_page("#scale=image&opacity=1&smooth=0&colours=grey", index=long_page / "both/index.html")
    opened.page.locator("table.runs").get_by_role("button", name="b", exact=True).click()
    press(opened, "g")
    for sample in range(4):
        values = recorded(long_page, 4, "layer3", "b")[sample]
        drawn = opened.pixels(titles["layer3"], sample)[..., 0]
        assert np.array_equal(drawn, steps(values, values.min(), values.max()))
        row = opened.page.locator(f'.probe[data-sample="{sample}"]')
        assert row.locator(".verdict").inner_text()
