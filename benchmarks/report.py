"""The report's size and speed: how fast it is built, how large it is, how soon it shows, how smoothly it scrolls.

    python benchmarks/report.py [--samples 1000 10000] [--epochs 10]

Makes run directories of synthetic maps (sizes of a small ResNet, six columns), builds their reports in one
thread and opens them in headless Chromium from ``file://``, with software rendering.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cv_attention import report

COLUMNS = {"grad_cam": ("saliency", 8), "layer1": ("attention", 32), "layer2": ("attention", 16),
           "layer3": ("attention", 8), "relevance": ("saliency", 16), "gates": ("attention", 0)}  # fmt: skip
CLASSES = 10
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def write_run(run: Path, samples: int, epochs: int) -> None:
    """Writes a run directory with images of 64 pixels and maps as large as a small ResNet's."""
    rng = np.random.default_rng(0)
    (run / "maps/images").mkdir(parents=True)
    labels = rng.integers(0, CLASSES, samples)
    rows = []
    for i in range(samples):
        colours = rng.integers(0, 255, (6, 6, 3)).astype(np.uint8)
        Image.fromarray(colours).resize((64, 64), Image.Resampling.BILINEAR).save(run / f"maps/images/{i:05d}.png")
        rows.append({"image": f"images/{i:05d}.png", "name": f"photo-{i:05d}.jpg", "label": int(labels[i]),
                     "box": [8, 8, 40, 48]})  # fmt: skip
    names = [f"class {i}" for i in range(CLASSES)]
    (run / "maps/probes.json").write_text(json.dumps({"class_names": names, "probes": rows}))
    for epoch in range(epochs):
        arrays = {key: _maps(samples, side, rng) for key, (_, side) in COLUMNS.items()}
        arrays["relevance"] -= np.float16(0.4)
        np.savez(run / f"maps/epoch-{epoch:04d}.npz", allow_pickle=False, **arrays)
        logits = rng.standard_normal((samples, CLASSES))
        logits[np.arange(samples), labels] += 0.5 * epoch
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        about = {key: {"title": key, "source": source, "kind": key} for key, (source, _) in COLUMNS.items()}
        content = {"epoch": epoch, "step": epoch, "columns": about, "predictions": p.argmax(1).tolist(),
                   "probabilities": p.round(6).tolist()}  # fmt: skip
        (run / f"maps/epoch-{epoch:04d}.json").write_text(json.dumps(content))


def _maps(samples: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Blobs on a slightly rough ground, as trained networks make them; gates of 64 channels where `side` is 0."""
    if side == 0:
        return rng.random((samples, 64)).astype(np.float16)
    place = (np.arange(side) + 0.5) / side
    x, y = rng.random((2, samples, 1))
    across, down = (np.exp(-((place - centre) ** 2) / 0.08) for centre in (x, y))
    rough = 0.03 * rng.standard_normal((samples, side, side))
    return (down[:, :, None] * across[:, None, :] + rough).clip(0).astype(np.float16)


def measure_opening(page: Any, index: Path, address: str = "") -> dict[str, float]:
    """Seconds of scripting and layout until the first screen's maps are on their canvases."""
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    start = time.perf_counter()
    page.goto(index.as_uri() + address)
    ready = "document.querySelector('canvas.map.a:not([hidden])') && !document.querySelector('[aria-busy=true]')"
    while not page.evaluate(ready):
        page.wait_for_timeout(10)
    seen = time.perf_counter() - start
    metrics = {entry["name"]: entry["value"] for entry in client.send("Performance.getMetrics")["metrics"]}
    work = sum(metrics[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration"))
    return {"scripting and layout, s": work, "all together, s": seen, "heap, MB": metrics["JSHeapUsedSize"] / 1e6}


SCROLL = """async ({frames, step}) => {
    const next = () => new Promise((go) => requestAnimationFrame(go));
    const list = document.querySelector(".probe-space").getBoundingClientRect();
    if (list.height < 4000) throw new Error("the list is too short to be scrolled");
    window.scrollTo(0, list.top + window.scrollY + 2000);
    for (let i = 0; i < 30; i++) await next();
    const times = [];
    let last = await next();
    for (let i = 0; i < frames; i++) {
        window.scrollBy(0, step);
        const now = await next();
        times.push(now - last);
        last = now;
    }
    return times;
}"""


def measure_scrolling(page: Any, step: int, frames: int = 300) -> tuple[float, float]:
    """Milliseconds between frames, median and 95th percentile, while each scrolls by `step` pixels."""
    times = page.evaluate(SCROLL, {"frames": frames, "step": step})
    return float(np.median(times)), float(np.percentile(times, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--opens", type=int, default=5, help="Times each report is opened; the median counts.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for samples in options.samples:
            run = Path(folder) / f"synthetic-{samples}"
            write_run(run, samples, options.epochs)
            maps = samples * options.epochs * len(COLUMNS)
            start = time.process_time()
            index = report.build(run)
            spent = time.process_time() - start
            size = sum(path.stat().st_size for path in index.parent.rglob("*") if path.is_file())
            files = sum(path.is_file() for path in index.parent.rglob("*"))
            print(f"{samples} samples x {options.epochs} epochs x {len(COLUMNS)} columns", flush=True)
            print(f"  built in {spent:.1f} s of one core: {maps / spent:,.0f} maps/s")
            print(f"  {size / 1e6:.1f} MB in {files} files: {size / maps:,.0f} bytes per sample, epoch and column")
            measure_page(index, options.opens)
            shutil.rmtree(run)


def measure_page(index: Path, opens: int) -> None:
    from playwright.sync_api import sync_playwright

    browser_path = next(found for name in CHROMIUMS if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        opened = []
        for _ in range(opens):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            opened.append(measure_opening(page, index))
            if len(opened) < opens:
                page.close()
        for name in opened[0]:
            print(f"  opening, {name}: {np.median([one[name] for one in opened]):.2f}")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        measure_opening(page, index, "#every=1")  # all images are listed, not the first few
        for step in (60, 300, 2000):
            median, worst = measure_scrolling(page, step)
            print(f"  scrolling {step} px a frame: {median:.1f} ms, 95th percentile {worst:.1f} ms", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
