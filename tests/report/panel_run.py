"""Writes synthetic recordings for the panels into a run from `write_run`."""

import json
from pathlib import Path

import numpy as np

EPOCHS = (0, 2, 4)
PAIRWISE = "layer3.2.bn2.attention.spatial.map"
GATE = "layer2.2.bn2.attention.channel.map"
SITES = ("layer1.0.bn2", "layer2.2.bn2", "layer3.2.bn2")
MEAN = (0.2, 0.3, 0.4)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def part(name: str, *parts: dict, parameters: int = 100) -> dict:
    inner = {"parts": list(parts)} if parts else {}
    return {"name": name, "type": "Conv2d", "shape": [16, 64, 64], "parameters": parameters, "flops": 5000, **inner}


def stage(name: str) -> dict:
    return part(name, *(part(f"{name}.{unit}") for unit in range(3)), parameters=1234)


def add_panels(run: Path, seed: int = 0) -> Path:
    """Adds network, confusion, maps by class, gates, heads and curves to a run of four probe images."""
    rng = np.random.default_rng(seed)
    summary = json.loads((run / "summary.json").read_text())
    sites = [
        {"name": name, "host": "BatchNorm2d", "channels": 16, "height": 64, "width": 64, "block": f"{name}.attention",
         "parameters": 242, "flops": 900, "place": "after", "label": "cbam"}
        for name in SITES
    ]  # fmt: skip
    parts = [part("conv1"), stage("layer1"), stage("layer2"), stage("layer3"), part("fc")]
    costs = {"flops": 81_900_000 + seed, "images_per_second": 512.5 + seed, "training_seconds": 84.0}
    spreads = {"over_images": 0.011, "over_channels": 0.2, "over_positions": float("nan")}
    used = [{"block": f"{name}.attention", "change": 0.01 * (i + 1), **spreads} for i, name in enumerate(SITES)]
    in_use = {"blocks": used, "images": 128, "predictions_changed": 0.125}
    write_json(run / "summary.json", {**summary, **costs, "network": parts, "sites": sites, "in_use": in_use})
    for name in (*(f"epoch-{epoch:04d}" for epoch in range(6)), "test"):
        counts = [[t, p, int(n)] for t in range(10) for p, n in enumerate(rng.integers(0, 9, 10)) if n]
        write_json(run / f"confusion/{name}.json", {"classes": 10, "counts": counts})
    for epoch in EPOCHS:
        _write_epoch(run / "maps", epoch, rng)
    curve = np.linspace(0.9, 0.1, 9)
    both = {"auc": [0.5] * 4, "curve": [curve.tolist()] * 4}
    up = {"auc": [0.4, 0.5, 0.6, 0.7], "curve": [curve[::-1].tolist()] * 4}
    kernel = [0.1, 0.2, 0.4, 0.2, 0.1]
    content = {"epoch": 4, "step": 512, "mean": MEAN, "kernel": kernel, "classes": [1, 2, 3, 4],
               "curves": {"Grad-CAM": {"insertion": up, "deletion": both}},
               "baselines": {"random": {"insertion": both, "deletion": up}}}  # fmt: skip
    write_json(run / "maps/faithfulness.json", content)
    return run


def _write_epoch(maps: Path, epoch: int, rng: np.random.Generator) -> None:
    path = maps / f"epoch-{epoch:04d}.json"
    about = json.loads(path.read_text())
    about["columns"]["layer3"]["kind"] = "pairwise"
    write_json(path, about)
    labels = [probe["label"] for probe in json.loads((maps / "probes.json").read_text())["probes"]]
    classes = []
    for label, p in zip(labels, about["probabilities"], strict=True):
        best = np.argsort(-np.array(p))[:4].tolist()
        classes.append(best if label in best[:3] else [*best[:3], label])
    half = np.float16
    heat = rng.random((4, 4, 8, 8)).astype(half)
    np.savez(maps / f"classes-{epoch:04d}.npz", classes=np.array(classes), **{"Grad-CAM": heat})
    pairwise = rng.dirichlet(np.ones(16), (4, 2, 16)).reshape(4, 2, 16, 4, 4).astype(half)
    np.savez(maps / f"heads-{epoch:04d}.npz", **{PAIRWISE: pairwise.astype(float).mean(2).astype(half)})
    np.savez(maps / f"pairwise-{epoch:04d}.npz", **{PAIRWISE: pairwise[:3]})
    gates = rng.random((200, 32))
    arrays = {
        f"quantiles:{GATE}": np.quantile(gates, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).astype(half),
        f"mean:{GATE}": gates.mean(0).astype(half),
        f"histogram:{GATE}": np.histogram(gates, bins=40, range=(0, 1))[0],
        f"range:{GATE}": np.array([0, 1], np.float32),
        f"by_class:{GATE}": gates.reshape(10, 20, 32).mean(1).astype(half),
        "images": np.array(200),
    }
    np.savez(maps / f"gates-{epoch:04d}.npz", **arrays)
