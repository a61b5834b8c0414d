"""What is on the canvases of the page, against the maps that were written."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.quick import quick_only

pytestmark = pytest.mark.browser
MakeRun = Callable[..., Path]
EPOCHS = (0, 2, 4)


def recorded(runs: Path, epoch: int, key: str, run: str = "cbam") -> np.ndarray:
    with np.load(runs / run / f"maps/epoch-{epoch:04d}.npz") as arrays:
        return arrays[key].astype(float)


def steps(values: np.ndarray, lo: float, hi: float) -> np.ndarray:
    return np.floor(255 * (values - lo) / (hi - lo) + 0.5).clip(0, 255)


ALL = "scale=image&columns=0,1,2,3,4,5,6"


def test_canvas_holds_the_written_map(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours=grey&{ALL}")
    for key, probe in itertools.product(["grad_cam", "layer1", "layer2", "layer3"], [0, 2]):
        values = recorded(runs, 2, key)[probe]
        drawn = opened.pixels(titles[key], probe).astype(int)
        expected = steps(values, values.min(), values.max())
        assert (drawn[..., 3] == 255).all()
        difference = np.abs(drawn[..., 0] - expected)
        assert difference.max() <= 1, (key, probe)  # a value halfway between two steps may take either
        assert (difference > 0).mean() < (1 if values.size > 1024 else 0.01), (key, probe)
        assert (drawn[..., 0] == drawn[..., 2]).all()


def test_colour_tables_are_the_published_ones(open_page, runs: Path, titles: dict[str, str]) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours=grey&{ALL}")
    values = recorded(runs, 2, "layer2")[0]
    index = steps(values, values.min(), values.max()).astype(int)
    for name in ("viridis", "inferno", "magma", "cividis"):
        opened.page.evaluate(f"location.hash = '#epoch=3&opacity=1&smooth=0&colours={name}&{ALL}'")
        expected = 255 * matplotlib.colormaps[name](index)[..., :3]
        difference = np.abs(opened.pixels(titles["layer2"])[..., :3] - expected).max()
        assert difference <= 3, name


@pytest.mark.parametrize("scale", quick_only(["run"], ["column", "run"]))
def test_scale_of_the_column_and_of_all_epochs(open_page, runs: Path, titles: dict[str, str], scale: str) -> None:
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours=grey&scale={scale}&columns=0,1,2,3,4,5,6")
    every = [recorded(runs, epoch, "layer3") for epoch in (EPOCHS if scale == "run" else (2,))]
    lo, hi = min(a.min() for a in every), max(a.max() for a in every)
    expected = steps(recorded(runs, 2, "layer3")[1], lo, hi)
    assert np.abs(opened.pixels(titles["layer3"], 1)[..., 0] - expected).max() <= 1


def test_smooth_maps_interpolate_the_values(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=3&opacity=1&colours=grey&{ALL}")
    values = recorded(runs, 2, "grad_cam")[0]
    drawn = opened.pixels(titles["grad_cam"])[..., 0].astype(float)
    large = np.asarray(Image.fromarray(values.astype(np.float32)).resize(drawn.shape[::-1], Image.Resampling.BILINEAR))
    assert drawn.shape == (128, 128)
    assert np.abs(drawn - steps(large, values.min(), values.max())).max() <= 1


def test_signed_maps_diverge_from_zero(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours=inferno&{ALL}")
    values = recorded(runs, 2, "signed")[0]
    drawn = opened.pixels(titles["signed"]).astype(int)
    most = np.abs(values).max()
    assert (drawn[values > 0.3 * most][:, 0] > drawn[values > 0.3 * most][:, 2] + 20).all()  # red
    assert (drawn[values < -0.3 * most][:, 2] > drawn[values < -0.3 * most][:, 0] + 20).all()  # blue
    near = drawn[np.abs(values) < 0.01 * most]
    assert len(near)
    assert (near[:, :3] > 235).all()


def off(seen: np.ndarray, expected: np.ndarray) -> int:
    """Largest difference inside of the round corners, wherever within a pixel the element begins."""
    inner = expected[16:112, 16:112]
    shifted = [seen[16 + y : 112 + y, 16 + x : 112 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return min(int(np.abs(one - inner).max()) for one in shifted)


def test_opacity_goes_from_image_to_map(open_page, runs: Path, titles: dict[str, str]) -> None:
    image = np.asarray(Image.open(runs / "cbam/maps/images/0000.png").convert("RGB"), dtype=int)
    opened = open_page("#epoch=3&opacity=0&smooth=0&box=0&size=128&columns=2")
    frame = opened.cell(titles["layer2"]).locator(".frame")
    frame.scroll_into_view_if_needed()
    assert off(opened.screenshot(frame), image.repeat(2, 0).repeat(2, 1)) <= 1
    opened.panel("display")
    opened.page.locator('input[name="opacity"]').fill("1")
    drawn = opened.pixels(titles["layer2"])[..., :3].astype(int)
    assert off(opened.screenshot(frame), drawn.repeat(4, 0).repeat(4, 1)) <= 1


def test_slider_changes_maps_predictions_and_address(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=1&smooth=0&colours=grey&{ALL}")
    before = opened.pixels(titles["layer3"])
    opened.page.locator("#epoch").fill("4")
    opened.settle()
    assert opened.epoch() == "epoch 5"
    assert "epoch=5" in opened.page.evaluate("location.hash")
    values = recorded(runs, 4, "layer3")[0]
    assert not np.array_equal(opened.pixels(titles["layer3"]), before)
    assert np.array_equal(opened.pixels(titles["layer3"])[..., 0], steps(values, values.min(), values.max()))


def test_pointer_shows_the_raw_value(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=3&size=128&{ALL}")
    canvas = opened.cell(titles["grad_cam"]).locator("canvas.a")
    canvas.scroll_into_view_if_needed()
    canvas.hover(position={"x": 5.5 * 16, "y": 2.5 * 16})
    shown = opened.page.locator(".readout").inner_text()
    value, place = shown.split(" · ")
    assert float(value) == pytest.approx(recorded(runs, 2, "grad_cam")[0, 2, 5], abs=6e-4)
    assert place == "row 2, column 5 of 8 × 8"


def test_gates_are_sorted_bars(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=5&size=128&{ALL}")
    canvas = opened.cell(titles["gate2"]).locator("canvas.a")
    canvas.scroll_into_view_if_needed()
    gates = recorded(runs, 4, "gate2")[0]
    for place in (0, 31):
        canvas.hover(position={"x": (place + 0.5) * 4, "y": 60})
        text = opened.page.locator(".readout").inner_text()
        channel = int(np.argsort(-gates, kind="stable")[place])
        assert text.startswith(f"channel {channel}: ")
        assert text.endswith(f" · {place + 1} of 32")
    filled = opened.pixels(titles["gate2"])[:, :, 3] > 0
    heights = filled[:, 1::4].sum(0)[:30]
    assert (np.diff(heights) <= 2).all()  # falling, but for the line of the mean
    assert heights[0] > heights[-1]
