"""Two epochs, two methods or two runs on the same sample, against the maps that were written."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cv_attention import report
from tests.report.test_pixels import recorded, steps

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def twins(runs: Path) -> Path:
    """A second run on the same samples, with other maps."""
    run = runs / "other"
    shutil.copytree(runs / "cbam", run, ignore=shutil.ignore_patterns("report"))
    for path in run.glob("maps/*.npz"):
        with np.load(path) as arrays:
            changed = {key: arrays[key][:, ::-1] if arrays[key].ndim == 3 else arrays[key] for key in arrays}
        np.savez(path, allow_pickle=False, **changed)
    report.build([runs / "cbam", run], runs / "twins")
    return runs


def expect_difference(drawn: np.ndarray, difference: np.ndarray) -> None:
    """Red where A is larger, blue where B is, white between; the same distance from white on both sides."""
    most = np.abs(difference).max()
    drawn = drawn.astype(int)
    assert (drawn[difference > 0.3 * most][:, 0] > drawn[difference > 0.3 * most][:, 2] + 20).all()
    assert (drawn[difference < -0.3 * most][:, 2] > drawn[difference < -0.3 * most][:, 0] + 20).all()
    assert (drawn[np.abs(difference) < 0.01 * most][:, :3] > 235).all()


def test_two_epochs_as_a_signed_difference(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page("#scale=image&epoch=5&opacity=1&smooth=0&columns=2,3&size=128")
    opened.panel("compare")
    opened.page.locator("select[name=versus]").select_option("epoch:0")
    opened.page.locator("select[name=compare]").select_option("difference")
    now, then = recorded(runs, 4, "layer2")[0], recorded(runs, 0, "layer2")[0]
    expect_difference(opened.pixels(titles["layer2"]), now - then)
    assert opened.page.locator(".side-a").inner_text() == "A epoch 5"
    assert opened.page.locator(".side-b").inner_text() == "B epoch 1"
    canvas = opened.cell(titles["layer2"]).locator("canvas.a")
    canvas.hover(position={"x": 4 * 7 + 2, "y": 4 * 20 + 2})
    shown = opened.page.locator(".readout").inner_text().split(" · ")
    assert float(shown[0].removeprefix("A ")) == pytest.approx(now[20, 7], abs=6e-4)
    assert float(shown[1].removeprefix("B ")) == pytest.approx(then[20, 7], abs=6e-4)
    minus = float(shown[2].removeprefix("A − B ").replace("−", "-"))
    assert minus == pytest.approx(now[20, 7] - then[20, 7], abs=6e-4)
    ends = opened.cell(titles["layer2"]).locator(".scale > span")
    assert float(ends.nth(2).inner_text()) == pytest.approx(np.abs(now - then).max(), abs=6e-3)
    opened.page.get_by_role("button", name="Stop comparing").click()
    level = steps(now, now.min(), now.max())
    opened.panel("display")
    opened.page.locator("select[name=colours]").select_option("grey")
    assert np.array_equal(opened.pixels(titles["layer2"])[..., 0], level)


def test_swipe_shows_a_left_and_b_right_of_the_line(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(
        "#scale=image&epoch=5&opacity=1&smooth=0&colours=grey&box=0&size=128&columns=3&versus=epoch:0&compare=swipe"
    )
    now, then = recorded(runs, 4, "layer3")[0], recorded(runs, 0, "layer3")[0]
    lo, hi = min(now.min(), then.min()), max(now.max(), then.max())
    a, b = steps(now, lo, hi), steps(then, lo, hi)
    assert np.array_equal(opened.pixels(titles["layer3"])[..., 0], a)
    assert np.array_equal(opened.pixels(titles["layer3"], layer="b")[..., 0], b)
    frame = opened.cell(titles["layer3"]).locator(".frame")
    frame.scroll_into_view_if_needed()
    place = frame.bounding_box()

    def both(cut: int) -> np.ndarray:
        return np.where(np.arange(16) < cut, a, b)

    def seen() -> np.ndarray:
        return opened.screenshot(frame)[4::8, 4::8, 0]

    inner = np.s_[1:15, 1:15]
    assert np.abs(seen() - both(8))[inner].max() <= 1
    opened.page.mouse.move(place["x"] + 64, place["y"] + 60)
    opened.page.mouse.down()
    opened.page.mouse.move(place["x"] + 24, place["y"] + 60, steps=3)
    opened.page.mouse.up()
    opened.page.mouse.move(0, 0)
    assert "split=0.18" in opened.page.evaluate("location.hash")
    assert np.abs(seen() - both(3))[inner].max() <= 1
    opened.panel("compare")
    opened.page.locator("input[name=split]").fill("0.75")
    assert np.abs(seen() - both(12))[inner].max() <= 1


# The letter and what is hidden are read in one frame: between two calls the page may blink.
SHOWN_ALONE = """(cell, [letter, other]) => new Promise((tell) => {
    const begin = performance.now();
    const look = () => {
        const [own, hidden] = [letter.toLowerCase(), other].map(
            (name) => getComputedStyle(cell.querySelector("canvas." + name)).visibility,
        );
        const shown = document.querySelector(".versus").dataset.shown === letter;
        if (shown && own === "visible" && hidden === "hidden") tell(true);
        else if (performance.now() - begin > 20000) tell(false);
        else requestAnimationFrame(look);
    };
    look();
})"""


@pytest.mark.long
def test_blink_shows_one_after_the_other(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page("#scale=image&epoch=5&columns=3&versus=epoch:0&compare=blink")
    cell = opened.cell(titles["layer3"])
    opened.pixels(titles["layer3"], layer="b")
    for letter, other in [("B", "a"), ("A", "b")]:
        assert cell.evaluate(SHOWN_ALONE, [letter, other]), f"{letter} is never shown alone"
    opened.page.keyboard.press("b")  # on to the next way
    assert cell.locator("canvas.a").evaluate("(c) => getComputedStyle(c).visibility") == "visible"
    assert "compare" not in opened.page.evaluate("location.hash")


def test_two_methods_differ_in_their_own_ranges(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page("#scale=image&epoch=5&opacity=1&smooth=0&columns=3&versus=column:0&compare=difference")
    a, b = recorded(runs, 4, "layer3")[1], recorded(runs, 4, "grad_cam")[1]
    from PIL import Image

    large = np.asarray(Image.fromarray(b.astype(np.float32)).resize((16, 16), Image.Resampling.BILINEAR))
    shares = [(one - ends.min()) / np.ptp(ends) for one, ends in ((a, a), (large, b))]
    expect_difference(opened.pixels(titles["layer3"], 1), shares[0] - shares[1])


def test_two_runs_on_the_same_sample(open_page, twins: Path, titles: dict[str, str]) -> None:
    opened = open_page(
        "#scale=image&epoch=5&opacity=1&smooth=0&colours=grey&columns=3", index=twins / "twins/index.html"
    )
    opened.panel("compare")
    opened.page.locator("select[name=versus]").select_option("run:1")
    a, b = recorded(twins, 4, "layer3")[2], recorded(twins, 4, "layer3", "other")[2]
    expect_difference(opened.pixels(titles["layer3"], 2), a - b)
    opened.page.locator("select[name=compare]").select_option("swipe")
    assert np.array_equal(opened.pixels(titles["layer3"], 2, layer="b")[..., 0], steps(b, b.min(), b.max()))
    assert opened.page.locator(".side-b").inner_text() == "B other"
