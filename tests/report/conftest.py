"""A run directory as the training leaves it, with real handwritten digits and made-up maps, and its page."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from cv_attention import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

CLASSES = [f"digit {i}" for i in range(10)]
HEATMAPS = {
    "grad_cam": ("Grad-CAM", "saliency", "grad_cam", 8),
    "layer1": ("layer1.0.bn2.attention.spatial.map", "attention", "spatial", 40),
    "layer2": ("layer2.2.bn2.attention.spatial.map", "attention", "spatial", 32),
    "layer3": ("layer3.2.bn2.attention.spatial.map", "attention", "spatial", 16),
    "signed": ("layer3.relevance", "saliency", "relevance", 16),
}
GATES = {
    "gate2": ("layer2.2.bn2.attention.channel.map", "attention", "channel", 32),
    "gate3": ("layer3.2.bn2.attention.channel.map", "attention", "channel", 64),
}
PLAN = """site                      host        channels  feature size  parameters  FLOPs
layer1.0.bn2.attention    layer1.0.bn2      16  64 x 64               242  0.9 M
layer2.2.bn2.attention    layer2.2.bn2      32  32 x 32               402  0.5 M
layer3.2.bn2.attention    layer3.2.bn2      64  16 x 16               962  0.3 M"""


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for row in rows for name in row}))
        writer.writeheader()
        writer.writerows(rows)


def metric_rows(epochs: range, steps: int = 80, noise: float = 0.0) -> list[dict[str, float]]:
    """Rows as Lightning's CSVLogger writes them: training values by step, validation values by epoch."""
    rows: list[dict[str, float]] = []
    for epoch in epochs:
        for inner in range(9, steps, 10):
            step = epoch * steps + inner
            wiggle = 0.08 * np.sin(step * 1.7)
            loss = 2.3 * np.exp(-step / 250) + 0.12 + wiggle + noise
            rows.append({"epoch": epoch, "step": step, "train_loss": loss, "lr": 0.1 * (1 + np.cos(step / 255)) / 2})
        last = (epoch + 1) * steps - 1
        rows.append({"epoch": epoch, "step": last, "val_loss": 2.2 * np.exp(-epoch / 3.2) + 0.2 + noise,
                     "val_accuracy": 0.97 - 0.8 * np.exp(-epoch / 2.5)})  # fmt: skip
    return rows


def blob(side: int, x: float, y: float, width: float) -> np.ndarray:
    rows, columns = (np.mgrid[0:side, 0:side] + 0.5) / side
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))


