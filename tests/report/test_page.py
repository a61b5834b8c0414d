"""The page in a real browser, opened from ``file://``."""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cv_attention import report

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
EPOCHS = (0, 2, 4)
MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        message = f"no Chromium found (looked for {', '.join(NAMES)})"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield launched
        launched.close()


class Opened:
    """A page of a report, and everything that went wrong in it."""

    def __init__(
        self, browser: "sync_api.Browser", index: Path, address: str = "", width: int = 1280
    ) -> None:
        self.index = index
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.on("console", lambda message: self.console(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(index.as_uri() + address)
        self.settle()

    def console(self, text: str) -> None:
        if "willReadFrequently" not in text:  # advice about these tests' own reading of canvases
            self.faults.append(text)

    def until(self, condition: str) -> None:
        """Waits for a condition; the page's policy forbids what Playwright's own wait needs."""
        for _ in range(200):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(25)
        pytest.fail(f"this did not come true: {condition}")

    def settle(self) -> None:
        """Waits until all maps in sight are drawn."""
        self.page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        self.page.wait_for_timeout(10)
        self.until("!document.querySelector('[aria-busy=true]')")

    def cell(self, title: str, probe: int = 0) -> "sync_api.Locator":
        row = self.page.locator(".probe").nth(probe)
        return row.locator(".cell", has=self.page.locator(f'.cell-name[title="{title}"]'))

    def pixels(self, title: str, probe: int = 0) -> np.ndarray:
        """The canvas of one cell, (H, W, 4)."""
        self.cell(title, probe).scroll_into_view_if_needed()
        self.settle()
        height, width, values = (
            self.cell(title, probe)
            .locator("canvas")
            .evaluate(
                "(c) => [c.height, c.width, "
                "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
            )
        )
        return np.array(values, dtype=np.uint8).reshape(height, width, 4)

    def screenshot(self, locator: "sync_api.Locator") -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"), dtype=int)

    def epoch(self) -> str:
        return self.page.locator(".epoch-text strong").inner_text()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> Path:
    root = tmp_path_factory.mktemp("runs")
    make_run(root / "cbam", epochs=6, probes=4)
    make_run(root / "plain", epochs=4, probes=3, seed=1)
    report.build(root / "cbam")
    report.build([root / "cbam", root / "plain"], root / "both")
    return root


@pytest.fixture
def open_page(browser: "sync_api.Browser", runs: Path) -> Iterator[Callable[..., Opened]]:
    opened = []

    def open_one(address: str = "", index: Path | None = None, width: int = 1280) -> Opened:
        opened.append(Opened(browser, index or runs / "cbam/report/index.html", address, width))
        return opened[-1]

    yield open_one
    for one in opened:
        one.page.close()
        assert one.faults == []
        folder = one.index.parent.as_uri() + "/"
        assert [url for url in one.requests if not url.startswith((folder, "data:"))] == []


def recorded(runs: Path, epoch: int, key: str, run: str = "cbam") -> np.ndarray:
    with np.load(runs / run / f"maps/epoch-{epoch:04d}.npz") as arrays:
        return arrays[key].astype(float)


def steps(values: np.ndarray, lo: float, hi: float) -> np.ndarray:
    return np.floor(255 * (values - lo) / (hi - lo) + 0.5).clip(0, 255)


ALL = "columns=0,1,2,3,4,5,6"


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opens_without_faults_and_without_sideways_scrolling(open_page, width: int, scheme: str) -> None:
    opened = open_page(width=width)
    opened.page.emulate_media(color_scheme=scheme)
    assert opened.page.locator("h1").inner_text() == "cbam"
    assert opened.page.locator(".probe").count() == 4
    assert opened.page.locator(".plot polyline").count() == 4
    for details in opened.page.locator("details").all():
        details.evaluate("(d) => (d.open = true)")
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("key", ["grad_cam", "layer1", "layer2", "layer3"])
@pytest.mark.parametrize("probe", [0, 2])
def test_canvas_holds_the_written_map(
    open_page, runs: Path, titles: dict[str, str], key: str, probe: int
) -> None:
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours=grey&{ALL}")
    values = recorded(runs, 2, key)[probe]
    drawn = opened.pixels(titles[key], probe).astype(int)
    expected = steps(values, values.min(), values.max())
    assert (drawn[..., 3] == 255).all()
    assert np.abs(drawn[..., 0] - expected).max() <= (1 if values.size > 1024 else 0)
    assert (drawn[..., 0] == drawn[..., 2]).all()


@pytest.mark.parametrize("name", ["viridis", "inferno", "magma", "cividis"])
def test_colour_tables_are_the_published_ones(
    open_page, runs: Path, titles: dict[str, str], name: str
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours={name}&{ALL}")
    values = recorded(runs, 2, "layer2")[0]
    index = steps(values, values.min(), values.max()).astype(int)
    expected = 255 * matplotlib.colormaps[name](index)[..., :3]
    assert np.abs(opened.pixels(titles["layer2"])[..., :3] - expected).max() <= (
        7 if name == "cividis" else 3
    )


@pytest.mark.parametrize("scale", ["column", "run"])
def test_scale_of_the_column_and_of_all_epochs(
    open_page, runs: Path, titles: dict[str, str], scale: str
) -> None:
    opened = open_page(f"#epoch=3&opacity=1&smooth=0&colours=grey&scale={scale}&{ALL}")
    every = [recorded(runs, epoch, "layer3") for epoch in (EPOCHS if scale == "run" else (2,))]
    lo, hi = min(a.min() for a in every), max(a.max() for a in every)
    expected = steps(recorded(runs, 2, "layer3")[1], lo, hi)
    assert np.abs(opened.pixels(titles["layer3"], 1)[..., 0] - expected).max() <= 1


def test_smooth_maps_interpolate_the_values(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=3&opacity=1&colours=grey&{ALL}")
    values = recorded(runs, 2, "grad_cam")[0]
    drawn = opened.pixels(titles["grad_cam"])[..., 0].astype(float)
    large = np.asarray(
        Image.fromarray(values.astype(np.float32)).resize(drawn.shape[::-1], Image.Resampling.BILINEAR)
    )
    assert drawn.shape == (160, 160)
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


def test_keys_move_the_epoch_and_the_nearest_logged_map_is_named(open_page) -> None:
    opened = open_page("#epoch=5")
    note = opened.page.locator(".nearest-note")
    for key, epoch, nearest in [
        ("ArrowLeft", "epoch 4", "maps of epoch 3, the nearest logged"),
        ("ArrowLeft", "epoch 3", None),
        ("End", "epoch 6", "maps of epoch 5, the nearest logged"),
        ("ArrowRight", "epoch 6", "maps of epoch 5, the nearest logged"),
        ("Home", "epoch 1", None),
        ("ArrowLeft", "epoch 1", None),
    ]:
        opened.page.keyboard.press(key)
        assert opened.epoch() == epoch
        assert (note.inner_text() if note.count() else None) == nearest
    opened.page.locator("#epoch").focus()
    opened.page.keyboard.press("ArrowRight")
    assert opened.epoch() == "epoch 2"


def test_player_goes_through_the_epochs_and_stops(open_page) -> None:
    opened = open_page("#epoch=5")
    opened.page.get_by_role("button", name="Play the epochs").click()
    opened.until("document.querySelector('.epoch-text strong').textContent === 'epoch 6'")
    opened.page.get_by_role("button", name="Play the epochs").wait_for()


def test_pointer_shows_the_raw_value(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=3&size=128&{ALL}")
    canvas = opened.cell(titles["grad_cam"]).locator("canvas")
    canvas.scroll_into_view_if_needed()
    canvas.hover(position={"x": 5.5 * 16, "y": 2.5 * 16})
    shown = opened.page.locator(".readout").inner_text()
    value, place = shown.split(" · ")
    assert float(value) == pytest.approx(recorded(runs, 2, "grad_cam")[0, 2, 5], abs=6e-4)
    assert place == "row 2, column 5 of 8 × 8"


def test_gates_are_sorted_bars(open_page, runs: Path, titles: dict[str, str]) -> None:
    opened = open_page(f"#epoch=5&size=128&{ALL}")
    canvas = opened.cell(titles["gate2"]).locator("canvas")
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


def test_columns_are_hidden_and_shown(open_page, titles: dict[str, str]) -> None:
    opened = open_page()
    assert opened.page.locator(".head").count() == 6
    opened.page.locator("details.columns summary").click()
    opened.page.get_by_role("button", name="None", exact=True).click()
    assert opened.page.locator(".cell").count() == 0
    opened.page.locator(".chip", has_text="layer1.0").locator("input").check()
    opened.settle()
    assert opened.page.locator(".cell").count() == 4
    assert opened.cell(titles["layer1"]).count() == 1
    assert "columns=1" in opened.page.evaluate("location.hash")


def test_images_are_chosen_by_their_prediction(open_page, runs: Path) -> None:
    opened = open_page("#epoch=1")
    select = opened.page.locator("label", has_text="Images").locator("select")
    counts = []
    for choice in ("all", "correct", "wrong"):
        select.select_option(choice)
        counts.append(opened.page.locator(".probe").count())
    assert counts[0] == counts[1] + counts[2] == 4
    assert opened.page.locator(".verdict.right").count() == 0


def test_true_box_lies_where_it_was_recorded(open_page, runs: Path) -> None:
    opened = open_page("#size=128")
    frame = opened.page.locator(".sample .frame").first.bounding_box()
    box = opened.page.locator(".sample .true-box").first.bounding_box()
    x0, y0, x1, y1 = json.loads((runs / "cbam/maps/probes.json").read_text())["probes"][0]["box"]
    expected = [frame["x"] + 2 * x0, frame["y"] + 2 * y0, 2 * (x1 - x0), 2 * (y1 - y0)]
    assert [box[side] for side in ("x", "y", "width", "height")] == pytest.approx(expected, abs=0.6)
    opened.page.locator('input[name="box"]').uncheck()
    assert not opened.page.locator(".true-box").first.is_visible()


def test_curves_tell_values_and_set_the_epoch(open_page) -> None:
    opened = open_page("#epoch=2")
    chart = opened.page.locator(".chart", has_text="Loss").first
    plot = chart.locator("svg")
    size = plot.bounding_box()
    plot.click(position={"x": size["width"] - 14, "y": 60})
    assert opened.epoch() == "epoch 6"
    opened.page.mouse.move(0, 0)
    expected = 2.2 * np.exp(-5 / 3.2) + 0.2
    assert float(chart.locator("output").nth(1).inner_text()) == pytest.approx(expected, abs=6e-4)


def test_theme_is_switched(open_page) -> None:
    opened = open_page()
    shade = "getComputedStyle(document.body).backgroundColor"
    opened.page.emulate_media(color_scheme="light")
    light = opened.page.evaluate(shade)
    button = opened.page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    assert opened.page.evaluate(shade) != light


def test_two_runs_share_curves_and_are_chosen_by_name(open_page, runs: Path) -> None:
    opened = open_page("#run=0", index=runs / "both/index.html")
    assert opened.page.locator(".chart", has_text="Loss").locator("polyline").count() == 4
    opened.page.get_by_role("button", name="plain").click()
    opened.settle()
    assert opened.page.locator(".probe").count() == 3
    assert opened.epoch() == "epoch 4" or opened.page.locator(".epoch-text").inner_text().endswith("4")


@pytest.mark.parametrize(
    "address", ["#epoch=-5&opacity=x&columns=99,a,-1&run=7&scale=no", "#%", "#=&&columns="]
)
def test_senseless_address_does_no_harm(open_page, address: str) -> None:
    open_page(address)


def test_incomplete_run_has_friendly_empty_states(open_page, tmp_path: Path) -> None:
    run = tmp_path / "just-started"
    run.mkdir()
    (run / "config.yaml").write_text("model: {backbone: resnet20}")
    opened = open_page(index=report.build(run))
    assert opened.page.locator(".empty").count() == 2
    assert "interrupted or still running" in opened.page.locator(".tiles").inner_text()


def test_names_from_outside_stay_text(open_page, tmp_path: Path, make_run: MakeRun) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"
    run = make_run(tmp_path / "<b onmouseover=alert(1)>&amp;$title", epochs=2, probes=2, classes=[evil] * 10)
    (run / "config.yaml").write_text(json.dumps({"model": {"backbone": evil, "block": {"name": evil}}}))
    for name in ("epoch-0000.json", "summary.json"):
        path = run / ("maps" if name.startswith("epoch") else ".") / name
        path.write_text(path.read_text().replace("Grad-CAM", "<svg onload=document.title='owned'>")
                        .replace("site   ", "</pre><script>document.title='owned'</script>"))  # fmt: skip
    opened = open_page(index=report.build(run))
    assert opened.page.locator("h1").inner_text() == "<b onmouseover=alert(1)>&amp;$title"
    assert opened.page.title() == "<b onmouseover=alert(1)>&amp;$title · cv_attention"
    assert evil in opened.page.locator(".probe").first.text_content()
    assert opened.page.locator("img[onerror], b, svg[onload], #report script").count() == 0
