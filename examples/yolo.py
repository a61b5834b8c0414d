"""Attention in ultralytics' YOLO: insert, train with its trainer, predict, look at maps and saliency.

    python examples/yolo.py                                         # YOLO11n on drawn shapes, a minute on a CPU
    python examples/yolo.py --model yolov8n.yaml --block eca
    python examples/yolo.py --model yolo11n.pt --data coco8.yaml    # pretrained weights and data, which are downloaded
    python examples/yolo.py --model yolo11n-seg.yaml                # segmentation; yolo11n-cls.yaml: classification

Needs ultralytics (AGPL-3.0), which no part of cv_attention installs: pip install ultralytics
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from ultralytics import YOLO
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer

import cv_attention as cva
from cv_attention.saliency import targets

TRAINERS = {"detect": DetectionTrainer, "segment": SegmentationTrainer, "classify": ClassificationTrainer}
SHAPES = ("disc", "square")


def attended(task: str, block: str) -> Any:
    """Returns ultralytics' trainer of a task, with blocks in the network that it builds."""

    class AttentionTrainer(TRAINERS[task]):
        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> torch.nn.Module:
            # YOLO(...).train() builds the network from its YAML again, so blocks are inserted here; then come the
            # weights, with blocks or without.
            model = super().get_model(cfg, weights=None, verbose=verbose)
            cva.insert(model, block, "residual", init="identity", input_size=self.args.imgsz)
            if weights is not None:
                model.load(weights)
            return model

    return AttentionTrainer


def draw(folder: Path, task: str, count: int, size: int = 64) -> str:
    """Draws discs and squares, as a data set in ultralytics' layout; returns what `train(data=...)` takes."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(count):
            kind, side = number % len(SHAPES), int(random.integers(16, 32))
            x, y = (int(v) for v in random.integers(0, size - side, 2))
            image = Image.fromarray(random.integers(0, 90, (size, size, 3), dtype=np.uint8))
            shape = ImageDraw.Draw(image)
            (shape.ellipse if kind == 0 else shape.rectangle)((x, y, x + side, y + side), fill=(230, 180, 40))
            at = folder / split / SHAPES[kind] if task == "classify" else folder / "images" / split
            at.mkdir(parents=True, exist_ok=True)
            image.save(at / f"{number}.png")
            corners = np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)]) / size
            box = ((x + side / 2) / size, (y + side / 2) / size, side / size, side / size)
            values = box if task == "detect" else corners.ravel()
            if task != "classify":
                labels = folder / "labels" / split
                labels.mkdir(parents=True, exist_ok=True)
                (labels / f"{number}.txt").write_text(" ".join(map(str, (kind, *values))) + "\n")
    if task == "classify":
        return str(folder)
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(SHAPES))
    (folder / "shapes.yaml").write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames:\n{names}")
    return str(folder / "shapes.yaml")


@torch.no_grad()
def outputs(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Returns what the network predicts in eval mode: boxes and scores before suppression, or probabilities."""
    found = model.eval()(images)
    while isinstance(found, tuple | list):  # a segmenter returns prototypes of its masks too
        found = found[0]
    return found


def check_unchanged(yolo: YOLO, block: str, images: torch.Tensor) -> None:
    """Inserts blocks into the network in hand, and counts the predictions that change."""
    before = outputs(yolo.model, images)
    planned = cva.insert(yolo.model, block, "residual", init="identity", input_size=images.shape[-1])
    changed = int((outputs(yolo.model, images) != before).sum())
    print(f"{len(planned.sites)} blocks inserted: {changed} of {before.numel()} predicted numbers changed")
    cva.remove(yolo.model)


def main() -> None:
    """Inserts, trains, predicts, and draws what the network looks at."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="yolo11n.yaml")
    parser.add_argument("--block", default="se")
    parser.add_argument("--data", help="as ultralytics takes it; drawn shapes by default")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, default=16, help="drawn for each split")
    options = parser.parse_args()

    out = Path("out/yolo").resolve()
    yolo = YOLO(options.model)
    data = options.data or draw(out / "shapes", yolo.task, options.images, options.size)
    torch.manual_seed(0)
    check_unchanged(yolo, options.block, torch.rand(4, 3, options.size, options.size))

    yolo.train(
        trainer=attended(yolo.task, options.block), data=data, epochs=options.epochs, imgsz=options.size, batch=8,
        project=str(out), name="train", exist_ok=True, plots=False, workers=0, verbose=False,
        amp=torch.cuda.is_available(),  # elsewhere there is nothing to check, for which it would download a network
    )  # fmt: skip
    best = YOLO(out / "train/weights/best.pt")
    state = best.model.state_dict()
    print(f"best.pt: {sum('.attention.' in key for key in state)} of {len(state)} weights are those of blocks")

    picture = next(iter(sorted((out / "shapes").rglob("*.png"))), None) or sys.exit("draw your own images from here on")
    image = Image.open(picture).convert("RGB").resize((options.size, options.size))
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
    network = best.model.float().eval()  # before predict, which folds norms into convolutions in place
    with cva.record(network) as maps, torch.no_grad():
        network(x)
    print(f"{len(maps)} maps recorded, the first of {next(iter(maps))}")
    if best.task == "classify":
        heat = cva.saliency.grad_cam(network, x, lambda output: output[0][:, 0])
    else:
        rows = outputs(network, x)[:, :, 0]
        (cx, cy, w, h), label = rows[0, :4].tolist(), int(rows[0, 4 : 4 + len(best.names)].argmax())
        box = torch.tensor([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]])
        heat = cva.saliency.grad_cam(network, x, targets.box(label, box))
    Image.fromarray(cva.overlay(image, heat)).save(out / "saliency.png")
    [result] = best.predict(image, imgsz=options.size, conf=0.01, verbose=False)
    found = len(result.boxes) if result.boxes is not None else result.names[result.probs.top1]
    print(f"predict finds {found}; {(out / 'saliency.png').relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