def draw_probes(folder: Path, count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Digits at a random place among fragments of others on a canvas of 64 pixels, with their boxes."""
    digits = load_digits()
    (folder / "images").mkdir(parents=True, exist_ok=True)
    probes = []
    for i in range(count):
        canvas = np.zeros((64, 64))
        for _ in range(8):
            x, y = rng.integers(0, 56, 2)
            piece = digits.images[rng.integers(len(digits.images))][:6, :6]
            canvas[y : y + 6, x : x + 6] = np.maximum(canvas[y : y + 6, x : x + 6], piece / 16)
        which = int(rng.integers(len(digits.images)))
        digit = Image.fromarray((digits.images[which] * 255 / 16).astype(np.uint8)).resize((24, 24))
        x, y = (int(v) for v in rng.integers(0, 40, 2))
        canvas[y : y + 24, x : x + 24] = np.maximum(canvas[y : y + 24, x : x + 24], np.asarray(digit) / 255)
        Image.fromarray((canvas * 255).astype(np.uint8)).convert("RGB").save(folder / f"images/{i:04d}.png")
        probes.append({"image": f"images/{i:04d}.png", "label": int(digits.target[which]),
                       "box": [x, y, x + 24, y + 24]})  # fmt: skip
    return probes


def draw_maps(epoch: int, probes: list[dict[str, Any]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Maps that move from the middle of the image to the digit as the training goes on."""
    learnt = 1 - np.exp(-epoch / 2)
    arrays = {}
    for key, (_, _, _, side) in HEATMAPS.items():
        maps = []
        for probe in probes:
            x0, y0, x1, y1 = (v / 64 for v in probe["box"])
            x, y = (0.5 + learnt * (centre - 0.5) for centre in ((x0 + x1) / 2, (y0 + y1) / 2))
            heat = blob(side, x, y, 0.32 - 0.16 * learnt) + 0.06 * rng.standard_normal((side, side))
            maps.append(heat - 0.35 if key == "signed" else np.clip(heat, 0, None))
        arrays[key] = np.stack(maps).astype(np.float16)
    for key, (_, _, _, channels) in GATES.items():
        raw = learnt * 2.2 * rng.standard_normal((len(probes), channels))
        arrays[key] = (1 / (1 + np.exp(-raw))).astype(np.float16)
    return arrays


def write_run(
    directory: Path,
    *,
    epochs: int = 10,
    every: int = 2,
    probes: int = 12,
    classes: list[str] | None = None,
    seed: int = 0,
) -> Path:
    """Writes a finished run that was killed in its sixth epoch and resumed."""
    classes, rng = classes or CLASSES, np.random.default_rng(seed)
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(
        "seed: 0\ndata: {name: cluttered_digits, root: /home/somebody/secret/data, batch_size: 128}\n"
        "model: {backbone: resnet20, block: {name: cbam, reduction: 8}, at: residual, pretrained: false}\n"
        f"optimizer: {{name: sgd, lr: 0.1, schedule: cosine}}\n"
        f"trainer: {{max_epochs: {epochs}, precision: 32-true}}\n"
    )
    write_json(directory / "summary.json", {"parameters": 274_042, "class_names": classes, "plan": PLAN,
                                            "test": {"accuracy": 0.9715, "loss": 0.2113}})  # fmt: skip
    write_csv(directory / "metrics/0/metrics.csv", metric_rows(range(min(6, epochs)), noise=0.3)[:-3])
    write_csv(directory / "metrics/1/metrics.csv", metric_rows(range(min(5, epochs), epochs)))
    drawn = draw_probes(directory / "maps", probes, rng)
    write_json(directory / "maps/probes.json", {"class_names": classes, "probes": drawn})
    for epoch in range(0, epochs, every):
        write_epoch(directory / "maps", epoch, drawn, len(classes), rng)
    return directory


def write_epoch(maps: Path, epoch: int, probes: list[dict[str, Any]], classes: int, rng: np.random.Generator) -> None:
    """Writes one epoch's maps, and predictions that grow better and surer."""
    np.savez(maps / f"epoch-{epoch:04d}.npz", allow_pickle=False, **draw_maps(epoch, probes, rng))
    logits = 0.6 * (1 + 0.6 * epoch) * rng.standard_normal((len(probes), classes))
    for row, probe in zip(logits, probes, strict=True):
        row[probe["label"] % classes] += (1 + 0.6 * epoch) * (0.6 + 0.1 * epoch)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    content = {
        "epoch": epoch,
        "step": (epoch + 1) * 80,
        "columns": {
            key: {"title": title, "source": source, "kind": kind}
            for key, (title, source, kind, _) in {**HEATMAPS, **GATES}.items()
        },
        "predictions": p.argmax(1).tolist(),
        "probabilities": p.tolist(),
    }
    write_json(maps / f"epoch-{epoch:04d}.json", content)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """Writes a run directory: `write_run`."""
    return write_run


@pytest.fixture(scope="session")
def titles() -> dict[str, str]:
    """Column key -> title."""
    return {key: about[0] for key, about in {**HEATMAPS, **GATES}.items()}


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    return write_run(tmp_path / "runs" / "cluttered_digits-resnet20-cbam-0", epochs=6, probes=4)


class Opened:
    """A page of a report, and everything that went wrong in it."""

    def __init__(self, browser: "Browser", index: Path, address: str = "", width: int = 1280) -> None:
        self.index = index
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.set_default_timeout(30_000)
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
        self.until("!document.querySelector('[aria-busy=true]') && !document.querySelector('.probe[data-stale]')")
        self.page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")

    def show(self, position: int) -> None:
        """Scrolls to a place of the list; rows out of sight do not exist."""
        more = self.page.get_by_role("button", name="Show all", exact=False)
        if position >= 8 and more.is_visible():
            more.click()
        self.page.evaluate(
            """(position) => {
                const space = document.querySelector(".probe-space");
                const height = parseFloat(space.style.getPropertyValue("--row"));
                const covering = [...document.querySelectorAll(".page-bar, .sticky")];
                const above = covering.reduce((sum, one) => sum + one.offsetHeight, 20);
                window.scrollTo(0, space.getBoundingClientRect().top + window.scrollY + position * height - above);
            }""",
            position,
        )
        self.settle()

    def listed(self) -> int:
        """How many samples the page says that it lists."""
        return int(self.page.locator(".sample-head").inner_text().split()[0].replace(",", ""))

    def order(self) -> list[int]:
        """The samples whose rows exist, from the top."""
        return self.page.evaluate(
            """[...document.querySelectorAll(".probe:not([hidden])")]
                .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map((row) => Number(row.dataset.sample))"""
        )

    def cell(self, title: str, probe: int = 0) -> "Locator":
        row = self.page.locator(f'.probe:not([hidden])[data-sample="{probe}"]')
        if not self.page.locator(".probe:not([hidden])").count() and self.page.locator(".probe-space").is_visible():
            self.show(0)  # no row exists where the list is far below
            self.settle()
        return row.locator(".cell", has=self.page.locator(f'.cell-name[title="{title}"]'))

    def pixels(self, title: str, probe: int = 0, layer: str = "a") -> np.ndarray:
        """The canvas of one cell, (H, W, 4); layer `b` is what it is compared with."""
        self.settle()
        if not self.cell(title, probe).is_visible():
            self.show(probe)
        self.cell(title, probe).scroll_into_view_if_needed()
        self.settle()
        height, width, values = (
            self.cell(title, probe)
            .locator(f"canvas.{layer}")
            .evaluate("(c) => [c.height, c.width, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]")
        )
        return np.array(values, dtype=np.uint8).reshape(height, width, 4)

    def screenshot(self, locator: "Locator") -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"), dtype=int)

    def panel(self, name: str) -> None:
        """Opens one of the panels of controls."""
        button = self.page.locator(f"[data-panel={name}]")
        if button.get_attribute("aria-expanded") == "false":
            button.click()

    def epoch(self) -> str:
        return self.page.locator(".epoch-text strong").inner_text()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("runs")
    make_run(root / "cbam", epochs=6, probes=4)
    make_run(root / "plain", epochs=4, probes=3, seed=1)
    report.build(root / "cbam")
    report.build([root / "cbam", root / "plain"], root / "both")
    return root


@pytest.fixture
def open_page(browser: "Browser", runs: Path) -> Iterator[Callable[..., Opened]]:
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
